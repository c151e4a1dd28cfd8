//! How do real records fit into small states? Each that differs gets a number; what differs without mattering is made
//! equal first.

use std::collections::HashMap;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use proto::certificate::Fingerprint;

use super::state::Set;
use super::worlds::World;
use crate::rotation::Origin;
use crate::rotation::Phase;
use crate::rotation::Record;
use crate::rotation::Signer;

/// Every record that was seen.
#[derive(Debug)]
pub(super) struct Records {
    known: Vec<Record>,
    facts: Vec<Facts>,
    numbers: HashMap<Record, u16>,
    pub(super) issuers: [Fingerprint; 3],
    pub(super) roots: [Fingerprint; 3],
}

/// What the world asks of a record all the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) active: u8,
    pub(super) next: Option<u8>,
    pub(super) roots: Set,
    /// Signers whose roots and lists go out.
    pub(super) published: Set,
    /// Roots that a retirement let go.
    pub(super) dropped_roots: Set,
    /// Signers whose keys are stolen.
    pub(super) tainted: Set,
    pub(super) is_steady: bool,
    pub(super) is_consistent: bool,
    pub(super) renews: bool,
}

impl Records {
    pub(super) fn new() -> Self {
        let name = |kind: &str, at: u8| Fingerprint::of(format!("{kind} {at}").as_bytes());
        Self {
            known: Vec::new(),
            facts: Vec::new(),
            numbers: HashMap::new(),
            issuers: [0, 1, 2].map(|at| name("issuer", at)),
            roots: [0, 1, 2].map(|at| name("root", at)),
        }
    }

    pub(super) fn record(&self, number: u16) -> &Record {
        &self.known[usize::from(number)]
    }

    /// The number of `record`, without its journal.
    pub(super) fn number(&mut self, mut record: Record) -> u16 {
        record.journal.clear();
        record.phase_since = now();
        if let Some(number) = self.numbers.get(&record) {
            return *number;
        }
        let number = u16::try_from(self.known.len()).unwrap();
        self.facts.push(self.facts_of(&record));
        self.known.push(record.clone());
        self.numbers.insert(record, number);
        number
    }

    pub(super) fn facts(&self, number: u16) -> Facts {
        self.facts[usize::from(number)]
    }

    fn facts_of(&self, record: &Record) -> Facts {
        let set = |of: &[Fingerprint; 3], members: &[Fingerprint]| {
            let members = members.iter().map(|one| position(of, one));
            members.fold(Set::default(), Set::with)
        };
        let published = record.signers.iter().filter(|signer| signer.published);
        let published: Vec<Fingerprint> = published.map(|signer| signer.issuer).collect();
        Facts {
            active: position(&self.issuers, &record.active),
            next: record.next.map(|next| position(&self.issuers, &next)),
            roots: set(&self.roots, &record.roots(&[])),
            published: set(&self.issuers, &published),
            dropped_roots: set(&self.roots, &record.dropped_roots),
            // Here a key is called as its issuer is.
            tainted: set(&self.issuers, &record.tainted_keys),
            is_steady: record.phase() == Phase::Steady,
            is_consistent: record.is_consistent(),
            renews: record.renew_since.is_some(),
        }
    }

    pub(super) fn signer(&self, which: u8, world: &World) -> Signer {
        let at = usize::from(which);
        let root = self.roots[usize::from(world.roots[at])];
        let mut roots = vec![root];
        if world.trims > 0 && which == 1 {
            roots.push(self.roots[0]);
        }
        Signer {
            issuer: self.issuers[at],
            key: self.issuers[at],
            root,
            roots,
            also_accepted_by: Vec::new(),
            origin: Origin::PluggedIn,
            not_before: now() - 100 * TICK,
            not_after: now() + 1000 * TICK,
            issuer_not_before: now() - 100 * TICK,
            first_loaded: now() - 100 * TICK,
            published: false,
            has_signed: false,
            auto_retire: false,
            last_resort: false,
            tainted: None,
            deadline: None,
        }
    }

    pub(super) fn which_issuer(&self, issuer: &Fingerprint) -> u8 {
        position(&self.issuers, issuer)
    }
}

fn position(all: &[Fingerprint; 3], one: &Fingerprint) -> u8 {
    let at = all.iter().position(|other| other == one).unwrap();
    u8::try_from(at).unwrap()
}

/// It is always the same moment; what has been and what is to come moves.
pub(super) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}

pub(super) fn in_ticks(ticks: i8) -> SystemTime {
    let distance = TICK * u32::from(ticks.unsigned_abs());
    if ticks < 0 {
        now() - distance
    } else {
        now() + distance
    }
}

pub(super) const TICK: Duration = Duration::from_secs(3600);
