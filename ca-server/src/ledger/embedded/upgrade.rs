//! What does a ledger of layout 1 lack? The marks, which are made from its entries, once.
//!
//! Nothing that was there is changed, so that a crash on the way leaves a ledger of layout 1. There is no way back: a
//! program of that time would add entries without marks.

use std::path::Path;

use tracing::info;

use super::failure::Failure;
use super::failure::guarded;
use super::keys;
use super::marks::Marks;
use super::open::LedgerOpenError;
use super::rows;
use super::store::Store;
use crate::ledger::Intent;
use crate::ledger::LedgerError;

/// Makes the marks of every entry, expired ones too, and names the new layout, durably and at once.
///
/// # Errors
/// The ledger is as it was. An entry that does not decode is damage: how long its leaf lives cannot be told.
pub(super) fn upgrade(store: &Store, dir: &Path) -> Result<(), LedgerOpenError> {
    info!(dir = %dir.display(), to = keys::LAYOUT, "the ledger is brought to a new layout, which may take a while");
    let batch = guarded(|| marks_of_entries(store))
        .map_err(|failure| LedgerOpenError::from_failure(dir, failure))?
        .map_err(|error| LedgerOpenError::Damaged {
            dir: dir.to_path_buf(),
            reason: error.to_string(),
        })?;
    guarded(|| store.apply(batch).and_then(|()| store.make_durable()))
        .map_err(|failure| LedgerOpenError::from_failure(dir, failure))
}

fn marks_of_entries(store: &Store) -> Result<Result<sled::Batch, LedgerError>, Failure> {
    let mut marks = Marks::default();
    for row in store.tree().scan_prefix([keys::ENTRIES]) {
        let (key, value) = row?;
        match rows::decode::<Intent>(&key, &value) {
            Ok(intent) => marks.add(&intent),
            Err(error) => return Ok(Err(error)),
        }
    }
    let mut batch = sled::Batch::default();
    batch.insert(&keys::LAYOUT_ROW, &keys::LAYOUT.to_be_bytes());
    Ok(marks.into_rows().map(|rows| {
        for (key, value) in rows {
            batch.insert(key, value);
        }
        batch
    }))
}
