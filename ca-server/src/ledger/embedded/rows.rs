//! What does a row say? Values as bytes: one byte of version, then postcard.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::keys;
use super::marks::Mark;
use super::marks::Newest;
use crate::ledger::Acknowledgement;
use crate::ledger::Denial;
use crate::ledger::Intent;
use crate::ledger::LedgerError;
use crate::ledger::Terms;
use crate::ledger::Token;
use crate::x509::LeafName;
use crate::x509::Serial;

/// A key and its value.
pub(super) type Row = (Vec<u8>, Vec<u8>);

/// Up to 16 rows share a page of the tree, and a page above 128 KiB goes to a file of its own, which sled does not sync.
const MAX_ROW_LEN: usize = 7_500;

/// What a row may hold.
pub(super) trait Stored {
    /// The version that is written.
    const VERSION: u8 = 1;
    /// What version 2 has behind the end of version 1, where a row of version 1 stands.
    const SINCE_VERSION_1: &'static [u8] = &[];
}

impl Stored for &[u8] {}
impl Stored for Acknowledgement {}
impl Stored for Denial {}
impl Stored for Mark {}
impl Stored for Newest {}
impl Stored for Terms {}
impl Stored for Token {}
impl Stored for Vec<u8> {}
impl Stored for u64 {}

impl Stored for Intent {
    const VERSION: u8 = 2;
    /// Bundle number zero and no instance.
    const SINCE_VERSION_1: &'static [u8] = &[0, 0];
}

/// The bytes of a value.
///
/// # Errors
/// When it has no encoding (a time before 1970), or a longer one than a row may have.
pub(super) fn encode<T: Serialize + Stored>(value: &T) -> Result<Vec<u8>, LedgerError> {
    let bytes =
        postcard::to_extend(value, vec![T::VERSION]).map_err(|error| LedgerError::Unstorable {
            reason: error.to_string(),
        })?;
    match bytes.len() {
        0..=MAX_ROW_LEN => Ok(bytes),
        len => Err(LedgerError::Unstorable {
            reason: format!("a row has at most {MAX_ROW_LEN} bytes, this one {len}"),
        }),
    }
}

/// The value of a row.
///
/// # Errors
/// Names the key when the bytes are of another version, do not decode, or go on behind the value.
pub(super) fn decode<T: DeserializeOwned + Stored>(
    key: &[u8],
    bytes: &[u8],
) -> Result<T, LedgerError> {
    match bytes.split_first() {
        Some((&version, rest)) if version == T::VERSION => whole(key, rest),
        Some((&1, rest)) => whole(key, &[rest, T::SINCE_VERSION_1].concat()),
        Some(_) | None => Err(malformed(key)),
    }
}

fn whole<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, LedgerError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(malformed(key)),
    }
}

/// The error about a row that makes no sense.
pub(super) fn malformed(key: &[u8]) -> LedgerError {
    LedgerError::Malformed {
        key: keys::hex(key),
    }
}

/// The rows that an intent alone gives rise to: the entry and its index rows.
///
/// # Errors
/// As [`encode`].
pub(super) fn of_intent(intent: &Intent) -> Result<Vec<Row>, LedgerError> {
    let last_second = seconds(intent.validity.not_after());
    let mut rows = vec![
        (keys::entry(intent.serial), encode(intent)?),
        (
            keys::by_expiry(keys::hour_of(last_second), intent.serial),
            encode(&last_second)?,
        ),
    ];
    if let LeafName::Workload(id) = &intent.name {
        let key = keys::by_spiffe_id(
            keys::day_of(intent.serial),
            &keys::hash_of(id),
            intent.serial,
        );
        rows.push((key, encode(&last_second)?));
    }
    Ok(rows)
}

/// The row of a recorded leaf.
///
/// # Errors
/// As [`encode`].
pub(super) fn of_leaf(serial: Serial, leaf_der: &[u8]) -> Result<Row, LedgerError> {
    Ok((keys::leaf(serial), encode(&leaf_der)?))
}

/// Whole seconds since 1970; zero for anything earlier.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
