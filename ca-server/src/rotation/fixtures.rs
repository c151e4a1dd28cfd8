//! Signers, holdings and evidence for tests, by intention.

use std::collections::HashMap;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use proto::certificate::Fingerprint;

use super::AtHand;
use super::Evidence;
use super::Limits;
use super::Origin;
use super::Record;
use super::Signer;
use crate::ledger::Acknowledgement;
use crate::ledger::Holder;
use crate::ledger::Holding;
use crate::ledger::InstanceId;
use crate::x509::Serial;

pub(super) const HOUR: u64 = 3600;

/// Seconds after a moment that is late enough for anything to be before it.
pub(super) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

pub(super) fn issuer(name: char) -> Fingerprint {
    Fingerprint::of(format!("issuer {name}").as_bytes())
}

/// The issuers of all signers: the keys of all of them are here.
pub(super) fn all() -> [Fingerprint; 4] {
    ['A', 'B', 'C', 'D'].map(issuer)
}

/// These can be used now, and no root was certified twice.
pub(super) fn here(loaded: &[Fingerprint]) -> AtHand<'_> {
    AtHand {
        loaded,
        same_root: &[],
    }
}

pub(super) fn root(name: char) -> Fingerprint {
    Fingerprint::of(format!("root {name}").as_bytes())
}

pub(super) fn signer(name: char) -> Signer {
    Signer {
        issuer: issuer(name),
        key: Fingerprint::of(format!("key {name}").as_bytes()),
        root: root(name),
        roots: vec![root(name)],
        also_accepted_by: Vec::new(),
        origin: Origin::PluggedIn,
        not_before: at(0),
        not_after: at(1_000 * HOUR),
        issuer_not_before: at(0),
        first_loaded: at(0),
        published: false,
        has_signed: false,
        auto_retire: false,
        last_resort: false,
        tainted: None,
        deadline: None,
    }
}

/// A signs alone.
pub(super) fn steady() -> Record {
    Record::new(signer('A'), at(0))
}

/// A signs, B is in the bundle.
pub(super) fn distributed() -> Record {
    let record = steady().introduce(signer('B'), true, at(0)).unwrap();
    record.distribute(at(0)).unwrap()
}

/// B signs, A drains.
pub(super) fn draining() -> Record {
    let world = World::default();
    let record = distributed();
    record.activate(&world.evidence(), None, at(HOUR)).unwrap()
}

/// What the gates are shown, as values that a test changes.
pub(super) struct World {
    pub(super) now: SystemTime,
    pub(super) since: HashMap<Fingerprint, u64>,
    pub(super) crl_since: Option<HashMap<Fingerprint, u64>>,
    pub(super) crl_free_since: Option<u64>,
    pub(super) holdings: Vec<Holding>,
    pub(super) unrecorded_until: Option<SystemTime>,
    pub(super) hints_until: Option<SystemTime>,
    pub(super) listed: Vec<Fingerprint>,
    pub(super) next_is_here: bool,
}

impl Default for World {
    /// Bundle 7 has A since 5 and B since 7; nobody has a leaf.
    fn default() -> Self {
        Self {
            now: at(HOUR),
            since: HashMap::from([(root('A'), 5), (root('B'), 7)]),
            crl_since: None,
            crl_free_since: None,
            holdings: Vec::new(),
            unrecorded_until: None,
            hints_until: None,
            listed: Vec::new(),
            next_is_here: true,
        }
    }
}

impl World {
    pub(super) fn evidence(&self) -> Evidence<'_> {
        Evidence {
            now: self.now,
            bundle: 7,
            since: &self.since,
            crl_since: self.crl_since.as_ref(),
            crl_free_since: self.crl_free_since,
            holdings: &self.holdings,
            unrecorded_until: self.unrecorded_until,
            hints_until: self.hints_until,
            listed_roots: &self.listed,
            next_is_here: self.next_is_here,
            limits: LIMITS,
        }
    }
}

/// A leaf under `name`'s root, delivered with `bundle`, that lives until `last`.
pub(super) fn leaf(name: char, bundle: u64, last: SystemTime) -> Holding {
    Holding {
        issuer: issuer(name),
        root: root(name),
        bundle,
        holder: None,
        last_second: last,
    }
}

/// The same in the hands of an agent, whose newest leaf is number `newest` under `root`.
pub(super) fn held(holding: Holding, newest: (u8, char), said: Option<Acknowledgement>) -> Holding {
    Holding {
        holder: Some(Holder {
            instance: InstanceId::from([1; 16]),
            spiffe_id: "spiffe://a.example/cart".parse().unwrap(),
            acknowledged: said,
            newest: Some((Serial::from([newest.0; 16]), root(newest.1))),
        }),
        ..holding
    }
}

/// The agent says that it uses `bundle` and serves leaf number `serial`.
pub(super) fn says(bundle: u64, serial: u8) -> Acknowledgement {
    Acknowledgement {
        instance: InstanceId::from([1; 16]),
        spiffe_id: "spiffe://a.example/cart".parse().unwrap(),
        bundle,
        serial: Some(Serial::from([serial; 16])),
        at: at(HOUR),
        shared: false,
    }
}

pub(super) const LIMITS: Limits = Limits {
    default_ttl: Duration::from_secs(24 * HOUR),
    max_ttl: Duration::from_secs(48 * HOUR),
    unrecorded_ttl: Duration::from_secs(24 * HOUR),
    backdating: Duration::from_secs(120),
    fresh_ca: Duration::from_secs(120),
};
