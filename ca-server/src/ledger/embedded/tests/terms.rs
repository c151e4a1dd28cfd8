//! Terms: in force once answered, and nothing under others comes behind.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use super::super::import;
use super::*;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::Query;
use crate::ledger::Reservation;
use crate::ledger::Terms;

fn terms(issuer: &str, bundle: u64) -> Terms {
    Terms {
        issuer: key(issuer),
        bundle,
    }
}

fn other(Terms { issuer, bundle }: Terms) -> Result<Reservation, LedgerError> {
    Err(LedgerError::OtherTerms { issuer, bundle })
}

#[tokio::test]
async fn without_terms_everything_is_reserved_and_with_them_what_is_under_them() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    assert_eq!(ledger.terms().await, Ok(None));
    for number in 0..3 {
        let reserved = ledger.reserve(held(number, number, 1)).await;
        assert_eq!(reserved, Ok(Reservation::Reserved));
    }
    for bundle in [7, 8] {
        ledger.set_terms(terms("issuer", bundle)).await.unwrap();
        assert_eq!(ledger.terms().await, Ok(Some(terms("issuer", bundle))));
        let reserved = ledger.reserve(held(bundle, bundle, 1)).await;
        assert_eq!(reserved, Ok(Reservation::Reserved));
    }
}

#[tokio::test]
async fn under_another_issuer_or_bundle_nothing_is_reserved_spent_or_marked() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.create_token(token()).await.unwrap();
    for in_force in [terms("other", 7), terms("issuer", 6), terms("issuer", 8)] {
        ledger.set_terms(in_force).await.unwrap();
        for instance in [None, held(1, 7, 1).instance] {
            let late = Intent {
                bundle: 7,
                instance,
                ..paid(1, "a")
            };
            assert_eq!(ledger.reserve(late).await, other(in_force));
        }
    }
    assert_eq!(ledger.find(serial(NOON, 1)).await, Ok(None));
    assert_eq!(ledger.find_token(TOKEN).await, Ok(Some(token())));
    assert_eq!(ledger.holdings(at(NOON)).await, Ok(vec![]));
}

#[tokio::test]
async fn the_authoritys_own_certificate_and_an_answer_given_again_are_not_held_to_the_terms() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.create_token(token()).await.unwrap();
    ledger.reserve(paid(1, "a")).await.unwrap();
    ledger.record(serial(NOON, 1), vec![0x30]).await.unwrap();
    ledger.set_terms(terms("other", 7)).await.unwrap();

    let own = ledger.reserve(intent(NOON, 2)).await;
    assert_eq!(own, Ok(Reservation::Reserved));
    let again = ledger.reserve(paid(3, "a")).await;
    assert!(matches!(again, Ok(Reservation::Repeat(_))), "{again:?}");
}

#[tokio::test]
async fn a_spent_token_whose_leaf_was_never_recorded_is_held_to_the_terms() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.create_token(token()).await.unwrap();
    ledger.reserve(paid(1, "a")).await.unwrap();
    ledger.set_terms(terms("issuer", 7)).await.unwrap();
    let later = after_seconds(paid(2, "a"), 60);
    let refused = ledger.reserve(later.clone()).await;
    assert_eq!(refused, other(terms("issuer", 7)));
    let under_them = Intent { bundle: 7, ..later };
    let reserved = ledger.reserve(under_them).await;
    assert_eq!(reserved, Ok(Reservation::Reserved));
}

#[tokio::test]
async fn terms_survive_a_restart_and_do_not_travel_in_an_archive() {
    let dir = tempfile::tempdir().unwrap();
    let (first, restored) = (dir.path().join("one"), dir.path().join("two"));
    let ledger = open(&first);
    ledger.set_terms(terms("issuer", 7)).await.unwrap();
    drop(ledger);

    let ledger = open(&first);
    assert_eq!(ledger.terms().await, Ok(Some(terms("issuer", 7))));
    let refused = ledger.reserve(held(1, 6, 1)).await;
    assert_eq!(refused, other(terms("issuer", 7)));
    let (archive, rows) = ledger.export(Vec::new()).await.unwrap();
    assert_eq!(rows, 0);
    import(&restored, &archive[..]).unwrap();
    assert_eq!(open(&restored).terms().await, Ok(None));
}

#[tokio::test]
async fn terms_are_on_the_disk_when_they_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    for bundle in 1..4 {
        ledger.set_terms(terms("issuer", bundle)).await.unwrap();
        assert_eq!(ledger.figures().flushes, bundle);
    }
}

#[tokio::test]
async fn terms_and_reservations_in_one_group_count_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let (first, set, late, new) = tokio::join!(
        ledger.reserve(held(1, 7, 1)),
        ledger.set_terms(terms("issuer", 8)),
        ledger.reserve(held(2, 7, 1)),
        ledger.reserve(held(3, 8, 1)),
    );
    assert_eq!(first, Ok(Reservation::Reserved));
    assert_eq!(set, Ok(()));
    assert_eq!(late, other(terms("issuer", 8)));
    assert_eq!(new, Ok(Reservation::Reserved));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn once_terms_were_answered_the_ledger_has_all_that_it_will_ever_have_under_those_before() {
    for round in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let ledger = shared(open(dir.path()));
        let answered = Arc::new(AtomicBool::new(false));
        let racing = at_once(0..256, |task| {
            let (ledger, answered) = (Arc::clone(&ledger), Arc::clone(&answered));
            async move { reserve_until_refused(&ledger, &answered, task * 1000).await }
        });
        let setting = async {
            // In the midst of it: a few groups are through.
            while ledger.figures().flushes < 3 {
                tokio::task::yield_now().await;
            }
            ledger.set_terms(terms("issuer", 8)).await.unwrap();
            answered.store(true, Ordering::SeqCst);
            (entries(&ledger).await, ledger.holdings(at(NOON)).await)
        };
        let (late, (seen, held)) = within_a_minute(async { tokio::join!(racing, setting) }).await;
        assert_eq!(late.iter().sum::<u32>(), 0, "round {round}");
        assert!(seen >= 256, "round {round}: the race was over before");
        assert_eq!(entries(&ledger).await, seen, "round {round}");
        assert_eq!(ledger.holdings(at(NOON)).await, held, "round {round}");
    }
}

async fn entries(ledger: &SledLedger) -> usize {
    let limit = usize::MAX;
    let query = Query {
        limit,
        ..Query::default()
    };
    ledger.list(query).await.unwrap().entries.len()
}

/// Counts the reservations that were begun after the terms were answered and came about all the same.
async fn reserve_until_refused(ledger: &SledLedger, answered: &AtomicBool, from: u64) -> u32 {
    for number in from.. {
        let set_before = answered.load(Ordering::SeqCst);
        let instance = u8::try_from(from / 1000).unwrap();
        match ledger.reserve(held(number, 7, instance)).await {
            Ok(_) if set_before => return 1,
            Ok(_) => {}
            refused => {
                assert_eq!(refused, other(terms("issuer", 8)));
                break;
            }
        }
    }
    0
}
