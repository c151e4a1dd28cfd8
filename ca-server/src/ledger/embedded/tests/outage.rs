//! The store fails, in place of a test's disk and for real; the ledger says so and comes back.

use std::io;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use super::super::FlushGate;
use super::super::failure::Failure;
use super::*;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::Query;
use crate::ledger::Reservation;

/// A ledger whose next flushes fail, as many as the number says.
fn open_with_faults(dir: &Path, panics: bool) -> (SledLedger, Arc<AtomicU32>) {
    let faults = Arc::new(AtomicU32::new(0));
    let left = Arc::clone(&faults);
    let keeper = move || {
        let failing = left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .is_ok();
        assert!(!(failing && panics), "the test panics in the flush");
        match failing {
            true => Err(Failure::from(io::Error::other("no room"))),
            false => Ok(()),
        }
    };
    let gate = FlushGate {
        keeper: Some(Arc::new(keeper)),
    };
    (SledLedger::open_behind(gate, dir, quick()).unwrap(), faults)
}

/// Asks until the ledger is back; it says `Unavailable` and nothing else until then.
async fn until_back(ledger: &SledLedger) {
    let back = async {
        loop {
            match ledger.probe().await {
                Ok(()) => return,
                Err(LedgerError::Unavailable { .. }) => tokio::task::yield_now().await,
                Err(other) => panic!("{other}"),
            }
        }
    };
    within_a_minute(back).await;
}

#[tokio::test]
async fn a_flush_that_fails_or_panics_is_unavailable_and_the_ledger_recovers() {
    for panics in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, faults) = open_with_faults(dir.path(), panics);
        ledger.reserve(intent(NOON, 1)).await.unwrap();
        faults.store(1, Ordering::SeqCst);

        let failed = ledger.reserve(intent(NOON, 2)).await;
        assert!(
            matches!(failed, Err(LedgerError::Unavailable { .. })),
            "{failed:?}"
        );
        until_back(&ledger).await;
        assert_eq!(ledger.figures().reopenings, 1);
        assert!(ledger.find(serial(NOON, 1)).await.unwrap().is_some());
        assert_eq!(
            ledger.reserve(intent(NOON, 3)).await,
            Ok(Reservation::Reserved)
        );
    }
}

#[tokio::test]
async fn everyone_in_a_group_that_fails_hears_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, faults) = open_with_faults(dir.path(), false);
    let ledger = shared(ledger);
    faults.store(u32::MAX, Ordering::SeqCst);
    let answers = at_once(0..50, |number| {
        let ledger = Arc::clone(&ledger);
        async move { ledger.reserve(intent(NOON, number)).await }
    })
    .await;
    for answer in answers {
        assert!(
            matches!(answer, Err(LedgerError::Unavailable { .. })),
            "{answer:?}"
        );
    }
    faults.store(0, Ordering::SeqCst);
    until_back(&ledger).await;
}

#[tokio::test]
async fn a_token_in_a_failed_group_is_still_good_for_the_same_key_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, faults) = open_with_faults(dir.path(), false);
    ledger.create_token(token()).await.unwrap();
    faults.store(1, Ordering::SeqCst);
    ledger.reserve(paid(1, "a")).await.unwrap_err();
    until_back(&ledger).await;

    let later = after_seconds(paid(2, "a"), 12);
    assert_eq!(ledger.reserve(later).await, Ok(Reservation::Reserved));
    let other = ledger.reserve(paid(3, "b")).await;
    assert!(
        matches!(other, Err(LedgerError::TokenRefused { .. })),
        "{other:?}"
    );
}

#[tokio::test]
async fn a_record_becomes_durable_without_anybody_asking_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.reserve(intent(NOON, 1)).await.unwrap();
    ledger.record(serial(NOON, 1), vec![0x30]).await.unwrap();
    let flushed = async {
        while ledger.figures().flushes < 2 {
            tokio::task::yield_now().await;
        }
    };
    within_a_minute(flushed).await;
}

#[tokio::test]
async fn a_ledger_whose_directory_was_taken_away_is_not_replaced_by_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (dir.path().join("ledger"), dir.path().join("elsewhere"));
    let (ledger, faults) = open_with_faults(&here, false);
    ledger.reserve(intent(NOON, 1)).await.unwrap();
    std::fs::rename(&here, &there).unwrap();
    faults.store(1, Ordering::SeqCst);
    ledger.probe().await.unwrap_err();

    let gone = |error: &LedgerError| error.to_string().contains("its files are gone");
    let noticed = async {
        while !ledger.probe().await.is_err_and(|error| gone(&error)) {
            tokio::task::yield_now().await;
        }
    };
    within_a_minute(noticed).await;
    assert!(!here.exists());
    std::fs::rename(&there, &here).unwrap();
    until_back(&ledger).await;
    assert!(ledger.find(serial(NOON, 1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_ledger_that_is_away_closes_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, faults) = open_with_faults(dir.path(), false);
    faults.store(1, Ordering::SeqCst);
    ledger.probe().await.unwrap_err();
    ledger.close().await.unwrap();
    let page = open(dir.path()).list(Query::default()).await.unwrap();
    assert_eq!(page.entries, []);
}
