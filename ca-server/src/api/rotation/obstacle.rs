//! How does an obstacle look as a message? Its kind for programs, its sentence for people.

use std::collections::HashMap;

use proto::signet;
use proto::spiffe::SpiffeId;

use crate::ledger::InstanceId;
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

/// Each agent once, with what keeps longest, however many leaves it has; and all that stands against a step of itself.
pub(super) fn one_of_each(obstacles: &[Obstacle]) -> Vec<&Obstacle> {
    let mut places: HashMap<(InstanceId, &SpiffeId), usize> = HashMap::new();
    let mut told: Vec<&Obstacle> = Vec::new();
    for obstacle in obstacles {
        let name = holder(obstacle).map(|holder| (holder.instance, &holder.spiffe_id));
        let place = name.map(|name| *places.entry(name).or_insert(told.len()));
        match place.and_then(|place| told.get_mut(place)) {
            Some(before) if before.until() < obstacle.until() => *before = obstacle,
            Some(_) => {}
            None => told.push(obstacle),
        }
    }
    told
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
        Obstacle::KeyGone { .. } => "key-gone",
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

#[cfg(test)]
mod tests {
    use std::time::Duration;
    use std::time::UNIX_EPOCH;

    use super::*;

    fn behind(instance: Option<u8>, bundle: u64, until: u64) -> Obstacle {
        Obstacle::Behind {
            holder: instance.map(|instance| HolderName {
                instance: InstanceId::from([instance; 16]),
                spiffe_id: "spiffe://a/cart".parse().unwrap(),
                acknowledged: None,
                shared: false,
            }),
            bundle,
            needs: 9,
            until: UNIX_EPOCH + Duration::from_secs(until),
        }
    }

    #[test]
    fn an_agent_with_many_leaves_is_named_once_by_what_keeps_longest() {
        let obstacles = [
            behind(Some(1), 4, 10),
            behind(Some(2), 4, 40),
            behind(Some(1), 5, 30),
            behind(Some(1), 6, 20),
        ];
        assert_eq!(
            one_of_each(&obstacles),
            [&behind(Some(1), 5, 30), &behind(Some(2), 4, 40)]
        );
    }

    #[test]
    fn who_names_no_instance_may_be_many() {
        let obstacles = [
            behind(None, 4, 10),
            behind(None, 5, 10),
            Obstacle::NothingPrepared,
        ];
        assert_eq!(one_of_each(&obstacles).len(), 3);
    }
}
