//! Nobody is told to distrust all that the server shows.

use super::*;
use crate::rotation::fixtures::*;

/// A's key is stolen, B is published.
fn stolen() -> Record {
    let stolen = distributed().taint(&issuer('A'), (None, None), &all(), at(1));
    stolen.unwrap()
}

#[test]
fn a_root_is_distrusted_as_soon_as_agents_know_another_one() {
    let mut world = World::default();
    world.since.insert(root('B'), 7);
    let alone = steady().taint(&issuer('A'), (None, None), &all(), at(1));
    let record = alone.unwrap();
    assert_eq!(record.distrusted_roots(&here(&all()), at(1)), []);
    let record = record.introduce(signer('B'), true, at(2)).unwrap();
    assert_eq!(record.distrusted_roots(&here(&all()), at(2)), []);
    let record = record.distribute(at(2)).unwrap();
    assert_eq!(record.distrusted_roots(&here(&all()), at(2)), [root('A')]);
    let record = record.activate(&world.evidence(), None, at(3)).unwrap();
    assert_eq!(record.distrusted_roots(&here(&all()), at(3)), [root('A')]);
}

#[test]
fn a_next_signer_that_is_not_valid_yet_is_no_way_out() {
    let tainted = steady().taint(&issuer('A'), (None, None), &all(), at(1));
    let mut next = signer('B');
    next.not_before = at(9);
    let record = tainted.unwrap().introduce(next, true, at(2)).unwrap();
    let record = record.distribute(at(2)).unwrap();
    assert_eq!(record.distrusted_roots(&here(&all()), at(8)), []);
    assert_eq!(record.distrusted_roots(&here(&all()), at(9)), [root('A')]);
}

#[test]
fn the_same_root_certified_again_is_no_way_out() {
    let same_root = &[vec![root('A'), root('B')]];
    let loaded = &all();
    let at_hand = AtHand { loaded, same_root };
    let mut record = stolen();
    assert_eq!(record.distrusted_roots(&at_hand, at(2)), []);
    let mut world = World::default();
    world.since.insert(root('C'), 7);
    record = record.activate(&world.evidence(), None, at(3)).unwrap();
    assert_eq!(record.distrusted_roots(&at_hand, at(3)), []);
    record = record.introduce(signer('C'), true, at(4)).unwrap();
    record = record.distribute(at(4)).unwrap();
    assert_eq!(record.distrusted_roots(&at_hand, at(4)), [root('A')]);
}

#[test]
fn a_next_signer_whose_key_is_not_here_is_no_way_out() {
    let only_a = [issuer('A')];
    assert_eq!(stolen().distrusted_roots(&here(&only_a), at(2)), []);
    assert_eq!(stolen().distrusted_roots(&here(&all()), at(2)), [root('A')]);
}

#[test]
fn a_next_signer_that_is_over_is_no_way_out() {
    let mut record = stolen();
    record.signers[1].not_after = at(1);
    assert_eq!(record.distrusted_roots(&here(&all()), at(2)), []);
}

#[test]
fn who_may_be_known_alone_is_distrusted_when_there_is_another_way() {
    let withdrawn = stolen().taint(&issuer('B'), (None, None), &all(), at(2));
    let record = withdrawn.unwrap();
    let told = |record: &Record| record.distrusted_roots(&here(&all()), at(3));
    assert_eq!(told(&record), []);
    let record = record.introduce(signer('C'), true, at(3)).unwrap();
    assert_eq!(told(&record), [], "nobody knows it yet");
    let record = record.distribute(at(3)).unwrap();
    assert_eq!(told(&record), [root('A'), root('B')]);
    let replaced = stolen().introduce(signer('C'), true, at(2)).unwrap();
    assert_eq!(told(&replaced), [root('A')], "B is still shown");
}

#[test]
fn who_drains_may_go_and_is_no_way_out() {
    let mut record = draining();
    assert_eq!(record.active, issuer('B'));
    let mut signers = record.signers.iter_mut();
    let active = signers.find(|it| it.issuer == issuer('B')).unwrap();
    active.tainted = Some(at(1));
    assert_eq!(record.distrusted_roots(&here(&all()), at(2)), []);
}
