//! How does an obstacle look as a message? Its kind for programs, its sentence for people.

use proto::signet;

use crate::rotation::HolderName;
use crate::rotation::Obstacle;

pub(super) fn message(obstacle: &Obstacle) -> signet::Obstacle {
    let holder = holder(obstacle);
    let (bundle, needs) = match obstacle {
        Obstacle::Behind { bundle, needs, .. } => (*bundle, *needs),
        _ => (0, 0),
    };
    signet::Obstacle {
        kind: kind(obstacle).to_owned(),
        sentence: obstacle.to_string(),
        spiffe_id: holder.map_or_else(String::new, |holder| holder.spiffe_id.to_string()),
        instance: holder.map_or_else(String::new, |holder| holder.instance.to_string()),
        bundle,
        needs,
        until: obstacle.until().map(Into::into),
        absolute: obstacle.is_absolute(),
    }
}

fn holder(obstacle: &Obstacle) -> Option<&HolderName> {
    match obstacle {
        Obstacle::Behind { holder, .. } | Obstacle::Live { holder, .. } => holder.as_ref(),
        _ => None,
    }
}

fn kind(obstacle: &Obstacle) -> &'static str {
    match obstacle {
        Obstacle::Behind { .. } => "behind",
        Obstacle::Expired { .. } => "expired",
        Obstacle::InUse { .. } => "in-use",
        Obstacle::Listed { .. } => "listed",
        Obstacle::Live { .. } => "live",
        Obstacle::NothingPrepared => "nothing-prepared",
        Obstacle::NotPublished { .. } => "not-published",
        Obstacle::NotYetValid { .. } => "not-yet-valid",
        Obstacle::RefreshHints { .. } => "refresh-hints",
        Obstacle::TooFresh { .. } => "too-fresh",
        Obstacle::Unanchored { .. } => "unanchored",
        Obstacle::Uncovered { .. } => "uncovered",
        Obstacle::Unknown { .. } => "unknown",
        Obstacle::Unrecorded { .. } => "unrecorded",
    }
}
