//! Enrolment tokens: single use, and no way around it.

use std::sync::Arc;

use super::*;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::Reservation;
use crate::ledger::Spent;

async fn with_token(token: Token) -> (tempfile::TempDir, Arc<SledLedger>) {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.create_token(token).await.unwrap();
    (dir, Arc::new(ledger))
}

#[tokio::test]
async fn a_token_is_spent_with_the_intent_it_paid_for() {
    let (_dir, ledger) = with_token(token()).await;
    assert_eq!(
        ledger.reserve(paid(1, "a")).await,
        Ok(Reservation::Reserved)
    );
    let spent = Some(Spent {
        serial: serial(NOON, 1),
        key: key("a"),
    });
    assert_eq!(
        ledger.find_token(TOKEN).await,
        Ok(Some(Token { spent, ..token() }))
    );
}

#[tokio::test]
async fn a_token_is_good_for_one_key_however_the_requests_race() {
    for _round in 0..50 {
        let (_dir, ledger) = with_token(token()).await;
        let answers = at_once(0..2, |number| {
            let ledger = Arc::clone(&ledger);
            async move { ledger.reserve(paid(number, &number.to_string())).await }
        })
        .await;
        let winners = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(winners, 1, "{answers:?}");
        let kept = [
            ledger.find(serial(NOON, 0)).await,
            ledger.find(serial(NOON, 1)).await,
        ];
        assert_eq!(kept.iter().flatten().flatten().count(), 1);
    }
}

#[tokio::test]
async fn two_requests_with_one_token_in_one_group_see_each_other() {
    let (_dir, ledger) = with_token(token()).await;
    let answers = at_once(0..100, |number| {
        let ledger = Arc::clone(&ledger);
        async move { ledger.reserve(paid(number, &number.to_string())).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(ledger.figures().flushes < 50, "{:?}", ledger.figures());
}

#[tokio::test]
async fn a_repeat_with_the_same_key_gets_the_same_leaf() {
    let (_dir, ledger) = with_token(token()).await;
    ledger.reserve(paid(1, "a")).await.unwrap();
    ledger.record(serial(NOON, 1), vec![0x30]).await.unwrap();

    let repeat = ledger.reserve(paid(2, "a")).await.unwrap();
    let first = ledger.find(serial(NOON, 1)).await.unwrap().unwrap();
    assert_eq!(first.leaf_der, Some(vec![0x30]));
    assert_eq!(repeat, Reservation::Repeat(Box::new(first)));
    assert_eq!(ledger.find(serial(NOON, 2)).await, Ok(None));
}

#[tokio::test]
async fn a_token_whose_leaf_was_never_recorded_moves_to_the_next_intent_of_the_same_key() {
    let (_dir, ledger) = with_token(token()).await;
    ledger.reserve(paid(1, "a")).await.unwrap();
    let (soon, later) = (
        after_seconds(paid(2, "a"), 11),
        after_seconds(paid(2, "a"), 12),
    );
    // The first may still be signed: two leaves for one token must not come of it.
    assert_eq!(
        ledger.reserve(soon).await,
        Err(LedgerError::TokenInUse { id: TOKEN })
    );
    assert_eq!(ledger.reserve(later).await, Ok(Reservation::Reserved));

    let spent = ledger.find_token(TOKEN).await.unwrap().unwrap().spent;
    assert_eq!(
        spent,
        Some(Spent {
            serial: serial(NOON, 2),
            key: key("a")
        })
    );
    let refused = ledger.reserve(paid(3, "b")).await;
    assert!(
        matches!(refused, Err(LedgerError::TokenRefused { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_token_that_does_not_fit_is_refused_and_nothing_is_written() {
    let fitting = token();
    let revoked = Token {
        revoked: true,
        ..token()
    };
    let expired = Token {
        expires_at: paid(1, "a").reserved_at,
        ..token()
    };
    let foreign = Token {
        spiffe_id: id("spiffe://td/other"),
        ..token()
    };
    let used = Some(Spent {
        serial: serial(NOON, 9),
        key: key("z"),
    });
    let serving = LeafName::Serving {
        dns_names: vec![],
        ip_addresses: vec![],
    };
    let table = [
        (
            Token {
                id: TokenId([8; 16]),
                ..token()
            },
            paid(1, "a"),
            "there is no such token",
        ),
        (revoked, paid(1, "a"), "it is revoked"),
        (expired, paid(1, "a"), "it is expired"),
        (foreign, paid(1, "a"), "it is for another SPIFFE ID"),
        (
            fitting,
            Intent {
                name: serving,
                ..paid(1, "a")
            },
            "it is for another SPIFFE ID",
        ),
        (
            Token {
                spent: used,
                ..token()
            },
            paid(1, "a"),
            "it was spent on another key",
        ),
    ];
    for (stored, intent, reason) in table {
        let (_dir, ledger) = with_token(stored.clone()).await;
        let refused = LedgerError::TokenRefused { id: TOKEN, reason };
        assert_eq!(ledger.reserve(intent).await, Err(refused));
        assert_eq!(ledger.find(serial(NOON, 1)).await, Ok(None), "{reason}");
        assert_eq!(ledger.list_tokens().await, Ok(vec![stored]), "{reason}");
    }
}

#[tokio::test]
async fn a_token_is_not_replaced_by_another_of_its_id() {
    let (_dir, ledger) = with_token(token()).await;
    ledger.reserve(paid(1, "a")).await.unwrap();
    let again = ledger.create_token(token()).await;
    assert!(
        matches!(again, Err(LedgerError::TokenRefused { .. })),
        "{again:?}"
    );
    assert!(
        ledger
            .find_token(TOKEN)
            .await
            .unwrap()
            .unwrap()
            .spent
            .is_some()
    );
}

#[tokio::test]
async fn a_revoked_token_stays_revoked_across_a_restart() {
    let (dir, ledger) = with_token(token()).await;
    let revoked = Some(Token {
        revoked: true,
        ..token()
    });
    assert_eq!(
        ledger.revoke_token(TOKEN, at(NOON)).await,
        Ok(revoked.clone())
    );
    assert_eq!(
        ledger.revoke_token(TokenId([9; 16]), at(NOON)).await,
        Ok(None)
    );
    drop(ledger);
    assert_eq!(open(dir.path()).find_token(TOKEN).await, Ok(revoked));
}

#[tokio::test]
async fn tokens_are_listed_newest_first() {
    let (_dir, ledger) = with_token(token()).await;
    for first in [9, 3] {
        let id = TokenId([first; 16]);
        ledger.create_token(Token { id, ..token() }).await.unwrap();
    }
    let listed = ledger.list_tokens().await.unwrap();
    let ids: Vec<u8> = listed.iter().map(|token| token.id.0[0]).collect();
    assert_eq!(ids, [9, 7, 3]);
}
