//! Which serials come next, newest first? Walks over the entries and over the two indexes.
//!
//! Every step is one seek from the serial before, so that a walk can start anywhere and holds no state of sled.

use std::collections::BinaryHeap;
use std::ops::Bound;

use super::keys;
use super::keys::IdHash;
use super::read::Reader;
use super::rows;
use crate::ledger::LedgerError;
use crate::x509::Serial;

/// A way through the ledger from new to old.
pub(super) enum Walk {
    /// All entries.
    Entries(Below),
    /// The entries whose last second lies in the given hours: a merge of hours that are each in order.
    Expiry(BinaryHeap<Head>),
    /// The entries of one SPIFFE ID, day by day.
    SpiffeId {
        hash: IdHash,
        day: u32,
        below: Below,
    },
}

/// The serials that are still to come: all, or the ones smaller than one.
#[derive(Clone, Copy)]
pub(super) enum Below {
    All,
    Serial(Serial),
}

/// The newest serial of an hour that was not given out yet. Orders by serial.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Head {
    serial: Serial,
    hour: u32,
    last_second: u64,
}

/// A serial, and the leaf's last second when the walk knows it.
pub(super) struct Step {
    pub(super) serial: Serial,
    pub(super) last_second: Option<u64>,
}

impl Walk {
    /// Starts at the newest entry of one SPIFFE ID.
    pub(super) fn of_spiffe_id(hash: IdHash, below: Below) -> Self {
        let day = match below {
            Below::All => u32::MAX,
            Below::Serial(serial) => keys::day_of(serial),
        };
        Self::SpiffeId { hash, day, below }
    }

    /// Starts at the newest entry that expires from hour `first` to hour `last`, both included.
    pub(super) fn of_expiry(
        reader: &Reader<'_>,
        (first, last): (u32, u32),
        below: Below,
    ) -> Result<Self, LedgerError> {
        let mut heads = BinaryHeap::new();
        let mut hour = first;
        while let Some(found) = next_hour(reader, hour, last)? {
            heads.extend(head(reader, found, below)?);
            match found.checked_add(1) {
                Some(next) => hour = next,
                None => break,
            }
        }
        Ok(Self::Expiry(heads))
    }

    /// The next serial; `None` at the end.
    pub(super) fn step(&mut self, reader: &Reader<'_>) -> Result<Option<Step>, LedgerError> {
        match self {
            Self::Entries(below) => {
                let key = reader.last_in(&[keys::ENTRIES], bound(&[keys::ENTRIES], *below))?;
                let Some((key, _)) = key else {
                    return Ok(None);
                };
                let serial = serial_in(&key)?;
                *below = Below::Serial(serial);
                Ok(Some(Step {
                    serial,
                    last_second: None,
                }))
            }
            Self::Expiry(heads) => {
                let Some(newest) = heads.pop() else {
                    return Ok(None);
                };
                heads.extend(head(reader, newest.hour, Below::Serial(newest.serial))?);
                Ok(Some(Step {
                    serial: newest.serial,
                    last_second: Some(newest.last_second),
                }))
            }
            Self::SpiffeId { hash, day, below } => step_by_day(reader, hash, day, below),
        }
    }
}

/// Looks for the newest entry of `hash` at or before `day`. A day without one costs one seek.
fn step_by_day(
    reader: &Reader<'_>,
    hash: &IdHash,
    day: &mut u32,
    below: &mut Below,
) -> Result<Option<Step>, LedgerError> {
    loop {
        let prefix = prefix_of_day(*day, hash);
        let found = reader.last_in(&[keys::BY_SPIFFE_ID], bound(&prefix, *below))?;
        let Some((key, value)) = found else {
            return Ok(None);
        };
        let found_day = keys::segment_in(&key).ok_or_else(|| rows::malformed(&key))?;
        if found_day == *day && keys::hash_in(&key) == Some(*hash) {
            let serial = serial_in(&key)?;
            *below = Below::Serial(serial);
            return Ok(Some(Step {
                serial,
                last_second: Some(rows::decode(&key, &value)?),
            }));
        }
        *below = Below::All;
        *day = match (found_day < *day, found_day.checked_sub(1)) {
            (true, _) => found_day,
            (false, Some(before)) => before,
            (false, None) => return Ok(None),
        };
    }
}

fn next_hour(reader: &Reader<'_>, from: u32, last: u32) -> Result<Option<u32>, LedgerError> {
    let found = reader.first_in(&[keys::BY_EXPIRY], &prefix_of_hour(from))?;
    match found {
        Some((key, _)) => {
            let hour = keys::segment_in(&key).ok_or_else(|| rows::malformed(&key))?;
            Ok((hour <= last).then_some(hour))
        }
        None => Ok(None),
    }
}

fn head(reader: &Reader<'_>, hour: u32, below: Below) -> Result<Option<Head>, LedgerError> {
    let prefix = prefix_of_hour(hour);
    let Some((key, value)) = reader.last_in(&prefix, bound(&prefix, below))? else {
        return Ok(None);
    };
    Ok(Some(Head {
        serial: serial_in(&key)?,
        hour,
        last_second: rows::decode(&key, &value)?,
    }))
}

fn serial_in(key: &[u8]) -> Result<Serial, LedgerError> {
    keys::serial_in(key).ok_or_else(|| rows::malformed(key))
}

/// The upper end of the keys of `prefix` whose serial is `below`.
fn bound(prefix: &[u8], below: Below) -> Bound<Vec<u8>> {
    match below {
        // One byte more than a serial has: behind every serial.
        Below::All => Bound::Included([prefix, &[0xff; 17]].concat()),
        Below::Serial(serial) => Bound::Excluded([prefix, serial.as_bytes()].concat()),
    }
}

fn prefix_of_day(day: u32, hash: &IdHash) -> Vec<u8> {
    [&[keys::BY_SPIFFE_ID], &day.to_be_bytes()[..], hash].concat()
}

fn prefix_of_hour(hour: u32) -> Vec<u8> {
    [&[keys::BY_EXPIRY], &hour.to_be_bytes()[..]].concat()
}
