//! Marks: who may hold what, until when, and what was said of it.

use std::collections::BTreeSet;

use super::super::import;
use super::*;
use crate::ledger::Denial;
use crate::ledger::Holder;
use crate::ledger::Holding;
use crate::ledger::Ledger;
use crate::ledger::Target;

/// The holding of `held(number, bundle, instance)`, if it is the only leaf.
fn holding(number: u64, bundle: u64, instance: u8) -> Holding {
    Holding {
        issuer: key("issuer"),
        root: key("root"),
        bundle,
        holder: Some(Holder {
            instance: InstanceId::from([instance; 16]),
            spiffe_id: id(CART),
            acknowledged: None,
            newest: Some((serial(NOON, number), key("root"))),
        }),
        last_second: at(NOON + DAY),
    }
}

fn until(intent: Intent, last_second: u64) -> Intent {
    let validity = Validity::new(at(1), at(last_second)).unwrap();
    Intent { validity, ..intent }
}

async fn holdings(ledger: &SledLedger) -> Vec<Holding> {
    let mut holdings = ledger.holdings(at(NOON)).await.unwrap();
    holdings.sort_by_key(|held| (held.bundle, held.holder.as_ref().map(|by| by.instance)));
    holdings
}

async fn only_holder(ledger: &SledLedger) -> Holder {
    let mut holdings = holdings(ledger).await;
    assert_eq!(holdings.len(), 1, "{holdings:?}");
    holdings.remove(0).holder.unwrap()
}

#[tokio::test]
async fn each_issuer_bundle_instance_and_name_has_the_last_second_of_its_longest_lived_leaf() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let variants = [
        held(0, 7, 1),
        held(0, 8, 1),
        held(0, 7, 2),
        Intent {
            issuer: key("issuer 2"),
            root: key("root 2"),
            ..held(0, 7, 1)
        },
        Intent {
            name: LeafName::Workload(id("spiffe://td/other")),
            ..held(0, 7, 1)
        },
    ];
    let (mut number, mut expected) = (0, BTreeSet::new());
    for (variant, longest) in (1..).zip(variants) {
        for hours in [1, 1 + variant, 2] {
            number += 1;
            let serial = serial(NOON, number);
            let intent = Intent {
                serial,
                ..longest.clone()
            };
            ledger
                .reserve(until(intent, NOON + hours * HOUR))
                .await
                .unwrap();
        }
        let last_second = at(NOON + (1 + variant).max(2) * HOUR);
        expected.insert((longest.issuer, longest.root, longest.bundle, last_second));
    }
    let seen = holdings(&ledger).await.into_iter();
    let seen = seen.map(|held| (held.issuer, held.root, held.bundle, held.last_second));
    assert_eq!(seen.collect::<BTreeSet<_>>(), expected);
    assert_eq!(expected.len(), 5);
}

#[tokio::test]
async fn callers_without_an_instance_share_one_mark_and_the_authority_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let own = Intent {
        bundle: 7,
        instance: held(1, 7, 1).instance,
        ..intent(NOON, 9)
    };
    ledger.reserve(own).await.unwrap();
    assert_eq!(holdings(&ledger).await, []);
    for number in 1..4 {
        let name = LeafName::Workload(id(&format!("spiffe://td/{number}")));
        ledger
            .reserve(Intent {
                name,
                ..asked(number)
            })
            .await
            .unwrap();
    }
    let expected = Holding {
        holder: None,
        ..holding(1, 0, 1)
    };
    assert_eq!(holdings(&ledger).await, [expected]);
}

#[tokio::test]
async fn a_leaf_is_held_until_its_last_second_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.reserve(until(held(1, 7, 1), NOON)).await.unwrap();
    let almost_a_second = Duration::from_nanos(999_999_999);
    for (now, held) in [
        (at(NOON - 1), 1),
        (at(NOON), 1),
        (at(NOON) + almost_a_second, 1),
        (at(NOON + 1), 0),
    ] {
        assert_eq!(ledger.holdings(now).await.unwrap().len(), held, "{now:?}");
    }
}

#[tokio::test]
async fn the_last_word_of_an_agent_counts_whatever_it_said_before() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.reserve(held(1, 7, 1)).await.unwrap();
    let shared = Acknowledgement {
        shared: true,
        ..said(1, 8, Some(serial(NOON, 1)))
    };
    for word in [said(1, 9, None), shared, said(1, 5, None)] {
        ledger.acknowledge(word.clone()).await.unwrap();
        assert_eq!(only_holder(&ledger).await.acknowledged, Some(word));
    }
}

#[tokio::test]
async fn nobody_speaks_for_another_instance_or_name() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.reserve(held(1, 7, 1)).await.unwrap();
    let spiffe_id = id("spiffe://td/other");
    let as_another = Acknowledgement {
        spiffe_id,
        ..said(1, 9, None)
    };
    ledger.acknowledge(as_another).await.unwrap();
    ledger.acknowledge(said(2, 9, None)).await.unwrap();
    assert_eq!(only_holder(&ledger).await.acknowledged, None);
}

#[tokio::test]
async fn one_acknowledgement_covers_all_leaves_of_its_instance() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    for (number, bundle) in [(1, 6), (2, 7), (3, 8)] {
        ledger.reserve(held(number, bundle, 1)).await.unwrap();
    }
    ledger.acknowledge(said(1, 8, None)).await.unwrap();
    let holders = holdings(&ledger).await.into_iter().map(|held| held.holder);
    let words: Vec<_> = holders.map(|by| by.unwrap().acknowledged).collect();
    assert_eq!(words, vec![Some(said(1, 8, None)); 3]);
}

#[tokio::test]
async fn the_newest_leaf_is_the_one_reserved_last_whether_or_not_it_was_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    // The clock was set back in between: the last serial is not the greatest.
    for (number, record) in [(1, true), (3, false), (2, true)] {
        let root = key(&number.to_string());
        let intent = Intent {
            root,
            ..held(number, 7, 1)
        };
        ledger.reserve(intent).await.unwrap();
        if record {
            ledger
                .record(serial(NOON, number), vec![0x30])
                .await
                .unwrap();
        }
        let newest = only_holder(&ledger).await.newest;
        assert_eq!(newest, Some((serial(NOON, number), root)));
    }
    ledger.reserve(held(4, 7, 2)).await.unwrap();
    let of_first = holdings(&ledger).await[0].holder.as_ref().unwrap().newest;
    assert_eq!(of_first, Some((serial(NOON, 2), key("2"))));
}

#[tokio::test]
async fn what_is_refused_or_answered_again_changes_no_mark() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.create_token(token()).await.unwrap();
    let enrolment = Intent {
        bundle: 7,
        instance: held(1, 7, 1).instance,
        ..paid(1, "a")
    };
    ledger.reserve(enrolment.clone()).await.unwrap();
    ledger.record(serial(NOON, 1), vec![0x30]).await.unwrap();
    let again = Intent {
        serial: serial(NOON, 2),
        ..until(enrolment, NOON + 2 * DAY)
    };
    ledger.reserve(again).await.unwrap();
    ledger
        .reserve(until(held(1, 7, 1), NOON + 2 * DAY))
        .await
        .unwrap_err();
    let denial = Denial {
        target: Target::SpiffeId(id(CART)),
        reason: "lost".parse().unwrap(),
        since: at(NOON),
    };
    ledger.deny(denial).await.unwrap();
    ledger
        .reserve(until(held(3, 7, 1), NOON + 2 * DAY))
        .await
        .unwrap_err();
    assert_eq!(holdings(&ledger).await, [holding(1, 7, 1)]);
}

#[tokio::test]
async fn marks_and_words_survive_a_restart_and_an_archive() {
    let dir = tempfile::tempdir().unwrap();
    let (first, restored) = (dir.path().join("one"), dir.path().join("two"));
    let ledger = open(&first);
    // Serials against the order in which they came: what is newest cannot be told from the entries.
    for (number, instance) in [(2, 1), (1, 1), (3, 2)] {
        ledger.reserve(held(number, 7, instance)).await.unwrap();
    }
    ledger.reserve(asked(4)).await.unwrap();
    ledger.acknowledge(said(1, 7, None)).await.unwrap();
    let before = holdings(&ledger).await;
    assert_eq!((before.len(), &before[2]), (3, &holding(3, 7, 2)));
    drop(ledger);

    let ledger = open(&first);
    let (archive, rows) = ledger.export(Vec::new()).await.unwrap();
    assert_eq!(rows, 4 + 3 + 2 + 1);
    assert_eq!(import(&restored, &archive[..]).unwrap(), rows);
    assert_eq!(holdings(&ledger).await, before);
    assert_eq!(holdings(&open(&restored)).await, before);
}

#[tokio::test]
async fn asking_who_holds_what_costs_no_more_with_more_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let mut costs = BTreeSet::new();
    for hundred in 0..3 {
        for number in 0..100 {
            ledger
                .reserve(held(hundred * 100 + number, 7, 1))
                .await
                .unwrap();
        }
        let before = ledger.figures().rows_read;
        only_holder(&ledger).await;
        costs.insert(ledger.figures().rows_read - before);
    }
    assert_eq!(costs.into_iter().collect::<Vec<_>>(), [3]);
}
