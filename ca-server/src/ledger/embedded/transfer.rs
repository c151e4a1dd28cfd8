//! How do rows get into an archive and out again? Index rows are made anew from the entries; marks travel, since
//! what an agent said and when it last asked is in no entry. Terms do not: they are those of a running server.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::failure::guarded;
use super::keys;
use super::marks::Mark;
use super::marks::Marks;
use super::marks::Newest;
use super::open::LedgerOpenError;
use super::options::LedgerOptions;
use super::rows;
use super::rows::Stored;
use super::shared::Shared;
use super::store::Expect;
use super::store::Store;
use super::store::sync_parent;
use crate::ledger::Acknowledgement;
use crate::ledger::Denial;
use crate::ledger::Evidence;
use crate::ledger::Intent;
use crate::ledger::Token;
use crate::ledger::archive::ArchiveError;
use crate::ledger::archive::ArchiveReader;
use crate::ledger::archive::ArchiveWriter;
use crate::ledger::archive::ArchivedRow;

/// Writes every fact to `out`. Takes the handle anew for each chunk, so that it never stands in the way of a reopening.
///
/// The order makes a scan without a snapshot consistent: a leaf comes after its entry into the ledger, so leaves are read
/// first; a token is spent with an entry, so tokens are read after those, and marks too. What an agent said is read before
/// what is newest for it. Denials stand alone.
pub(super) fn export<W: Write>(shared: &Shared, out: W) -> Result<(W, u64), ArchiveError> {
    let mut archive = ArchiveWriter::begin(out, keys::LAYOUT)?;
    for kind in [
        keys::LEAVES,
        keys::ENTRIES,
        keys::TOKENS,
        keys::DENIALS,
        keys::MARKS,
        keys::ACKNOWLEDGEMENTS,
        keys::NEWEST,
    ] {
        let mut from = vec![kind];
        while let Some(last) = export_chunk(shared, kind, &from, &mut archive)? {
            from = last;
            // The smallest key behind the last.
            from.push(0);
        }
    }
    archive.finish()
}

/// Writes some rows from `from` on; answers the last key, or `None` when there were no more.
fn export_chunk<W: Write>(
    shared: &Shared,
    kind: u8,
    from: &[u8],
    archive: &mut ArchiveWriter<W>,
) -> Result<Option<Vec<u8>>, ArchiveError> {
    let store = shared.store()?;
    let mut chunk = Vec::new();
    let end = keys::end_of(kind);
    for row in store.tree().range(from..&end[..]).take(CHUNK) {
        chunk.push(row.map_err(|error| ledger(error.into()))?);
    }
    drop(store);
    for (key, value) in &chunk {
        archive.row(key, value)?;
    }
    Ok(chunk.last().map(|(key, _)| key.to_vec()))
}

/// Makes a ledger in `dir`, which must be empty or not exist, from an archive. Answers the number of rows read.
///
/// The ledger is built beside `dir` and gets its name when the last byte of the archive has proved right.
///
/// # Errors
/// `dir` is as it was.
pub fn import(dir: &Path, archive: impl Read) -> Result<u64, ArchiveError> {
    refuse_content(dir)?;
    let staged = staging_dir(dir)?;
    remove_leftovers(&staged)?;
    let built = build(&staged, archive).and_then(|rows| {
        fs::rename(&staged, dir)?;
        sync_parent(dir)?;
        Ok(rows)
    });
    if built.is_err() {
        remove_leftovers(&staged)?;
    }
    built
}

fn build(staged: &Path, archive: impl Read) -> Result<u64, ArchiveError> {
    let mut archive = ArchiveReader::begin(archive)?;
    let marks = match archive.layout() {
        keys::LAYOUT => None,
        keys::LAYOUT_WITHOUT_MARKS => Some(Marks::default()),
        other => return Err(LedgerOpenError::layout(staged, other).into()),
    };
    let mut made = MadeAnew {
        roots: BTreeMap::new(),
        marks,
    };
    let cache_bytes = LedgerOptions::default().cache_bytes;
    let store = Store::open(staged, cache_bytes, Expect::NewOrOld)?;
    let mut batch = sled::Batch::default();
    while let Some(row) = archive.row()? {
        for (key, value) in rows_of(row, &mut made)? {
            batch.insert(key, value);
        }
        if archive.rows() % CHUNK_ROWS == 0 {
            write(&store, std::mem::take(&mut batch))?;
        }
    }
    for (key, value) in made.into_rows()? {
        batch.insert(key, value);
    }
    write(&store, batch)?;
    // The last handle panics when it cannot sync on its way out.
    guarded(|| store.make_durable().map(|()| drop(store))).map_err(ledger)?;
    Ok(archive.rows())
}

/// What is known when all entries were seen.
struct MadeAnew {
    roots: BTreeMap<Vec<u8>, u64>,
    /// `None` when the archive has them.
    marks: Option<Marks>,
}

impl MadeAnew {
    fn add(&mut self, intent: &Intent) {
        if intent.evidence != Evidence::Own {
            let last = self.roots.entry(keys::root(&intent.root)).or_default();
            *last = rows::seconds(intent.validity.not_after()).max(*last);
        }
        if let Some(marks) = &mut self.marks {
            marks.add(intent);
        }
    }

    fn into_rows(self) -> Result<Vec<rows::Row>, ArchiveError> {
        let mut made = self.marks.unwrap_or_default().into_rows()?;
        for (key, last_second) in self.roots {
            made.push((key, rows::encode(&last_second)?));
        }
        Ok(made)
    }
}

/// The rows that one row of an archive stands for. Each is decoded, so that what does not read is found now.
fn rows_of(row: ArchivedRow, made: &mut MadeAnew) -> Result<Vec<rows::Row>, ArchiveError> {
    match row.key.first() {
        Some(&keys::ENTRIES) => {
            let intent: Intent = rows::decode(&row.key, &row.value)?;
            made.add(&intent);
            Ok(rows::of_intent(&intent)?)
        }
        Some(&keys::ACKNOWLEDGEMENTS) => as_it_is::<Acknowledgement>(row),
        Some(&keys::DENIALS) => as_it_is::<Denial>(row),
        Some(&keys::LEAVES) => as_it_is::<Vec<u8>>(row),
        Some(&keys::MARKS) => as_it_is::<Mark>(row),
        Some(&keys::NEWEST) => as_it_is::<Newest>(row),
        Some(&keys::TOKENS) => as_it_is::<Token>(row),
        Some(_) | None => Err(rows::malformed(&row.key).into()),
    }
}

fn as_it_is<T: DeserializeOwned + Stored>(
    ArchivedRow { key, value }: ArchivedRow,
) -> Result<Vec<rows::Row>, ArchiveError> {
    rows::decode::<T>(&key, &value)?;
    Ok(vec![(key, value)])
}

fn write(store: &Store, batch: sled::Batch) -> Result<(), ArchiveError> {
    guarded(|| store.apply(batch)).map_err(ledger)
}

fn ledger(failure: Failure) -> ArchiveError {
    ArchiveError::Ledger {
        source: failure.into(),
    }
}

fn refuse_content(dir: &Path) -> Result<(), ArchiveError> {
    match fs::read_dir(dir) {
        Ok(mut names) => match names.next() {
            Some(_) => Err(ArchiveError::NotEmpty {
                dir: dir.to_path_buf(),
            }),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// `dir` with `.importing` behind its name, on the same disk.
fn staging_dir(dir: &Path) -> Result<PathBuf, ArchiveError> {
    let name = dir
        .file_name()
        .ok_or_else(|| io::Error::other(format!("{} has no name", dir.display())))?;
    let mut name = name.to_os_string();
    name.push(".importing");
    Ok(dir.with_file_name(name))
}

fn remove_leftovers(staged: &Path) -> Result<(), ArchiveError> {
    match fs::remove_dir_all(staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

const CHUNK: usize = 512;
const CHUNK_ROWS: u64 = 512;
