//! Denials: in effect once answered, durable, and gone only when taken back.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use super::super::import;
use super::*;
use crate::ledger::Denial;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::Reservation;
use crate::ledger::Target;

fn denial(target: Target) -> Denial {
    Denial {
        target,
        reason: "laptop lost".parse().unwrap(),
        since: at(NOON) + Duration::from_nanos(7),
    }
}

fn name() -> Target {
    Target::SpiffeId(id(CART))
}

async fn refused(ledger: &SledLedger, intent: Intent, by: &Target) {
    let serial = intent.serial;
    let expected = LedgerError::Denied(Box::new(denial(by.clone())));
    assert_eq!(ledger.reserve(intent).await, Err(expected));
    assert_eq!(ledger.find(serial).await, Ok(None));
}

#[tokio::test]
async fn whatever_of_an_intent_or_its_caller_is_denied_it_is_not_reserved_until_allowed_again() {
    let shown = Target::from(serial(NOON, 99));
    let elsewhere = Target::SpiffeId(id("spiffe://td/node"));
    let client_key = Target::Key(key("client"));
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let targets = [
        name(),
        Target::Key(key("key")),
        shown.clone(),
        elsewhere.clone(),
        client_key.clone(),
    ];
    for (number, target) in (1..).zip(targets) {
        let intent = Intent {
            caller: vec![elsewhere.clone(), shown.clone(), client_key.clone()],
            ..asked(number)
        };
        ledger.deny(denial(target.clone())).await.unwrap();
        refused(&ledger, intent.clone(), &target).await;
        assert_eq!(ledger.allow(target.clone()).await, Ok(Some(denial(target))));
        assert_eq!(ledger.reserve(intent).await, Ok(Reservation::Reserved));
    }
    assert_eq!(ledger.list_denials().await, Ok(vec![]));
}

#[tokio::test]
async fn another_name_serial_or_key_is_not_denied() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let others = [
        Target::SpiffeId(id("spiffe://td/ns/shop/sa/cart2")),
        Target::from(serial(NOON, 98)),
        Target::Key(key("other")),
    ];
    for other in others {
        ledger.deny(denial(other)).await.unwrap();
    }
    let caller = vec![name(), Target::from(serial(NOON, 99))];
    let reserved = ledger.reserve(Intent { caller, ..asked(1) }).await;
    assert_eq!(reserved, Ok(Reservation::Reserved));
}

#[tokio::test]
async fn the_authoritys_own_certificate_cannot_be_denied() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.deny(denial(Target::Key(key("key")))).await.unwrap();
    ledger
        .deny(denial(Target::from(serial(NOON, 1))))
        .await
        .unwrap();
    assert_eq!(
        ledger.reserve(intent(NOON, 1)).await,
        Ok(Reservation::Reserved)
    );
}

#[tokio::test]
async fn a_denial_spends_no_token_and_stops_the_repeat_of_a_spent_one() {
    for target in [name(), Target::Key(key("a")), Target::from(serial(NOON, 1))] {
        let dir = tempfile::tempdir().unwrap();
        let ledger = open(dir.path());
        ledger.create_token(token()).await.unwrap();
        ledger.deny(denial(name())).await.unwrap();
        refused(&ledger, paid(1, "a"), &name()).await;
        assert_eq!(ledger.find_token(TOKEN).await, Ok(Some(token())));

        ledger.allow(name()).await.unwrap();
        ledger.reserve(paid(1, "a")).await.unwrap();
        ledger.record(serial(NOON, 1), vec![0x30]).await.unwrap();
        ledger.deny(denial(target.clone())).await.unwrap();
        refused(&ledger, paid(2, "a"), &target).await;
        ledger.allow(target).await.unwrap();
        let again = ledger.reserve(paid(3, "a")).await;
        assert!(matches!(again, Ok(Reservation::Repeat(_))), "{again:?}");
    }
}

#[tokio::test]
async fn denials_and_their_end_survive_a_restart_and_an_archive() {
    let dir = tempfile::tempdir().unwrap();
    let (first, restored) = (dir.path().join("one"), dir.path().join("two"));
    let ledger = open(&first);
    ledger.deny(denial(name())).await.unwrap();
    ledger.deny(denial(Target::Key(key("gone")))).await.unwrap();
    ledger.allow(Target::Key(key("gone"))).await.unwrap();
    drop(ledger);

    let ledger = open(&first);
    let (archive, rows) = ledger.export(Vec::new()).await.unwrap();
    assert_eq!(rows, 1);
    import(&restored, &archive[..]).unwrap();
    for ledger in [ledger, open(&restored)] {
        assert_eq!(ledger.list_denials().await, Ok(vec![denial(name())]));
        refused(&ledger, asked(1), &name()).await;
    }
}

#[tokio::test]
async fn nothing_is_reserved_once_a_denial_was_answered_however_busy_the_ledger_is() {
    for round in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let ledger = shared(open(dir.path()));
        let answered = Arc::new(AtomicBool::new(false));
        let racing = at_once(0..16, |task| {
            let (ledger, answered) = (Arc::clone(&ledger), Arc::clone(&answered));
            async move { reserve_until_denied(&ledger, &answered, task * 1000).await }
        });
        let denying = async {
            tokio::task::yield_now().await;
            ledger.deny(denial(name())).await.unwrap();
            answered.store(true, Ordering::SeqCst);
        };
        let (late, ()) = within_a_minute(async { tokio::join!(racing, denying) }).await;
        assert_eq!(late.iter().sum::<u32>(), 0, "round {round}");
    }
}

/// Counts the reservations that were begun after the denial was answered and came about all the same.
async fn reserve_until_denied(ledger: &SledLedger, answered: &AtomicBool, from: u64) -> u32 {
    let mut late = 0;
    for number in from.. {
        let denied_before = answered.load(Ordering::SeqCst);
        match ledger.reserve(asked(number)).await {
            Ok(_) => late += u32::from(denied_before),
            Err(_) => break,
        }
        if denied_before {
            break;
        }
    }
    late
}

#[tokio::test]
async fn a_later_denial_takes_the_place_of_an_earlier_one_and_the_newest_is_listed_first() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let at_second = |target, second| Denial {
        since: at(second),
        ..denial(target)
    };
    ledger.deny(at_second(name(), 10)).await.unwrap();
    ledger
        .deny(at_second(Target::Key(key("a")), 20))
        .await
        .unwrap();
    ledger.deny(at_second(name(), 30)).await.unwrap();
    let listed = ledger.list_denials().await.unwrap();
    let expected = [at_second(name(), 30), at_second(Target::Key(key("a")), 20)];
    assert_eq!(listed, expected);
    let nobody = Target::Key(key("nobody"));
    assert_eq!(ledger.allow(nobody.clone()).await, Ok(None));
    let found = ledger.denials_of(vec![vec![nobody.clone(), name()], vec![nobody], vec![]]);
    assert_eq!(
        found.await,
        Ok(vec![Some(at_second(name(), 30)), None, None])
    );
}

#[tokio::test]
async fn an_end_and_a_denial_in_one_group_count_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.deny(denial(name())).await.unwrap();
    let (allowed, reserved, denied, late) = tokio::join!(
        ledger.allow(name()),
        ledger.reserve(asked(1)),
        ledger.deny(denial(name())),
        ledger.reserve(asked(2)),
    );
    assert_eq!(allowed, Ok(Some(denial(name()))));
    assert_eq!(reserved, Ok(Reservation::Reserved));
    assert_eq!(denied, Ok(()));
    assert_eq!(late, Err(LedgerError::Denied(Box::new(denial(name())))));
}
