//! Reserving, recording and finding.

use std::sync::Arc;

use super::*;
use crate::ledger::Entry;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::Query;
use crate::ledger::Reservation;

#[tokio::test]
async fn what_was_reserved_and_recorded_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    assert_eq!(
        ledger.reserve(intent(NOON, 1)).await,
        Ok(Reservation::Reserved)
    );
    ledger.record(serial(NOON, 1), vec![0x30, 1]).await.unwrap();
    drop(ledger);

    let found = open(dir.path()).find(serial(NOON, 1)).await.unwrap();
    let leaf_der = Some(vec![0x30, 1]);
    assert_eq!(
        found,
        Some(Entry {
            intent: intent(NOON, 1),
            leaf_der
        })
    );
}

#[tokio::test]
async fn an_intent_without_a_record_is_listed_as_one_whose_leaf_may_exist() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.reserve(intent(NOON, 1)).await.unwrap();

    let page = ledger
        .list(Query {
            limit: 10,
            ..Query::default()
        })
        .await
        .unwrap();
    assert_eq!(
        page.entries,
        [Entry {
            intent: intent(NOON, 1),
            leaf_der: None
        }]
    );
}

#[tokio::test]
async fn a_taken_serial_is_refused_and_the_first_intent_stays() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.create_token(token()).await.unwrap();
    ledger.reserve(intent(NOON, 1)).await.unwrap();

    let serial = serial(NOON, 1);
    assert_eq!(
        ledger.reserve(paid(1, "a")).await,
        Err(LedgerError::SerialTaken { serial })
    );
    assert_eq!(
        ledger.find(serial).await.unwrap().unwrap().intent,
        intent(NOON, 1)
    );
    assert_eq!(ledger.find_token(TOKEN).await, Ok(Some(token())));
}

#[tokio::test]
async fn two_reservations_of_one_serial_at_the_same_time_have_one_winner() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(open(dir.path()));
    let answers = at_once(0..32, |number| {
        let ledger = Arc::clone(&ledger);
        async move { ledger.reserve(intent(NOON, number / 2)).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 16);
}

#[tokio::test]
async fn a_leaf_is_not_noted_under_a_serial_that_nobody_reserved() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let serial = serial(NOON, 1);
    let refused = ledger.record(serial, vec![1]).await;
    assert_eq!(refused, Err(LedgerError::NotReserved { serial }));
    assert_eq!(ledger.find(serial).await, Ok(None));
}

#[tokio::test]
async fn a_row_that_the_store_would_not_sync_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let long = Intent {
        request_id: "x".repeat(8000),
        ..intent(NOON, 1)
    };
    let refused = ledger.reserve(long).await.unwrap_err();
    assert!(
        matches!(refused, LedgerError::Unstorable { .. }),
        "{refused}"
    );
    assert_eq!(ledger.find(serial(NOON, 1)).await, Ok(None));
}

#[tokio::test]
async fn each_root_has_the_last_second_of_its_longest_lived_leaf() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    for (number, root, seconds) in [
        (1, "old", 50),
        (2, "new", 70),
        (3, "old", 90),
        (4, "old", 60),
    ] {
        let validity = Validity::new(at(1), at(seconds)).unwrap();
        let intent = Intent {
            root: key(root),
            validity,
            ..asked(number)
        };
        ledger.reserve(intent).await.unwrap();
    }
    let mut roots = ledger.last_leaf_under_each_root().await.unwrap();
    roots.sort_by_key(|(_, last)| *last);
    assert_eq!(roots, [(key("new"), at(70)), (key("old"), at(90))]);
}

#[tokio::test]
async fn reservations_at_the_same_time_share_flushes() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(open(dir.path()));
    at_once(0..64, |task| {
        let ledger = Arc::clone(&ledger);
        async move {
            for number in 0..8 {
                ledger
                    .reserve(intent(NOON, task * 8 + number))
                    .await
                    .unwrap();
            }
        }
    })
    .await;
    let figures = ledger.figures();
    assert_eq!(figures.commands, 512);
    assert!(figures.flushes * 4 < figures.commands, "{figures:?}");
}

#[tokio::test]
async fn a_probe_is_flushed_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    for flushes in 1..4 {
        ledger.probe().await.unwrap();
        assert_eq!(ledger.figures().flushes, flushes);
    }
}

#[tokio::test]
async fn a_closed_ledger_is_unavailable() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.close().await.unwrap();
    let closed = LedgerError::Unavailable {
        reason: "it is closed".to_owned(),
    };
    assert_eq!(ledger.reserve(intent(NOON, 1)).await, Err(closed.clone()));
    assert_eq!(ledger.find(serial(NOON, 1)).await, Err(closed.clone()));
    assert_eq!(ledger.close().await, Err(closed));
}
