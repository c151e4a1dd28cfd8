//! One step at a time, and only what was asked for or cannot wait.

use super::*;
use crate::rotation::fixtures::*;

fn by_hand(record: &Record) -> Record {
    Record {
        auto: false,
        ..record.clone()
    }
}

#[test]
fn an_automatic_rotation_takes_each_step_as_its_gate_opens() {
    let mut world = World::default();
    let record = steady();
    assert_eq!(due(&record, &world.evidence()), None);
    let record = record.introduce(signer('B'), true, at(0)).unwrap();
    assert_eq!(due(&record, &world.evidence()), Some(Step::Distribute));
    let record = record.distribute(at(0)).unwrap();
    world.holdings.push(leaf('A', 6, at(2 * HOUR)));
    assert_eq!(due(&record, &world.evidence()), None);
    world.now = at(3 * HOUR);
    assert_eq!(due(&record, &world.evidence()), Some(Step::Activate));
    let record = record.activate(&world.evidence(), None, at(HOUR)).unwrap();
    world.holdings.push(leaf('A', 7, at(4 * HOUR)));
    assert_eq!(due(&record, &world.evidence()), None);
    world.now = at(5 * HOUR);
    assert_eq!(
        due(&record, &world.evidence()),
        Some(Step::Retire(issuer('A')))
    );
    let record = record
        .retire(&issuer('A'), &world.evidence(), None, at(0))
        .unwrap();
    assert_eq!(due(&record, &world.evidence()), None);
}

#[test]
fn a_rotation_by_hand_waits_for_the_hand() {
    let world = World::default();
    let prepared = steady().introduce(signer('B'), false, at(0)).unwrap();
    let distributed = prepared.distribute(at(0)).unwrap();
    let drained = distributed
        .activate(&world.evidence(), None, at(0))
        .unwrap();
    for record in [prepared, distributed, drained] {
        assert_eq!(
            due(&record, &world.evidence()),
            None,
            "{:?}",
            record.phase()
        );
    }
}

#[test]
fn a_deadline_and_the_end_of_the_chain_wait_for_no_hand() {
    let mut world = World::default();
    world.holdings.push(leaf('A', 6, at(9 * HOUR)));
    let prepared = steady().introduce(signer('B'), true, at(0)).unwrap();
    let tainted = prepared
        .taint(&issuer('A'), (Some(at(HOUR)), None), &all(), at(0))
        .unwrap();
    let mut ending = prepared;
    ending.signers[0].not_after = at(HOUR);
    for record in [by_hand(&tainted), by_hand(&ending)] {
        assert_eq!(due(&record, &world.evidence()), Some(Step::Distribute));
        let record = record.distribute(at(0)).unwrap();
        assert_eq!(due(&record, &world.evidence()), Some(Step::Activate));
    }
    let drained = tainted
        .distribute(at(0))
        .unwrap()
        .activate(&world.evidence(), None, at(0))
        .unwrap();
    assert_eq!(
        due(&drained, &world.evidence()),
        Some(Step::Retire(issuer('A')))
    );
}

#[test]
fn one_that_drains_retires_while_the_next_one_waits() {
    let mut world = World::default();
    world.holdings.push(leaf('B', 7, at(9 * HOUR)));
    let record = draining().introduce(signer('C'), true, at(0)).unwrap();
    let record = record.distribute(at(0)).unwrap();
    assert_eq!(
        due(&record, &world.evidence()),
        Some(Step::Retire(issuer('A')))
    );
}
