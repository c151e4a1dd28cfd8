//! From each state to the next, and what is refused in it.

use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::rotation::Candidate;
use crate::rotation::Origin;
use crate::rotation::Phase;
use crate::rotation::due;
use crate::rotation::fixtures::*;
use crate::rotation::publish;

fn names(record: &Record) -> String {
    let name = |signer: &Signer| {
        "ABCD"
            .chars()
            .find(|name| issuer(*name) == signer.issuer)
            .unwrap()
    };
    record.signers.iter().map(name).collect()
}

/// Active, next, and all signers.
fn shape(record: &Record) -> (Fingerprint, Option<Fingerprint>, String) {
    assert!(record.is_consistent());
    (record.active, record.next, names(record))
}

fn force(name: char) -> Option<Forced> {
    Some(Forced {
        fingerprint: issuer(name),
        reason: "audit".to_owned(),
    })
}

#[test]
fn a_rotation_goes_through_its_phases() {
    let world = World::default();
    let mut record = steady();
    assert_eq!(
        (record.phase(), record.roots(&[])),
        (Phase::Steady, vec![root('A')])
    );
    record = record.introduce(signer('B'), true, at(1)).unwrap();
    assert_eq!(
        (record.phase(), record.roots(&[])),
        (Phase::Prepare, vec![root('A')])
    );
    record = record.distribute(at(2)).unwrap();
    assert_eq!(
        (record.phase(), record.roots(&[])),
        (Phase::Distribute, vec![root('A'), root('B')])
    );
    record = record.activate(&world.evidence(), None, at(3)).unwrap();
    assert_eq!(
        (record.phase(), record.roots(&[])),
        (Phase::Drain, vec![root('B'), root('A')])
    );
    record = record
        .retire(&issuer('A'), &world.evidence(), None, at(4))
        .unwrap();
    assert_eq!(
        (record.phase(), record.roots(&[root('D')])),
        (Phase::Steady, vec![root('B'), root('D')])
    );
    assert_eq!((record.active, record.phase_since), (issuer('B'), at(4)));
    assert_eq!(record.journal.len(), 4);
}

#[test]
fn a_record_reads_back_as_it_was_written() {
    let record = draining().introduce(signer('C'), true, at(5)).unwrap();
    let record = record
        .taint(
            &issuer('A'),
            (Some(at(6)), Some(Duration::from_secs(9))),
            &all(),
            at(5),
        )
        .unwrap();
    let json = serde_json::to_string(&record).unwrap();
    assert!(
        json.contains(&format!("\"active\":\"{}\"", issuer('B'))),
        "{json}"
    );
    assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
}

#[test]
fn the_second_of_two_operators_is_told_that_it_is_done() {
    let world = World::default();
    let first = distributed()
        .activate(&world.evidence(), None, at(HOUR))
        .unwrap();
    let told = Refusal::AlreadyActive {
        issuer: issuer('B'),
        since: at(HOUR),
    };
    assert_eq!(
        first.activate(&world.evidence(), None, at(HOUR)),
        Err(told.clone())
    );
    assert_eq!(first.distribute(at(HOUR)), Err(told));
    let first = first
        .retire(&issuer('A'), &world.evidence(), None, at(HOUR))
        .unwrap();
    let told = Refusal::NotHeld {
        issuer: issuer('A'),
    };
    assert_eq!(
        first.retire(&issuer('A'), &world.evidence(), None, at(HOUR)),
        Err(told)
    );
    let twice = distributed().distribute(at(1));
    assert_eq!(
        twice,
        Err(Refusal::AlreadyDistributed {
            issuer: issuer('B'),
            since: at(0)
        })
    );
}

#[test]
fn a_shut_gate_refuses_and_force_goes_through_it_with_its_reason() {
    let mut world = World::default();
    world.holdings.push(leaf('A', 6, at(2 * HOUR)));
    let shut = distributed()
        .activate(&world.evidence(), None, at(HOUR))
        .unwrap_err();
    assert!(
        matches!(&shut, Refusal::GateShut { obstacles } if obstacles.len() == 1),
        "{shut}"
    );
    let forced = distributed()
        .activate(&world.evidence(), force('B'), at(HOUR))
        .unwrap();
    assert_eq!(
        forced.journal.last().unwrap().forced.as_deref(),
        Some("audit")
    );
    let shut = forced
        .retire(&issuer('A'), &world.evidence(), None, at(HOUR))
        .unwrap_err();
    assert!(matches!(shut, Refusal::GateShut { .. }));
    let forced = forced
        .retire(&issuer('A'), &world.evidence(), force('A'), at(HOUR))
        .unwrap();
    assert_eq!(
        forced.journal.last().unwrap().forced.as_deref(),
        Some("audit")
    );
}

#[test]
fn force_is_for_the_one_that_was_named_and_for_what_can_work() {
    let mut world = World::default();
    let told = Refusal::ForcedAnother {
        expected: issuer('B'),
        named: issuer('C'),
    };
    assert_eq!(
        distributed().activate(&world.evidence(), force('C'), at(0)),
        Err(told)
    );
    let told = Refusal::ForcedAnother {
        expected: issuer('A'),
        named: issuer('C'),
    };
    assert_eq!(
        draining().retire(&issuer('A'), &world.evidence(), force('C'), at(0)),
        Err(told)
    );
    assert!(
        draining()
            .retire(&issuer('B'), &world.evidence(), force('B'), at(0))
            .is_err()
    );
    world.since.remove(&root('B'));
    let shut = distributed()
        .activate(&world.evidence(), force('B'), at(0))
        .unwrap_err();
    assert!(shut.to_string().contains("distribute it first"), "{shut}");
}

#[test]
fn a_later_signer_replaces_one_that_never_signed() {
    let record = distributed().introduce(signer('C'), false, at(1)).unwrap();
    assert_eq!(
        shape(&record),
        (issuer('A'), Some(issuer('C')), "AC".to_owned())
    );
    assert_eq!(record.roots(&[]), [root('A')]);
    assert!(!record.auto);
}

#[test]
fn a_later_signer_after_activation_starts_at_once_and_the_others_drain() {
    let world = World::default();
    let record = draining().introduce(signer('C'), true, at(1)).unwrap();
    assert_eq!(
        shape(&record),
        (issuer('B'), Some(issuer('C')), "BAC".to_owned())
    );
    let mut world_with_c = World::default();
    world_with_c.since.insert(root('C'), 7);
    let record = record
        .distribute(at(1))
        .unwrap()
        .activate(&world_with_c.evidence(), None, at(2))
        .unwrap();
    assert_eq!(record.roots(&[]), [root('C'), root('B'), root('A')]);
    let record = record
        .retire(&issuer('B'), &world.evidence(), None, at(3))
        .unwrap();
    let record = record
        .retire(&issuer('A'), &world.evidence(), None, at(3))
        .unwrap();
    assert_eq!(shape(&record), (issuer('C'), None, "C".to_owned()));
}

#[test]
fn the_active_files_again_abort_and_an_older_signer_comes_back_by_its_gate() {
    let aborted = distributed().introduce(signer('A'), true, at(1)).unwrap();
    assert_eq!(shape(&aborted), (issuer('A'), None, "A".to_owned()));
    let again = aborted.introduce(signer('A'), true, at(1)).unwrap_err();
    assert!(matches!(again, Refusal::AlreadyActive { .. }));

    let mut world = World::default();
    world.holdings.push(leaf('B', 7, at(9 * HOUR)));
    let back = draining().introduce(signer('A'), true, at(1)).unwrap();
    assert_eq!(
        (back.phase(), back.next),
        (Phase::Distribute, Some(issuer('A')))
    );
    let back = back.activate(&world.evidence(), None, at(2)).unwrap();
    assert_eq!((back.active, names(&back)), (issuer('A'), "AB".to_owned()));
}

#[test]
fn abort_forgets_who_never_signed_and_keeps_who_did() {
    let hash = Some("hash".to_owned());
    let record = distributed().abort(hash.clone(), at(1)).unwrap();
    assert_eq!(shape(&record), (issuer('A'), None, "A".to_owned()));
    assert_eq!(record.aborted, hash);
    let told = Refusal::NothingToAbort {
        active: issuer('A'),
    };
    assert_eq!(record.abort(hash, at(1)), Err(told));
    let other = record.introduce(signer('C'), true, at(1)).unwrap();
    assert_eq!(other.aborted, None);

    let back = draining().introduce(signer('A'), true, at(1)).unwrap();
    let record = back.abort(None, at(2)).unwrap();
    assert_eq!(shape(&record), (issuer('B'), None, "BA".to_owned()));
}

#[test]
fn a_tainted_key_never_comes_back() {
    let mut again = signer('B');
    again.issuer = issuer('D');
    let record = distributed()
        .taint(&issuer('B'), (None, None), &all(), at(1))
        .unwrap();
    for newcomer in [signer('B'), again] {
        let refusal = record.introduce(newcomer, true, at(2)).unwrap_err();
        assert!(matches!(refusal, Refusal::Tainted { .. }));
    }
    let record = distributed()
        .taint(&issuer('A'), (None, None), &all(), at(1))
        .unwrap();
    assert!(matches!(
        record.abort(None, at(2)),
        Err(Refusal::Tainted { .. })
    ));
    assert!(matches!(
        record.introduce(signer('A'), true, at(2)),
        Err(Refusal::Tainted { .. })
    ));
    let mut over = signer('C');
    over.not_after = at(1);
    assert!(matches!(
        record.introduce(over, true, at(2)),
        Err(Refusal::Expired { .. })
    ));
}

#[test]
fn who_is_tainted_gives_way() {
    let waiting = distributed()
        .taint(&issuer('B'), (None, None), &all(), at(1))
        .unwrap();
    assert_eq!(shape(&waiting), (issuer('A'), None, "A".to_owned()));
    assert_eq!(waiting.renew_since, None);

    let signing = draining()
        .taint(&issuer('B'), (Some(at(9)), None), &all(), at(1))
        .unwrap();
    assert_eq!(shape(&signing), (issuer('A'), None, "AB".to_owned()));
    assert_eq!(
        (
            signing.renew_since,
            signing.distrusted_roots(&here(&all()), at(1))
        ),
        (Some(at(1)), vec![root('B')])
    );

    let alone = steady()
        .taint(&issuer('A'), (None, None), &all(), at(1))
        .unwrap();
    assert_eq!(
        (shape(&alone), alone.renew_since),
        ((issuer('A'), None, "A".to_owned()), None)
    );

    let old = draining()
        .taint(&issuer('A'), (None, None), &all(), at(1))
        .unwrap();
    assert_eq!((old.active, old.renew_since), (issuer('B'), Some(at(1))));
    let none_left = old
        .taint(&issuer('B'), (None, None), &all(), at(2))
        .unwrap();
    assert_eq!(none_left.active, issuer('B'));
    assert_eq!(
        old.taint(&issuer('D'), (None, None), &all(), at(1)),
        Err(Refusal::NotHeld {
            issuer: issuer('D')
        })
    );
}

#[test]
fn who_is_tainted_gives_way_to_nobody_whose_key_is_not_here() {
    let record = draining();
    let record = record
        .taint(&issuer('B'), (None, None), &[issuer('B')], at(1))
        .unwrap();
    assert_eq!(shape(&record), (issuer('B'), None, "BA".to_owned()));
    let tainted = record.signer(&issuer('B')).unwrap();
    assert_eq!((tainted.tainted, record.auto), (Some(at(1)), true));
    let away = record.introduce(signer('C'), true, at(2)).unwrap();
    assert_eq!(away.next, Some(issuer('C')));
}

#[test]
fn renewal_is_advised_until_the_last_leaf_of_a_stolen_key_is_gone() {
    let mut world = World::default();
    world.holdings.push(leaf('A', 7, at(2 * HOUR)));
    let mut record = draining();
    record.signers[0].roots.push(root('A'));
    let record = record.taint(&issuer('A'), (None, None), &all(), at(HOUR));
    let record = record.unwrap();
    let kept = record.retire(&issuer('A'), &world.evidence(), None, at(HOUR));
    assert!(matches!(kept, Err(Refusal::GateShut { .. })), "{kept:?}");
    assert_eq!(record.renew_since, Some(at(HOUR)));
    world.now = at(2 * HOUR + 121);
    let record = record.retire(&issuer('A'), &world.evidence(), None, world.now);
    assert_eq!(record.unwrap().renew_since, None);
}

#[test]
fn what_a_forced_retirement_let_go_stands_against_no_bundle_until_it_comes_back() {
    let mut world = World {
        crl_since: Some(HashMap::from([(issuer('A'), 5), (issuer('B'), 5)])),
        ..World::default()
    };
    world.holdings.push(leaf('A', 7, at(2 * HOUR)));
    let forced = draining().retire(&issuer('A'), &world.evidence(), force('A'), at(HOUR));
    let forced = forced.unwrap();
    let candidate = Candidate {
        roots: &[root('B')],
        covered: Some(&[issuer('B')]),
        signing: None,
    };
    let gate = |record: &Record, world: &World| publish(record, &candidate, &world.evidence());
    assert!(gate(&forced, &world).is_open());
    let back = forced.introduce(signer('A'), true, at(HOUR)).unwrap();
    let obstacles = gate(&back, &world).obstacles().len();
    assert_eq!(obstacles, 2, "its root leaves, and no list covers it");

    world.now = at(3 * HOUR);
    let later = forced.introduce(signer('C'), true, at(HOUR)).unwrap();
    let mut later = later.distribute(at(HOUR)).unwrap();
    assert_eq!(later.dropped_issuers, [issuer('A')]);
    (later.active, later.next) = (issuer('C'), None);
    let later = later.retire(&issuer('B'), &world.evidence(), None, at(HOUR));
    assert_eq!(later.unwrap().dropped_issuers, []);
}

#[test]
fn lists_that_come_later_cover_whoever_retired_without_them() {
    let mut world = World::default();
    world.holdings.push(leaf('A', 7, at(2 * HOUR)));
    let mut record = draining();
    record.signers[0].roots.push(root('A'));
    let record = record.retire(&issuer('A'), &world.evidence(), None, at(HOUR));
    let candidate = Candidate {
        roots: &[root('A'), root('B')],
        covered: Some(&[issuer('B')]),
        signing: None,
    };
    let gate = publish(&record.unwrap(), &candidate, &world.evidence());
    let issuer = issuer('A');
    assert_eq!(gate.obstacles(), [Obstacle::Uncovered { issuer }]);
}

#[test]
fn a_record_without_its_signers_or_with_one_twice_makes_no_sense() {
    let edits: [fn(&mut Record); 4] = [
        |record| record.signers.clear(),
        |record| record.active = issuer('C'),
        |record| record.next = Some(record.active),
        |record| record.signers.push(signer('A')),
    ];
    for (which, edit) in edits.iter().enumerate() {
        let mut record = distributed();
        assert!(record.is_consistent());
        edit(&mut record);
        assert!(!record.is_consistent(), "{which}");
    }
}

#[test]
fn a_tainted_signer_gives_way_to_one_that_was_to_come_back() {
    let back = draining().introduce(signer('A'), true, at(1)).unwrap();
    let record = back
        .taint(&issuer('B'), (None, None), &all(), at(2))
        .unwrap();
    assert_eq!(shape(&record), (issuer('A'), None, "AB".to_owned()));
}

#[test]
fn renewal_is_advised_from_activation_to_the_last_retirement() {
    let world = World::default();
    let hasty = distributed().hasten(Duration::from_secs(7200), at(1));
    assert_eq!(
        (hasty.renew_within, hasty.renew_since),
        (Some(Duration::from_secs(7200)), None)
    );
    let hasty = hasty.activate(&world.evidence(), None, at(2)).unwrap();
    assert_eq!(hasty.renew_since, Some(at(2)));
    let calm = hasty
        .retire(&issuer('A'), &world.evidence(), None, at(3))
        .unwrap();
    assert_eq!((calm.renew_within, calm.renew_since), (None, None));
    let late = draining().hasten(Duration::from_secs(7200), at(4));
    assert_eq!(late.renew_since, Some(at(4)));
    assert_eq!(draining().renew_since, None);
}

#[test]
fn a_signer_whose_predecessor_lost_its_key_signs_at_once() {
    let record = steady()
        .replace(signer('B'), force('B').unwrap(), at(1))
        .unwrap();
    assert_eq!(shape(&record), (issuer('B'), None, "BA".to_owned()));
    assert_eq!(record.roots(&[]), [root('B'), root('A')]);
    assert_eq!(
        record.journal.last().unwrap().forced.as_deref(),
        Some("audit")
    );
    assert!(
        record
            .replace(signer('B'), force('B').unwrap(), at(1))
            .is_err()
    );
}

#[test]
fn new_facts_of_a_signer_change_nothing_of_what_happened() {
    let mut newer = signer('A');
    newer.roots.push(root('D'));
    newer.first_loaded = at(99);
    let record = draining().refresh(newer.clone(), at(5)).unwrap();
    let known = record.signer(&issuer('A')).unwrap();
    assert_eq!(
        (known.roots.len(), known.first_loaded, known.has_signed),
        (2, at(0), true)
    );
    newer.issuer = issuer('D');
    assert_eq!(
        record.refresh(newer, at(6)),
        Err(Refusal::NotHeld {
            issuer: issuer('D')
        })
    );
}

#[test]
fn the_journal_keeps_the_last_hundred() {
    let mut record = steady();
    for second in 0..70 {
        record = record.introduce(signer('B'), true, at(second)).unwrap();
        record = record.abort(None, at(second)).unwrap();
    }
    assert_eq!(record.journal.len(), 100);
    assert_eq!(record.journal.last().unwrap().at, at(69));
}

#[test]
fn a_way_out_of_a_stolen_key_that_is_withdrawn_stays_until_all_know_another_one() {
    let stolen = distributed().taint(&issuer('A'), (None, None), &all(), at(1));
    let stolen = stolen.unwrap();
    let tainted = stolen.taint(&issuer('B'), (None, None), &all(), at(2));
    let tainted = tainted.unwrap();
    assert_eq!(shape(&tainted), (issuer('A'), None, "AB".to_owned()));
    let mut world = World::default();
    world.holdings.push(leaf('A', 7, at(9 * HOUR)));
    assert_eq!(due(&tainted, &world.evidence()), None);
    for before in [stolen, tainted] {
        let record = before.introduce(signer('C'), true, at(3)).unwrap();
        assert_eq!(record.next, Some(issuer('C')));
        assert!(record.roots(&[]).contains(&root('B')));
        let record = record.distribute(at(4)).unwrap();
        world.since = HashMap::from([(root('A'), 5), (root('B'), 7), (root('C'), 8)]);
        let mut signs = record.clone();
        (signs.active, signs.next) = (issuer('C'), None);
        for record in [record, signs] {
            let kept = record.retire(&issuer('B'), &world.evidence(), None, at(5));
            assert!(matches!(kept, Err(Refusal::GateShut { .. })), "{kept:?}");
            let mut later = World::default();
            later.since.clone_from(&world.since);
            later.holdings.push(leaf('A', 8, at(9 * HOUR)));
            let gone = record.retire(&issuer('B'), &later.evidence(), None, at(5));
            assert!(gone.unwrap().dropped_roots.contains(&root('B')));
        }
    }
}

#[test]
fn nobody_renews_away_from_a_signer_that_never_signed() {
    let stolen = distributed().taint(&issuer('A'), (None, None), &all(), at(1));
    let tainted = stolen
        .unwrap()
        .taint(&issuer('B'), (None, None), &all(), at(2));
    let hasty = tainted.unwrap().hasten(Duration::from_secs(9), at(3));
    assert_eq!(hasty.renew_since, None);
}

/// How a signer that waits is withdrawn.
type End = fn(&Record) -> Result<Record, Refusal>;

#[test]
fn a_root_of_our_own_that_signed_nothing_is_let_go_of_and_no_other_is() {
    let ours = Signer {
        origin: Origin::SelfSigned,
        ..signer('B')
    };
    let waiting = |next: Signer| steady().introduce(next, true, at(0)).unwrap();
    let ends: [End; 3] = [
        |record| record.abort(None, at(1)),
        |record| record.introduce(signer('C'), true, at(1)),
        |record| record.taint(&issuer('B'), (None, None), &all(), at(1)),
    ];
    let mut shared = ours.clone();
    (shared.root, shared.roots) = (root('A'), vec![root('A')]);
    for end in ends {
        let dropped = |next: Signer| end(&waiting(next)).unwrap().dropped_roots;
        assert_eq!(dropped(ours.clone()), [root('B')]);
        assert_eq!(dropped(signer('B')), [], "it may have signed elsewhere");
        assert_eq!(dropped(shared.clone()), [], "another one has it");
        let mut signed = waiting(ours.clone());
        signed.signers[1].has_signed = true;
        assert_eq!(end(&signed).unwrap().dropped_roots, [], "it signed");
    }
    let again = waiting(ours.clone()).abort(None, at(1)).unwrap();
    assert_eq!(
        again.introduce(ours, true, at(2)).unwrap().dropped_roots,
        []
    );
}
