//! Does the ledger keep its promises? One file for each kind of them; here is what they share.

mod archive;
mod denials;
mod durability;
mod layouts;
mod listing;
mod marks;
mod opening;
mod outage;
mod pruning;
mod reserving;
mod rows;
mod terms;
mod tokens;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use proto::certificate::Fingerprint;
use proto::spiffe::SpiffeId;

use super::LedgerOptions;
use super::SledLedger;
use crate::ledger::Acknowledgement;
use crate::ledger::Evidence;
use crate::ledger::InstanceId;
use crate::ledger::Intent;
use crate::ledger::Token;
use crate::ledger::TokenId;
use crate::x509::LeafName;
use crate::x509::Serial;
use crate::x509::Validity;

/// A day in 2026, to the second.
pub(super) const NOON: u64 = 1_780_000_000;
pub(super) const HOUR: u64 = 3600;
pub(super) const DAY: u64 = 24 * HOUR;
pub(super) const CART: &str = "spiffe://td/ns/shop/sa/cart";

pub(super) fn open(dir: &Path) -> SledLedger {
    SledLedger::open(dir, quick()).unwrap()
}

/// Pauses that no test has to wait for.
pub(super) fn quick() -> LedgerOptions {
    LedgerOptions {
        answer_within: Duration::from_secs(60),
        lock_within: Duration::from_secs(30),
        reopen_first: Duration::from_millis(5),
        reopen_at_most: Duration::from_millis(20),
        ..LedgerOptions::default()
    }
}

pub(super) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A serial that was drawn at `seconds`, with `number` in place of the randomness.
pub(super) fn serial(seconds: u64, number: u64) -> Serial {
    let millis = u128::from(seconds) * 1000;
    Serial::from(((millis << 80) | u128::from(number)).to_be_bytes())
}

pub(super) fn key(name: &str) -> Fingerprint {
    Fingerprint::of(name.as_bytes())
}

pub(super) fn id(text: &str) -> SpiffeId {
    text.parse().unwrap()
}

/// An intent for [`CART`], reserved at `seconds`, good for a day.
pub(super) fn intent(seconds: u64, number: u64) -> Intent {
    Intent {
        serial: serial(seconds, number),
        name: LeafName::Workload(id(CART)),
        key: key("key"),
        validity: Validity::new(at(seconds), at(seconds + DAY)).unwrap(),
        issuer: key("issuer"),
        root: key("root"),
        reserved_at: at(seconds) + Duration::from_nanos(7),
        evidence: Evidence::Own,
        request_id: "r-1".to_owned(),
        bundle: 0,
        instance: None,
        caller: Vec::new(),
    }
}

/// An intent for [`CART`] by a JWT.
pub(super) fn asked(number: u64) -> Intent {
    let (issuer, subject) = ("iss".to_owned(), "sub".to_owned());
    Intent {
        evidence: Evidence::Jwt { issuer, subject },
        ..intent(NOON, number)
    }
}

/// The same, delivered with `bundle` to the agent `instance`.
pub(super) fn held(number: u64, bundle: u64, instance: u8) -> Intent {
    Intent {
        bundle,
        instance: Some(InstanceId::from([instance; 16])),
        ..asked(number)
    }
}

/// What the agent `instance` says it uses for [`CART`].
pub(super) fn said(instance: u8, bundle: u64, serial: Option<Serial>) -> Acknowledgement {
    Acknowledgement {
        instance: InstanceId::from([instance; 16]),
        spiffe_id: id(CART),
        bundle,
        serial,
        at: at(NOON) + Duration::from_nanos(7),
        shared: false,
    }
}

/// The row of an intent as programs of layout 1 wrote it.
pub(super) fn of_version_1(row: &[u8]) -> Vec<u8> {
    let (added, kept) = ([0, 0], &row[1..row.len() - 2]);
    assert_eq!(
        row[row.len() - 2..],
        added,
        "it has a bundle or an instance"
    );
    [&[1], kept].concat()
}

/// `intent`, reserved that much later.
fn after_seconds(mut intent: Intent, seconds: u64) -> Intent {
    intent.reserved_at += Duration::from_secs(seconds);
    intent
}

/// The same, paid for with the token.
pub(super) fn paid(number: u64, name: &str) -> Intent {
    Intent {
        key: key(name),
        evidence: Evidence::EnrolmentToken(TOKEN),
        ..intent(NOON, number)
    }
}

pub(super) const TOKEN: TokenId = TokenId([7; 16]);

/// A token for [`CART`], good for an hour.
pub(super) fn token() -> Token {
    Token {
        id: TOKEN,
        secret_hash: key("secret"),
        spiffe_id: id(CART),
        created_at: at(NOON - 60),
        expires_at: at(NOON + HOUR),
        revoked: false,
        spent: None,
    }
}

/// Waits for something that happens on another thread, or fails.
pub(super) async fn within_a_minute<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work)
        .await
        .unwrap()
}

/// Runs `work` for each number at once, and answers what became of them, in order.
pub(super) async fn at_once<T, F>(numbers: std::ops::Range<u64>, work: impl Fn(u64) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = numbers.map(|number| tokio::spawn(work(number))).collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap());
    }
    done
}

pub(super) fn shared(ledger: SledLedger) -> Arc<SledLedger> {
    Arc::new(ledger)
}
