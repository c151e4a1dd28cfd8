//! What is in the ledger? Reading, on a thread that may block.

use std::cmp::Reverse;
use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use proto::certificate::Fingerprint;
use proto::spiffe::SpiffeId;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::keys;
use super::rows;
use super::rows::Stored;
use super::shared::Tally;
use super::walk::Below;
use super::walk::Walk;
use crate::ledger::Cursor;
use crate::ledger::Denial;
use crate::ledger::Entry;
use crate::ledger::Intent;
use crate::ledger::LedgerError;
use crate::ledger::Page;
use crate::ledger::Query;
use crate::ledger::Target;
use crate::ledger::Token;
use crate::ledger::TokenId;
use crate::x509::LeafName;
use crate::x509::Serial;

/// Reads one tree, and counts the rows.
pub(super) struct Reader<'a> {
    pub(super) tree: &'a sled::Tree,
    pub(super) tally: &'a Tally,
}

impl Reader<'_> {
    pub(super) fn find(&self, serial: Serial) -> Result<Option<Entry>, LedgerError> {
        let Some(intent) = self.get::<Intent>(&keys::entry(serial))? else {
            return Ok(None);
        };
        let leaf_der = self.get(&keys::leaf(serial))?;
        Ok(Some(Entry { intent, leaf_der }))
    }

    pub(super) fn find_token(&self, id: TokenId) -> Result<Option<Token>, LedgerError> {
        self.get(&keys::token(id))
    }

    pub(super) fn list_tokens(&self) -> Result<Vec<Token>, LedgerError> {
        let mut tokens: Vec<Token> = Vec::new();
        for row in self.tree.scan_prefix([keys::TOKENS]) {
            let (key, value) = row.map_err(Failure::from)?;
            self.count();
            tokens.push(rows::decode(&key, &value)?);
        }
        tokens.reverse();
        Ok(tokens)
    }

    pub(super) fn denial_of(&self, targets: &[Target]) -> Result<Option<Denial>, LedgerError> {
        for target in targets {
            if let Some(denial) = self.get(&keys::denial(target))? {
                return Ok(Some(denial));
            }
        }
        Ok(None)
    }

    pub(super) fn list_denials(&self) -> Result<Vec<Denial>, LedgerError> {
        let mut denials: Vec<Denial> = Vec::new();
        for row in self.tree.scan_prefix([keys::DENIALS]) {
            let (key, value) = row.map_err(Failure::from)?;
            self.count();
            denials.push(rows::decode(&key, &value)?);
        }
        denials.sort_by_key(|denial| Reverse(denial.since));
        Ok(denials)
    }

    pub(super) fn last_leaf_under_each_root(
        &self,
    ) -> Result<Vec<(Fingerprint, SystemTime)>, LedgerError> {
        let mut roots = Vec::new();
        for row in self.tree.scan_prefix([keys::ROOTS]) {
            let (key, value) = row.map_err(Failure::from)?;
            self.count();
            let root = keys::root_in(&key).ok_or_else(|| rows::malformed(&key))?;
            roots.push((root, time_of(rows::decode(&key, &value)?)));
        }
        Ok(roots)
    }

    pub(super) fn list(&self, query: &Query) -> Result<Page, LedgerError> {
        let mut walk = self.walk(query)?;
        let mut page = Page::default();
        while let Some(step) = walk.step(self)? {
            if step
                .last_second
                .is_some_and(|last| !expires_in(query, time_of(last)))
            {
                continue;
            }
            let Some(entry) = self.find(step.serial)?.filter(|entry| wants(query, entry)) else {
                continue;
            };
            if page.entries.len() == query.limit.max(1) {
                page.next = page.entries.last().map(|last| cursor(last.intent.serial));
                break;
            }
            page.entries.push(entry);
        }
        Ok(page)
    }

    /// The narrowest way to what is asked for: a SPIFFE ID has fewer leaves than an hour.
    fn walk(&self, query: &Query) -> Result<Walk, LedgerError> {
        let below = query.after.as_ref().map_or(Ok(Below::All), below)?;
        match (&query.spiffe_id, expiry_hours(query)) {
            (Some(id), _) => Ok(Walk::of_spiffe_id(keys::hash_of(id), below)),
            (None, Some(hours)) => Walk::of_expiry(self, hours, below),
            (None, None) => Ok(Walk::Entries(below)),
        }
    }

    /// The last row whose key starts with at least `prefix` and keeps under `upper`.
    pub(super) fn last_in(
        &self,
        prefix: &[u8],
        upper: Bound<Vec<u8>>,
    ) -> Result<Option<Found>, LedgerError> {
        let lower = Bound::Included(prefix.to_vec());
        self.found(self.tree.range((lower, upper)).next_back())
    }

    /// The first row from `lower` on whose key starts with `prefix`.
    pub(super) fn first_in(
        &self,
        prefix: &[u8],
        lower: &[u8],
    ) -> Result<Option<Found>, LedgerError> {
        let found = self.found(self.tree.range(lower..).next())?;
        Ok(found.filter(|(key, _)| key.starts_with(prefix)))
    }

    fn found(
        &self,
        row: Option<sled::Result<(sled::IVec, sled::IVec)>>,
    ) -> Result<Option<Found>, LedgerError> {
        self.count();
        Ok(row.transpose().map_err(Failure::from)?)
    }

    /// Calls `look` with each row of a kind, in the order of the keys.
    pub(super) fn each_of(
        &self,
        kind: u8,
        mut look: impl FnMut(&[u8], &[u8]) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        for row in self.tree.scan_prefix([kind]) {
            let (key, value) = row.map_err(Failure::from)?;
            self.count();
            look(&key, &value)?;
        }
        Ok(())
    }

    pub(super) fn get<T: DeserializeOwned + Stored>(
        &self,
        key: &[u8],
    ) -> Result<Option<T>, LedgerError> {
        self.count();
        match self.tree.get(key).map_err(Failure::from)? {
            Some(value) => rows::decode(key, &value).map(Some),
            None => Ok(None),
        }
    }

    fn count(&self) {
        self.tally.rows_read.fetch_add(1, Ordering::Relaxed);
    }
}

/// A key and its value, as sled hands them out.
pub(super) type Found = (sled::IVec, sled::IVec);

/// The hours in which the wanted last seconds lie; `None` when any will do.
fn expiry_hours(query: &Query) -> Option<(u32, u32)> {
    let hour = |time: SystemTime| keys::hour_of(rows::seconds(time));
    match (query.expires_after, query.expires_before) {
        (None, None) => None,
        (after, before) => Some((after.map_or(0, hour), before.map_or(u32::MAX, hour))),
    }
}

/// Whether a last second is within the bounds of a query.
fn expires_in(query: &Query, last_second: SystemTime) -> bool {
    query
        .expires_before
        .is_none_or(|before| last_second < before)
        && query.expires_after.is_none_or(|after| last_second >= after)
}

/// The exact check, on the entry itself: indexes hold hashes and whole hours.
fn wants(query: &Query, entry: &Entry) -> bool {
    let is_of =
        |id: &SpiffeId| matches!(&entry.intent.name, LeafName::Workload(name) if name == id);
    query.spiffe_id.as_ref().is_none_or(is_of)
        && expires_in(query, entry.intent.validity.not_after())
}

pub(super) fn time_of(seconds: u64) -> SystemTime {
    UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .unwrap_or(UNIX_EPOCH)
}

/// The cursor behind an entry: good for any query, since all go by serial.
fn cursor(serial: Serial) -> Cursor {
    Cursor([&[CURSOR_VERSION], &serial.as_bytes()[..]].concat())
}

fn below(cursor: &Cursor) -> Result<Below, LedgerError> {
    let serial = match cursor.0.split_first() {
        Some((&CURSOR_VERSION, serial)) => <[u8; 16]>::try_from(serial).ok(),
        Some(_) | None => None,
    };
    serial
        .map(|bytes| Below::Serial(Serial::from(bytes)))
        .ok_or(LedgerError::BadCursor {
            len: cursor.0.len(),
        })
}

const CURSOR_VERSION: u8 = 1;
