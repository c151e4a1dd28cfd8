//! What would a group of commands write? Rows that are collected over the tree, seen by the commands behind them.
//!
//! A command that is refused leaves no row. Nothing is written here: the committer applies the whole as one batch.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::Stop;
use super::keys;
use super::rows;
use super::rows::Stored;
use crate::ledger::Denial;
use crate::ledger::Entry;
use crate::ledger::Evidence;
use crate::ledger::Intent;
use crate::ledger::LedgerError;
use crate::ledger::Reservation;
use crate::ledger::Target;
use crate::ledger::Token;
use crate::ledger::TokenId;
use crate::x509::Serial;

use super::spend::Spend;
use super::spend::spend;

/// The tree, with the rows of a group over it.
pub(super) struct Staging<'a> {
    tree: &'a sled::Tree,
    /// `None` takes a row away.
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'a> Staging<'a> {
    pub(super) fn new(tree: &'a sled::Tree) -> Self {
        Self {
            tree,
            rows: BTreeMap::new(),
        }
    }

    /// Everything that was staged, to be applied at once; `None` when that is nothing.
    pub(super) fn into_batch(self) -> Option<sled::Batch> {
        let mut batch = sled::Batch::default();
        let any = !self.rows.is_empty();
        for (key, value) in self.rows {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        any.then_some(batch)
    }

    /// Stages an intent, its index rows, its root's last second, its marks and the token that it spends.
    ///
    /// Denials and terms are looked at here, in the order in which commands came: whoever was told that they are in effect can
    /// rely on it. An answer that is given again is not held to the terms: its leaf is in the ledger.
    pub(super) fn reserve(&mut self, intent: &Intent) -> Result<Reservation, Stop> {
        self.refuse_denied(&intent.targets())?;
        let mut staged = Vec::new();
        if let Evidence::EnrolmentToken(id) = intent.evidence {
            let token: Option<Token> = self.get(&keys::token(id))?;
            match spend(token, id, intent)? {
                Spend::Now(token) => staged.push((keys::token(id), rows::encode(&token)?)),
                Spend::Again { token, earlier } => {
                    if let Some(entry) = self.recorded(earlier)? {
                        self.refuse_denied(&[Target::from(earlier)])?;
                        return Ok(Reservation::Repeat(Box::new(entry)));
                    }
                    if self.may_be_in_flight(earlier, intent)? {
                        return Err(LedgerError::TokenInUse { id }.into());
                    }
                    staged.push((keys::token(id), rows::encode(&token)?));
                }
            }
        }
        self.refuse_other_terms(intent)?;
        if self.has(&keys::entry(intent.serial))? {
            let serial = intent.serial;
            return Err(LedgerError::SerialTaken { serial }.into());
        }
        staged.extend(rows::of_intent(intent)?);
        // The CA's own leaf is only served while its signer stands by: it keeps no root.
        if intent.evidence != Evidence::Own {
            staged.push(self.last_second_under_root_of(intent)?);
        }
        staged.extend(self.marks_of(intent)?);
        self.rows.extend(staged.into_iter().map(written));
        Ok(Reservation::Reserved)
    }

    /// Whether the request that reserved `earlier` may still be on its way to its record. Two leaves for one token would
    /// come of it if another were reserved now.
    fn may_be_in_flight(&self, earlier: Serial, intent: &Intent) -> Result<bool, Stop> {
        let earlier: Option<Intent> = self.get(&keys::entry(earlier))?;
        Ok(earlier.is_some_and(|earlier| {
            // Of two that came at once, either may have read the clock first.
            let apart = match intent.reserved_at.duration_since(earlier.reserved_at) {
                Ok(later) => later,
                Err(before) => before.duration(),
            };
            apart < LONGEST_FLIGHT
        }))
    }

    /// Stages the leaf of a reserved serial.
    pub(super) fn record(&mut self, serial: Serial, leaf_der: &[u8]) -> Result<(), Stop> {
        if !self.has(&keys::entry(serial))? {
            return Err(LedgerError::NotReserved { serial }.into());
        }
        self.rows
            .extend([written(rows::of_leaf(serial, leaf_der)?)]);
        Ok(())
    }

    /// Stages a token whose id is free.
    pub(super) fn create_token(&mut self, token: &Token) -> Result<(), Stop> {
        let key = keys::token(token.id);
        if self.has(&key)? {
            return Err(LedgerError::TokenRefused {
                id: token.id,
                reason: "there is a token of this id already",
            }
            .into());
        }
        Ok(self.put(key, token)?)
    }

    /// Stages a token's revocation; one that is revoked already stays as it is.
    pub(super) fn revoke_token(&mut self, id: TokenId) -> Result<Option<Token>, Stop> {
        let key = keys::token(id);
        let Some(mut token) = self.get::<Token>(&key)? else {
            return Ok(None);
        };
        token.revoked = true;
        self.put(key, &token)?;
        Ok(Some(token))
    }

    /// Stages a denial, over an earlier one of the same target.
    pub(super) fn deny(&mut self, denial: &Denial) -> Result<(), Stop> {
        Ok(self.put(keys::denial(&denial.target), denial)?)
    }

    /// Stages the end of a denial.
    pub(super) fn allow(&mut self, target: &Target) -> Result<Option<Denial>, Stop> {
        let key = keys::denial(target);
        let denial = self.get(&key)?;
        if denial.is_some() {
            self.remove(key);
        }
        Ok(denial)
    }

    /// Stages a row that is different each time.
    pub(super) fn probe(&mut self) -> Result<(), Stop> {
        let count: u64 = self.get(&keys::PROBE_ROW)?.unwrap_or(0);
        Ok(self.put(keys::PROBE_ROW.to_vec(), &count.wrapping_add(1))?)
    }

    fn refuse_denied(&self, targets: &[Target]) -> Result<(), Stop> {
        for target in targets {
            if let Some(denial) = self.get::<Denial>(&keys::denial(target))? {
                return Err(LedgerError::Denied(Box::new(denial)).into());
            }
        }
        Ok(())
    }

    fn recorded(&self, serial: Serial) -> Result<Option<Entry>, Stop> {
        let Some(leaf_der) = self.get(&keys::leaf(serial))? else {
            return Ok(None);
        };
        let intent: Option<Intent> = self.get(&keys::entry(serial))?;
        Ok(intent.map(|intent| Entry {
            intent,
            leaf_der: Some(leaf_der),
        }))
    }

    fn last_second_under_root_of(&self, intent: &Intent) -> Result<rows::Row, Stop> {
        let key = keys::root(&intent.root);
        let before: u64 = self.get(&key)?.unwrap_or(0);
        let last = before.max(rows::seconds(intent.validity.not_after()));
        let value = rows::encode(&last)?;
        Ok((key, value))
    }

    pub(super) fn get<T: DeserializeOwned + Stored>(&self, key: &[u8]) -> Result<Option<T>, Stop> {
        if let Some(staged) = self.rows.get(key) {
            let value = staged.as_deref().map(|value| rows::decode(key, value));
            return Ok(value.transpose()?);
        }
        match self.tree.get(key)? {
            Some(value) => Ok(Some(rows::decode(key, &value)?)),
            None => Ok(None),
        }
    }

    fn has(&self, key: &[u8]) -> Result<bool, Stop> {
        match self.rows.get(key) {
            Some(staged) => Ok(staged.is_some()),
            None => Ok(self.tree.contains_key(key)?),
        }
    }

    pub(super) fn put<T: Serialize + Stored>(
        &mut self,
        key: Vec<u8>,
        value: &T,
    ) -> Result<(), LedgerError> {
        self.rows.insert(key, Some(rows::encode(value)?));
        Ok(())
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.rows.insert(key, None);
    }
}

fn written((key, value): rows::Row) -> (Vec<u8>, Option<Vec<u8>>) {
    (key, Some(value))
}

/// From the request to the record, at the longest: two waits for the ledger, each as long as it takes to be answered
/// with `Unavailable`, and a signature between them.
const LONGEST_FLIGHT: Duration = Duration::from_secs(12);
