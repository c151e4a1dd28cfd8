//! How long may leaves live, under which terms, and with whom? The marks that are kept beside the entries.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use proto::spiffe::SpiffeId;
use serde::Deserialize;
use serde::Serialize;

use super::failure::Stop;
use super::keys;
use super::keys::HolderKey;
use super::read::Reader;
use super::read::time_of;
use super::rows;
use super::staging::Staging;
use crate::ledger::Acknowledgement;
use crate::ledger::Evidence;
use crate::ledger::Holder;
use crate::ledger::Holding;
use crate::ledger::Intent;
use crate::ledger::LedgerError;
use crate::ledger::Terms;
use crate::x509::LeafName;
use crate::x509::Serial;

/// The high-water mark of one issuer, bundle number and holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Of the longest-lived leaf.
    pub(super) last_second: u64,
    pub(super) root: Fingerprint,
    /// `None` for callers who name no instance.
    pub(super) holder: Option<SpiffeId>,
}

/// The leaf that was reserved last for one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Newest {
    pub(super) serial: Serial,
    pub(super) root: Fingerprint,
}

/// What an intent says about marks; `None` when it is the CA's own.
pub(super) struct Marked {
    pub(super) key: Vec<u8>,
    pub(super) mark: Mark,
    pub(super) newest: Option<(Vec<u8>, Newest)>,
}

impl Marked {
    pub(super) fn by(intent: &Intent) -> Option<Self> {
        if intent.evidence == Evidence::Own {
            return None;
        }
        let holder = match (&intent.name, intent.instance) {
            (LeafName::Workload(id), Some(instance)) => Some((id, HolderKey::of(instance, id))),
            _ => None,
        };
        let newest = Newest {
            serial: intent.serial,
            root: intent.root,
        };
        Some(Self {
            key: keys::mark(
                &intent.issuer,
                intent.bundle,
                holder.as_ref().map(|(_, key)| *key),
            ),
            mark: Mark {
                last_second: rows::seconds(intent.validity.not_after()),
                root: intent.root,
                holder: holder.as_ref().map(|(id, _)| SpiffeId::clone(id)),
            },
            newest: holder.map(|(_, key)| (keys::newest(&key), newest)),
        })
    }
}

/// The marks of many entries, for a ledger that is made or brought to this layout.
#[derive(Default)]
pub(super) struct Marks {
    marks: BTreeMap<Vec<u8>, Mark>,
    newest: BTreeMap<Vec<u8>, Newest>,
}

impl Marks {
    /// Intents come in the order of their serials.
    pub(super) fn add(&mut self, intent: &Intent) {
        let Some(Marked { key, mark, newest }) = Marked::by(intent) else {
            return;
        };
        self.newest.extend(newest);
        match self.marks.entry(key) {
            Entry::Vacant(free) => drop(free.insert(mark)),
            Entry::Occupied(mut before) if before.get().last_second < mark.last_second => {
                before.insert(mark);
            }
            Entry::Occupied(_) => {}
        }
    }

    pub(super) fn into_rows(self) -> Result<Vec<rows::Row>, LedgerError> {
        let marks = self.marks.into_iter();
        let newest = self.newest.into_iter();
        marks
            .map(|(key, mark)| Ok((key, rows::encode(&mark)?)))
            .chain(newest.map(|(key, newest)| Ok((key, rows::encode(&newest)?))))
            .collect()
    }
}

impl Staging<'_> {
    /// Refuses an intent under other terms than those in force. The CA's own certificate is nobody's evidence.
    pub(super) fn refuse_other_terms(&self, intent: &Intent) -> Result<(), Stop> {
        let Some(Terms { issuer, bundle }) = self.get(&keys::TERMS_ROW)? else {
            return Ok(());
        };
        let is_under_them = intent.issuer == issuer && intent.bundle == bundle;
        match is_under_them || intent.evidence == Evidence::Own {
            true => Ok(()),
            false => Err(LedgerError::OtherTerms { issuer, bundle }.into()),
        }
    }

    /// The rows that an intent adds to the marks, or changes.
    pub(super) fn marks_of(&self, intent: &Intent) -> Result<Vec<rows::Row>, Stop> {
        let mut changed = Vec::new();
        let Some(Marked { key, mark, newest }) = Marked::by(intent) else {
            return Ok(changed);
        };
        let before: Option<Mark> = self.get(&key)?;
        if before.is_none_or(|before| before.last_second < mark.last_second) {
            changed.push((key, rows::encode(&mark)?));
        }
        if let Some((key, newest)) = newest {
            changed.push((key, rows::encode(&newest)?));
        }
        Ok(changed)
    }

    /// Stages the terms for whatever comes behind.
    pub(super) fn set_terms(&mut self, terms: &Terms) -> Result<(), Stop> {
        Ok(self.put(keys::TERMS_ROW.to_vec(), terms)?)
    }

    /// Stages what an agent said, over what it said before.
    pub(super) fn acknowledge(&mut self, said: &Acknowledgement) -> Result<(), Stop> {
        let holder = HolderKey::of(said.instance, &said.spiffe_id);
        Ok(self.put(keys::acknowledgement(&holder), said)?)
    }
}

impl Reader<'_> {
    pub(super) fn terms(&self) -> Result<Option<Terms>, LedgerError> {
        self.get(&keys::TERMS_ROW)
    }

    pub(super) fn holdings(&self, now: SystemTime) -> Result<Vec<Holding>, LedgerError> {
        let mut holdings = Vec::new();
        let second = rows::seconds(now);
        self.each_of(keys::MARKS, |key, value| {
            let mark: Mark = rows::decode(key, value)?;
            if mark.last_second >= second {
                holdings.push(self.holding(key, mark)?);
            }
            Ok(())
        })?;
        Ok(holdings)
    }

    fn holding(&self, key: &[u8], mark: Mark) -> Result<Holding, LedgerError> {
        let terms = keys::terms_in(key).ok_or_else(|| rows::malformed(key))?;
        let named = HolderKey::at_end_of(key).ok_or_else(|| rows::malformed(key))?;
        let holder = mark.holder.map(|id| self.holder(&named, id)).transpose()?;
        Ok(Holding {
            issuer: terms.issuer,
            root: mark.root,
            bundle: terms.bundle,
            holder,
            last_second: time_of(mark.last_second),
        })
    }

    /// What was said is read before what is newest: a leaf that comes in between makes it out of date, never the
    /// other way round.
    pub(super) fn holder(
        &self,
        key: &HolderKey,
        spiffe_id: SpiffeId,
    ) -> Result<Holder, LedgerError> {
        let acknowledged = self.get(&keys::acknowledgement(key))?;
        let newest: Option<Newest> = self.get(&keys::newest(key))?;
        Ok(Holder {
            instance: key.instance(),
            spiffe_id,
            acknowledged,
            newest: newest.map(|newest| (newest.serial, newest.root)),
        })
    }
}
