//! How is the database on disk opened, written and made durable?
//!
//! Nothing here knows what the rows mean, but for the one that names the layout.

use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::failure::Failure;
use super::failure::drop_guarded;
use super::failure::guarded;
use super::keys;
use super::marker;
use super::marker::Marker;
use super::open::LedgerOpenError;
use super::upgrade::upgrade;

/// An open database.
pub(super) struct Store {
    db: sled::Db,
    /// The file that `db` writes, a second time: `flush` of sled hands bytes to the device, but syncs no metadata.
    file: File,
}

/// Whether a directory without a ledger is an error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// A new ledger is made where there is none.
    NewOrOld,
    /// Only what was open before will do: a directory that somebody removed is not replaced by an empty ledger.
    Old,
}

impl Store {
    /// Opens the database in `dir` once, without waiting for anybody's lock.
    ///
    /// # Errors
    /// What is wrong, as far as sled tells. No row that was there is changed.
    pub(super) fn open(
        dir: &Path,
        cache_bytes: u64,
        expect: Expect,
    ) -> Result<Self, LedgerOpenError> {
        let refused = |failure| LedgerOpenError::from_failure(dir, failure);
        let marker = marker::read(dir).map_err(|error| refused(error.into()))?;
        let expect = match marker {
            Marker::Absent => expect,
            Marker::Layout(keys::LAYOUT | keys::LAYOUT_WITHOUT_MARKS) => Expect::Old,
            Marker::Layout(found) => return Err(LedgerOpenError::layout(dir, found)),
            Marker::Unreadable => return Err(LedgerOpenError::without_layout(dir)),
        };
        if expect == Expect::Old && !dir.join(DATA_FILE).exists() {
            return Err(LedgerOpenError::gone(dir));
        }
        if marker == Marker::Absent {
            forget_torn_beginning(dir).map_err(|error| refused(error.into()))?;
        }
        let store = guarded(|| Self::open_unguarded(dir, cache_bytes)).map_err(refused)?;
        let checked = store.check_layout(dir, expect).and_then(|()| match marker {
            // Last of all: a crash before this leaves a database that says itself what it is, or an empty one.
            Marker::Layout(keys::LAYOUT) | Marker::Unreadable => Ok(()),
            Marker::Absent | Marker::Layout(_) => {
                marker::write(dir).map_err(|error| refused(error.into()))
            }
        });
        match checked {
            Ok(()) => Ok(store),
            Err(error) => {
                drop_guarded(store);
                Err(error)
            }
        }
    }

    fn open_unguarded(dir: &Path, cache_bytes: u64) -> Result<Self, Failure> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let db = sled::Config::new()
            .path(dir)
            .cache_capacity(cache_bytes)
            .flush_every_ms(None)
            .open()?;
        let file = File::open(dir.join(DATA_FILE))?;
        Ok(Self { db, file })
    }

    /// Reads the layout's number, or writes it into an empty database or one of the layout before.
    fn check_layout(&self, dir: &Path, expect: Expect) -> Result<(), LedgerOpenError> {
        let refused = |failure| LedgerOpenError::from_failure(dir, failure);
        let row = guarded(|| Ok(self.db.get(keys::LAYOUT_ROW)?)).map_err(refused)?;
        match row.as_deref().map(<[u8; 4]>::try_from) {
            Some(Ok(number)) => match u32::from_be_bytes(number) {
                keys::LAYOUT => Ok(()),
                keys::LAYOUT_WITHOUT_MARKS => upgrade(self, dir),
                found => Err(LedgerOpenError::layout(dir, found)),
            },
            None if expect == Expect::NewOrOld && self.db.is_empty() => {
                guarded(|| self.begin(dir)).map_err(refused)
            }
            Some(Err(_)) | None => Err(LedgerOpenError::without_layout(dir)),
        }
    }

    fn begin(&self, dir: &Path) -> Result<(), Failure> {
        self.db
            .insert(keys::LAYOUT_ROW, &keys::LAYOUT.to_be_bytes())?;
        self.make_durable()?;
        Ok(sync_parent(dir)?)
    }

    /// Where the rows are read.
    pub(super) fn tree(&self) -> &sled::Tree {
        &self.db
    }

    /// Writes `batch` whole or not at all, to be durable after the next [`Self::make_durable`].
    ///
    /// # Errors
    /// The store is broken: part of the batch may be in memory, and the handle must go.
    pub(super) fn apply(&self, batch: sled::Batch) -> Result<(), Failure> {
        Ok(self.db.apply_batch(batch)?)
    }

    /// Returns when everything that was applied survives a loss of power.
    ///
    /// # Errors
    /// What was applied may be durable or not, and the handle must go.
    pub(super) fn make_durable(&self) -> Result<(), Failure> {
        self.db.flush()?;
        Ok(self.file.sync_data()?)
    }
}

/// Removes the settings file that sled begins with, where there is no data yet: a crash may have cut it short,
/// and sled takes that for damage.
fn forget_torn_beginning(dir: &Path) -> io::Result<()> {
    let is_empty = match std::fs::metadata(dir.join(DATA_FILE)) {
        Ok(data) => data.len() == 0,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if !is_empty {
        return Ok(());
    }
    match std::fs::remove_file(dir.join(SETTINGS_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names in a directory durable.
///
/// # Errors
/// The names may be lost with the power.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes the name of `path` itself durable.
///
/// # Errors
/// As [`sync_dir`].
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => sync_dir(Path::new(".")),
        Some(parent) => sync_dir(parent),
        None => Ok(()),
    }
}

const DATA_FILE: &str = "db";
const SETTINGS_FILE: &str = "conf";
