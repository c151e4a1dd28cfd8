//! What do the gates see of a state?

use std::collections::HashMap;
use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;

use super::records::Records;
use super::records::TICK;
use super::records::in_ticks;
use super::records::now;
use super::state::Client;
use super::state::State;
use super::worlds::Kind;
use super::worlds::World;
use crate::ledger::Acknowledgement;
use crate::ledger::Holder;
use crate::ledger::Holding;
use crate::ledger::InstanceId;
use crate::rotation::Evidence;
use crate::rotation::Limits;
use crate::rotation::Record;
use crate::x509::Serial;

/// Evidence as values that can be lent.
pub(super) struct Shown {
    since: HashMap<Fingerprint, u64>,
    crl_since: Option<HashMap<Fingerprint, u64>>,
    crl_free_since: Option<u64>,
    holdings: Vec<Holding>,
    unrecorded_until: Option<SystemTime>,
    hints_until: Option<SystemTime>,
    listed: Vec<Fingerprint>,
    bundle: u64,
    slow: Duration,
}

impl Shown {
    pub(super) fn of(state: &State, world: &World, records: &Records) -> Self {
        let numbers = |members: &[Fingerprint; 3], since: &[u8; 3]| {
            let pairs = members
                .iter()
                .copied()
                .zip(since.iter().copied().map(u64::from));
            pairs
                .filter(|(_, number)| *number > 0)
                .collect::<HashMap<_, _>>()
        };
        Self {
            since: numbers(&records.roots, &state.since),
            crl_since: state
                .crl_used
                .then(|| numbers(&records.issuers, &state.crl_since)),
            crl_free_since: Some(u64::from(state.crl_free_since)).filter(|number| *number > 0),
            holdings: holdings(state, world, records),
            unrecorded_until: (world.ledger_lost && state.unknown_left > 0)
                .then(|| last_second_of(state.unknown_left)),
            hints_until: (state.hint_left > 0).then(|| in_ticks(state.hint_left)),
            listed: records
                .roots
                .iter()
                .copied()
                .take(usize::from(state.listed))
                .collect(),
            bundle: u64::from(state.bundle.number),
            slow: TICK * u32::from(world.slow.unsigned_abs()),
        }
    }

    pub(super) fn evidence(&self) -> Evidence<'_> {
        Evidence {
            now: now(),
            bundle: self.bundle,
            since: &self.since,
            crl_since: self.crl_since.as_ref(),
            crl_free_since: self.crl_free_since,
            holdings: &self.holdings,
            unrecorded_until: self.unrecorded_until,
            hints_until: self.hints_until,
            listed_roots: &self.listed,
            next_is_here: true,
            limits: Limits {
                default_ttl: 2 * TICK,
                max_ttl: 2 * TICK,
                unrecorded_ttl: 2 * TICK,
                backdating: self.slow,
                fresh_ca: self.slow,
            },
        }
    }
}

/// The record as it is at this moment, with the dates that move.
pub(super) fn dated(state: &State, world: &World, records: &Records) -> Record {
    let mut record = records.record(state.record).clone();
    for signer in &mut record.signers {
        let which = usize::from(records.which_issuer(&signer.issuer));
        if state.ages[which] < 2 {
            signer.not_before = in_ticks(-state.ages[which]);
        }
        if which == 1 && world.b_lives > 0 {
            signer.not_after = last_second_of(state.b_left);
        }
        if which == 0 && world.from_elsewhere {
            signer.first_loaded = last_second_of(state.unknown_left - 2);
        } else {
            signer.issuer_not_before = signer.first_loaded;
        }
    }
    record
}

/// Of what is over in so many ticks.
fn last_second_of(ticks: i8) -> SystemTime {
    in_ticks(ticks) - Duration::from_secs(1)
}

fn holdings(state: &State, world: &World, records: &Records) -> Vec<Holding> {
    let mut holdings = Vec::new();
    for (at, client) in state.clients.iter().enumerate() {
        let holder = holder(at, state, world, records);
        for row in client.rows.iter().flatten() {
            let issuer = usize::from(row.issuer);
            holdings.push(Holding {
                issuer: records.issuers[issuer],
                root: records.roots[usize::from(world.roots[issuer])],
                bundle: u64::from(row.bundle),
                holder: holder.clone(),
                last_second: last_second_of(row.left),
            });
        }
    }
    holdings
}

/// Who the ledger believes that it deals with.
fn holder(at: usize, state: &State, world: &World, records: &Records) -> Option<Holder> {
    let client = &state.clients[at];
    let (name, said) = match world.clients[at] {
        Kind::Plain => return None,
        Kind::Agent => (at, word(at, client, false)),
        // One name, and whoever spoke last is heard; the first one's word stands for both.
        Kind::Copy => (0, word(0, &state.clients[0], true)),
        Kind::Impersonated => (at, word(1 - at, &state.clients[1 - at], false)),
    };
    let newest = client.newest.map(|(serial, issuer)| {
        let root = world.roots[usize::from(issuer)];
        (Serial::from([serial; 16]), records.roots[usize::from(root)])
    });
    Some(Holder {
        instance: instance(name),
        spiffe_id: SPIFFE_ID.parse().unwrap(),
        acknowledged: said,
        newest,
    })
}

fn word(name: usize, client: &Client, shared: bool) -> Option<Acknowledgement> {
    let (bundle, serial) = client.said?;
    Some(Acknowledgement {
        instance: instance(name),
        spiffe_id: SPIFFE_ID.parse().unwrap(),
        bundle: u64::from(bundle),
        serial: serial.map(|serial| Serial::from([serial; 16])),
        at: now(),
        shared,
    })
}

fn instance(name: usize) -> InstanceId {
    InstanceId::from([u8::try_from(name).unwrap(); 16])
}

const SPIFFE_ID: &str = "spiffe://a.example/cart";
