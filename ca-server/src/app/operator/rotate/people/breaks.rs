//! Whom would a step break that does not wait? Said before it is forced.

use std::time::SystemTime;

use proto::signet::RotationSigner;
use proto::signet::RotationStep;

use super::date;
use super::obstacles;

/// What a forced step would break.
pub(in crate::app::operator::rotate) fn breaks_by_step(step: Option<&RotationStep>) -> Vec<String> {
    let Some(step) = step else {
        return Vec::new();
    };
    if step.obstacle_count == 0 {
        return vec!["forcing was not needed: nothing stands against it".to_owned()];
    }
    let mut lines = vec![format!(
        "warning: forced against {} obstacles; {} who hold leaves may break:",
        step.obstacle_count, step.awaited
    )];
    lines.extend(obstacles(&step.obstacles, step.obstacle_count));
    lines
}

/// What a deadline would break if it came now.
pub(in crate::app::operator::rotate) fn breaks_by_deadline(
    signer: Option<&RotationSigner>,
    deadline: SystemTime,
) -> Vec<String> {
    let Some(signer) = signer.filter(|signer| signer.held_by_count > 0) else {
        return Vec::new();
    };
    let mut lines = vec![format!(
        "warning: at {} this breaks who still has a leaf of it then; now that is {}:",
        date(deadline),
        signer.held_by_count
    )];
    lines.extend(obstacles(&signer.held_by, signer.held_by_count));
    lines
}
