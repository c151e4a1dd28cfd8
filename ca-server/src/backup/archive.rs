//! How does a backup lie in a tar archive? `manifest.json`, `files/…`, `ledger.rows`, in this order.

use std::ffi::OsStr;
use std::fs;
use std::fs::File;
use std::io;
use std::io::BufReader;
use std::io::BufWriter;
use std::io::Read;
use std::io::Seek as _;
use std::io::Write as _;
use std::path::Path;

use tar::Archive;
use tar::Builder;
use tar::Header;

use super::BackupError;
use super::Summary;
use super::VERSION;
use crate::data_dir::LEDGER_DIR;

pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const FILES: &str = "files";
pub(super) const LEDGER_ROWS: &str = "ledger.rows";

pub(super) fn write(
    data_dir: &Path,
    summary: &Summary,
    ledger_rows: File,
    out: &mut File,
) -> Result<(), BackupError> {
    let failed = |source| BackupError::Io {
        path: data_dir.to_owned(),
        source,
    };
    write_all(data_dir, summary, ledger_rows, out).map_err(failed)
}

fn write_all(
    data_dir: &Path,
    summary: &Summary,
    mut ledger_rows: File,
    out: &mut File,
) -> io::Result<()> {
    let mut tar = Builder::new(BufWriter::new(out));
    tar.follow_symlinks(false);
    let manifest = serde_json::to_vec_pretty(summary)?;
    let mut header = Header::new_gnu();
    header.set_size(manifest.len().try_into().map_err(io::Error::other)?);
    header.set_mode(0o600);
    tar.append_data(&mut header, MANIFEST, manifest.as_slice())?;
    append_files(&mut tar, data_dir, Path::new(FILES), summary.with_keys)?;
    ledger_rows.rewind()?;
    tar.append_file(LEDGER_ROWS, &mut ledger_rows)?;
    tar.into_inner()?.flush()
}

/// Everything but the ledger, which has its own form, and what only lives with the process.
fn append_files(
    tar: &mut Builder<BufWriter<&mut File>>,
    dir: &Path,
    name: &Path,
    with_keys: bool,
) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, file_name) = (entry.path(), entry.file_name());
        let kind = fs::symlink_metadata(&path)?.file_type();
        let inside = name.join(&file_name);
        if is_left_out(&file_name, with_keys) {
            continue;
        } else if kind.is_dir() {
            tar.append_dir(&inside, &path)?;
            append_files(tar, &path, &inside, with_keys)?;
        } else if kind.is_file() || kind.is_symlink() {
            tar.append_path_with_name(&path, &inside)?;
        }
    }
    Ok(())
}

fn is_left_out(name: &OsStr, with_keys: bool) -> bool {
    let name = name.to_string_lossy();
    let is_ledger = name == LEDGER_DIR || name.starts_with(&format!("{LEDGER_DIR}."));
    // Anywhere in the name: a crash may have left a file beside the one that it was to become.
    let is_key = name.contains("-key.pem") || name.contains("tls.key");
    name == "lock" || is_ledger || (!with_keys && is_key)
}

/// Reads a whole archive and says what is in it.
///
/// # Errors
/// When it is not a backup, or cut.
pub fn inspect(path: &Path) -> Result<Summary, BackupError> {
    let mut summary = None;
    let mut has_ledger = false;
    for_each_entry(path, |name, entry| {
        if name == Path::new(MANIFEST) {
            summary = Some(read_manifest(path, entry)?);
            return Ok(());
        }
        has_ledger |= name == Path::new(LEDGER_ROWS);
        // The end of the file inside an entry is no error to the reader.
        let read = io::copy(entry, &mut io::sink()).map_err(|source| BackupError::Io {
            path: path.to_owned(),
            source,
        })?;
        match read == entry.size() {
            true => Ok(()),
            false => Err(BackupError::Cut {
                path: path.to_owned(),
                entry: name.to_owned(),
            }),
        }
    })?;
    match summary {
        Some(summary) if has_ledger => Ok(summary),
        _ => Err(not_a_backup(path, "its manifest or its ledger is missing")),
    }
}

/// Calls `act` with the name and content of each entry.
pub(super) fn for_each_entry(
    path: &Path,
    mut act: impl FnMut(&Path, &mut tar::Entry<'_, BufReader<File>>) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let failed = |source| BackupError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut archive = Archive::new(BufReader::new(file));
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry
            .map_err(|error| not_a_backup(path, &format!("it is cut off or damaged: {error}")))?;
        let name = entry.path().map_err(failed)?.into_owned();
        act(&name, &mut entry)?;
    }
    Ok(())
}

pub(super) fn read_manifest(path: &Path, entry: &mut impl Read) -> Result<Summary, BackupError> {
    let summary: Summary = serde_json::from_reader(entry)
        .map_err(|error| not_a_backup(path, &format!("{MANIFEST}: {error}")))?;
    if summary.version > VERSION {
        return Err(BackupError::NewerVersion {
            path: path.to_owned(),
            found: summary.version,
        });
    }
    Ok(summary)
}

pub(super) fn not_a_backup(path: &Path, reason: &str) -> BackupError {
    BackupError::NotABackup {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}
