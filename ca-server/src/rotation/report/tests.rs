//! What is told of a rotation must be what its gates say.

use std::time::Duration;

use super::*;
use crate::rotation::fixtures::HOUR;
use crate::rotation::fixtures::World;
use crate::rotation::fixtures::at;
use crate::rotation::fixtures::distributed;
use crate::rotation::fixtures::draining;
use crate::rotation::fixtures::held;
use crate::rotation::fixtures::issuer;
use crate::rotation::fixtures::leaf;
use crate::rotation::fixtures::says;
use crate::rotation::fixtures::steady;

const DAY: Duration = Duration::from_secs(24 * HOUR);
/// A leaf counts as dead that much after its last second.
const MARGIN: u64 = 121;

fn report(record: &Record, world: &World) -> Report {
    Report::of(record, &world.evidence(), DAY, DirectoryReport::default())
}

#[test]
fn a_step_tells_how_many_it_waits_for_and_until_when() {
    let world = World {
        holdings: vec![
            leaf('A', 5, at(3 * HOUR)),
            leaf('A', 7, at(9 * HOUR)),
            held(leaf('A', 6, at(4 * HOUR)), (1, 'A'), None),
            held(leaf('A', 5, at(5 * HOUR)), (1, 'A'), None),
        ],
        ..World::default()
    };
    let report = report(&distributed(), &world);
    let [step] = report.steps.as_slice() else {
        panic!("{:?}", report.steps);
    };
    // One agent with two leaves is one holder; so is each bundle of those without a name.
    assert_eq!(
        (step.step, step.awaited, report.holders),
        (Step::Activate, 2, 3)
    );
    assert_eq!(step.opens_at(), Some(at(5 * HOUR + MARGIN)));
    assert_eq!(report.plan.unwrap().activation(), step.opens_at());
}

#[test]
fn a_gate_that_somebody_has_to_open_tells_no_date() {
    let mut world = World::default();
    world.since.clear();
    world.holdings = vec![leaf('A', 5, at(3 * HOUR))];
    let report = report(&distributed(), &world);
    assert_eq!(report.steps[0].opens_at(), None);
}

#[test]
fn who_serves_a_newer_leaf_is_not_told_as_holding_the_old_one() {
    let world = World {
        holdings: vec![
            held(leaf('A', 7, at(9 * HOUR)), (2, 'B'), Some(says(7, 2))),
            leaf('A', 7, at(5 * HOUR)),
        ],
        ..World::default()
    };
    let report = report(&draining(), &world);
    let leaves = report.leaves_of(&issuer('A')).unwrap();
    assert_eq!(leaves.held_by.len(), 1);
    // The leaf itself is alive all the same.
    assert_eq!(leaves.last_gone, Some(at(9 * HOUR + MARGIN)));
}

#[test]
fn who_has_a_leaf_of_a_stolen_key_is_told_until_it_is_dead_where_the_root_tells_nothing() {
    let mut record = draining();
    let stays = record.signers[1].root;
    record.signers[0].roots.push(stays);
    record.signers[1].tainted = Some(at(0));
    let mut world = World {
        holdings: vec![held(leaf('A', 7, at(9 * HOUR)), (2, 'A'), Some(says(7, 2)))],
        ..World::default()
    };
    let seen = report(&record, &world);
    assert_eq!(seen.leaves_of(&issuer('A')).unwrap().held_by.len(), 1);
    assert_eq!(seen.steps[0].awaited, 1);
    world.now = at(9 * HOUR + MARGIN);
    let seen = report(&record, &world);
    assert!(seen.leaves_of(&issuer('A')).unwrap().held_by.is_empty());
}

#[test]
fn a_plan_adds_the_longest_life_of_a_leaf_to_the_activation() {
    let world = World {
        holdings: vec![leaf('A', 5, at(10 * HOUR))],
        ..World::default()
    };
    let plan = report(&steady(), &world).plan.unwrap();
    assert_eq!(plan.activation(), Some(at(10 * HOUR + MARGIN)));
    assert_eq!(plan.retire_at(), Some(at(34 * HOUR + 2 * MARGIN)));
    let soon = plan.within(Duration::from_secs(2 * HOUR));
    assert_eq!(soon.retire_at(), Some(at(12 * HOUR + 2 * MARGIN)));
    assert!(!plan.breaks());
}

#[test]
fn a_plan_says_early_that_the_signer_ends_before_everybody_knows_the_next_one() {
    let world = World {
        holdings: vec![leaf('A', 5, at(10 * HOUR))],
        ..World::default()
    };
    let mut record = steady();
    record.signers[0].not_after = at(9 * HOUR);
    let plan = report(&record, &world).plan.unwrap();
    assert!(plan.breaks());
    assert_eq!(plan.activation(), Some(at(8 * HOUR)));
    assert_eq!(plan.retire_at(), Some(at(10 * HOUR + MARGIN)));
}

#[test]
fn while_one_drains_a_plan_is_about_its_last_leaf() {
    let world = World {
        holdings: vec![leaf('A', 7, at(9 * HOUR)), leaf('B', 7, at(30 * HOUR))],
        ..World::default()
    };
    let plan = report(&draining(), &world).plan.unwrap();
    assert_eq!(plan.activation(), None);
    assert_eq!(plan.retire_at(), Some(at(9 * HOUR + MARGIN)));
    let counts = awaited(&draining(), &world.evidence());
    assert_eq!((counts.by_activation, counts.by_retirement), (0, 1));
}
