//! What is of no use any more? Marks of leaves that are long over, and what was kept of agents that have none.
//!
//! A reader finds it, since there may be many rows to look at; the committer looks again at the few that are to go.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::failure::Stop;
use super::keys;
use super::keys::HolderKey;
use super::marks::Mark;
use super::marks::Newest;
use super::read::Reader;
use super::rows;
use super::staging::Staging;
use crate::ledger::Acknowledgement;
use crate::ledger::LedgerError;

/// What a reader found, some of all that there is.
pub(super) struct Useless {
    /// Seconds: what was over before is of no use.
    before: u64,
    marks: Vec<Vec<u8>>,
    /// Agents without a mark, and what was newest for them at that time.
    agents: Vec<(HolderKey, Option<Newest>)>,
}

impl Useless {
    /// The same in parts, none of which reservations wait for long for.
    pub(super) fn in_batches(&self) -> Vec<Self> {
        let before = self.before;
        let marks = self.marks.chunks(AT_ONCE).map(|marks| Self {
            before,
            marks: marks.to_vec(),
            agents: Vec::new(),
        });
        let agents = self.agents.chunks(AT_ONCE).map(|agents| Self {
            before,
            marks: Vec::new(),
            agents: agents.to_vec(),
        });
        marks.chain(agents).collect()
    }
}

impl Reader<'_> {
    /// Agents are read before marks: whoever gets a mark in between has another newest leaf than was read.
    pub(super) fn useless(&self, now: SystemTime) -> Result<Useless, LedgerError> {
        let before = rows::seconds(now).saturating_sub(KEPT_SECONDS);
        let mut agents = self.agents(before)?;
        let mut marks = Vec::new();
        self.each_of(keys::MARKS, |key, value| {
            let mark: Mark = rows::decode(key, value)?;
            agents.remove(&holder_in(key)?);
            if mark.last_second < before && marks.len() < A_LOOK {
                marks.push(key.to_vec());
            }
            Ok(())
        })?;
        Ok(Useless {
            before,
            marks,
            agents: agents.into_iter().take(A_LOOK).collect(),
        })
    }

    /// All that a leaf was reserved for, or that said something that is old by now.
    fn agents(&self, before: u64) -> Result<BTreeMap<HolderKey, Option<Newest>>, LedgerError> {
        let mut agents = BTreeMap::new();
        self.each_of(keys::ACKNOWLEDGEMENTS, |key, value| {
            let said: Acknowledgement = rows::decode(key, value)?;
            if rows::seconds(said.at) < before {
                agents.insert(holder_in(key)?, None);
            }
            Ok(())
        })?;
        self.each_of(keys::NEWEST, |key, value| {
            agents.insert(holder_in(key)?, Some(rows::decode(key, value)?));
            Ok(())
        })?;
        Ok(agents)
    }
}

impl Staging<'_> {
    /// Stages the end of what is still of no use, and answers how many rows that are.
    pub(super) fn forget(&mut self, useless: &Useless) -> Result<usize, Stop> {
        let mut forgotten = 0;
        for key in &useless.marks {
            let mark: Option<Mark> = self.get(key)?;
            if mark.is_some_and(|mark| mark.last_second < useless.before) {
                self.remove(key.clone());
                forgotten += 1;
            }
        }
        for (holder, newest) in &useless.agents {
            forgotten += self.forget_agent(holder, *newest, useless.before)?;
        }
        Ok(forgotten)
    }

    fn forget_agent(
        &mut self,
        holder: &HolderKey,
        newest_then: Option<Newest>,
        before: u64,
    ) -> Result<usize, Stop> {
        let newest_key = keys::newest(holder);
        let newest: Option<Newest> = self.get(&newest_key)?;
        if newest != newest_then {
            return Ok(0);
        }
        let said_key = keys::acknowledgement(holder);
        let said: Option<Acknowledgement> = self.get(&said_key)?;
        let is_old = said.is_some_and(|said| rows::seconds(said.at) < before);
        if newest.is_some() {
            self.remove(newest_key);
        }
        if is_old {
            self.remove(said_key);
        }
        Ok(usize::from(newest.is_some()) + usize::from(is_old))
    }
}

fn holder_in(key: &[u8]) -> Result<HolderKey, LedgerError> {
    HolderKey::at_end_of(key).ok_or_else(|| rows::malformed(key))
}

/// A clock that ran ahead for some hours must not have cost a mark that is needed.
const KEPT_SECONDS: u64 = 24 * 60 * 60;
/// Bounds the batch, and so the time that reservations wait for it.
const AT_ONCE: usize = 256;
/// Bounds the memory for what one look finds. A look reads all there is, so it is not taken for a few.
const A_LOOK: usize = 4096;
