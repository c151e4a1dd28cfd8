//! How does a backup become a data directory? Built apart from it, and put in place when the last byte was good.
//!
//! Either way the ledger is older than what was issued: that is noted, so that no root is dropped early.

use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use super::BackupError;
use super::Summary;
use super::archive;
use super::archive::FILES;
use super::archive::LEDGER_ROWS;
use super::archive::MANIFEST;
use crate::data_dir;
use crate::data_dir::LEDGER_DIR;
use crate::ledger;

/// Makes `data_dir`, which must not exist or be empty, from the archive `from`, which is read once before to
/// see that it is whole.
///
/// # Errors
/// `data_dir` is as it was.
pub fn restore(from: &Path, data_dir: &Path, now: SystemTime) -> Result<Summary, BackupError> {
    refuse_content(data_dir)?;
    archive::inspect(from)?;
    let staged = staging_dir(data_dir);
    remove(&staged)?;
    let built = build(from, &staged).and_then(|summary| {
        data_dir::note_ledger_loss(&staged, now).map_err(io_error(&staged))?;
        put_in_place(&staged, data_dir)?;
        Ok(summary)
    });
    if built.is_err() {
        remove(&staged)?;
    }
    built
}

/// Puts only the ledger of `from` into `data_dir`. A ledger that is there is set aside, never deleted.
///
/// # Errors
/// The ledger that was there is still there, where it was or set aside.
pub fn restore_ledger(
    from: &Path,
    data_dir: &Path,
    now: SystemTime,
) -> Result<Summary, BackupError> {
    let summary = archive::inspect(from)?;
    let ledger_dir = data_dir.join(LEDGER_DIR);
    let staged = data_dir.join(format!("{LEDGER_DIR}{STAGED}"));
    remove(&staged)?;
    let built = archive::for_each_entry(from, |name, entry| {
        if name == Path::new(LEDGER_ROWS) {
            ledger::import(&staged, entry)?;
        }
        Ok(())
    });
    if let Err(error) = built {
        remove(&staged)?;
        return Err(error);
    }
    // Only now, with the other one whole on the disk, is the old one touched.
    if ledger_dir.exists() {
        ledger::set_aside(&ledger_dir, now).map_err(io_error(&ledger_dir))?;
    }
    data_dir::note_ledger_loss(data_dir, now).map_err(io_error(data_dir))?;
    put_in_place(&staged, &ledger_dir)?;
    Ok(summary)
}

fn build(from: &Path, staged: &Path) -> Result<Summary, BackupError> {
    DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(staged)
        .map_err(io_error(staged))?;
    let (mut summary, mut has_ledger) = (None, false);
    archive::for_each_entry(from, |name, entry| {
        if name == Path::new(MANIFEST) {
            summary = Some(archive::read_manifest(from, entry)?);
        } else if name == Path::new(LEDGER_ROWS) {
            ledger::import(&staged.join(LEDGER_DIR), entry)?;
            has_ledger = true;
        } else if name.starts_with(FILES) {
            // Refuses names that lead out of the directory.
            entry.unpack_in(staged).map_err(io_error(staged))?;
        }
        Ok(())
    })?;
    match summary {
        Some(summary) if has_ledger => {
            lift_files(staged)?;
            Ok(summary)
        }
        _ => Err(archive::not_a_backup(
            from,
            "its manifest or its ledger is missing",
        )),
    }
}

/// Moves what is in `files/` one level up.
fn lift_files(staged: &Path) -> Result<(), BackupError> {
    let files = staged.join(FILES);
    let names = match fs::read_dir(&files) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error(&files)(error)),
    };
    for entry in names {
        let entry = entry.map_err(io_error(&files))?;
        fs::rename(entry.path(), staged.join(entry.file_name())).map_err(io_error(&files))?;
    }
    fs::remove_dir(&files).map_err(io_error(&files))
}

fn put_in_place(staged: &Path, data_dir: &Path) -> Result<(), BackupError> {
    // Every file's content before the directory's name.
    sync_tree(staged).map_err(io_error(staged))?;
    if data_dir.exists() {
        return move_into(staged, data_dir).map_err(io_error(data_dir));
    }
    fs::rename(staged, data_dir).map_err(io_error(data_dir))?;
    let parent = data_dir
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    File::open(parent)
        .and_then(|dir| dir.sync_all())
        .map_err(io_error(parent))
}

/// Fills a directory that is there name by name: it may be a mount point, which nothing can be renamed over. What makes
/// it a data directory in use comes last.
fn move_into(staged: &Path, data_dir: &Path) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(staged)? {
        names.push(entry?.file_name());
    }
    names.sort_by_key(|name| name == STATE);
    for name in names {
        fs::rename(staged.join(&name), data_dir.join(&name))?;
    }
    fs::remove_dir(staged)?;
    File::open(data_dir)?.sync_all()
}

fn sync_tree(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let kind = fs::symlink_metadata(&path)?.file_type();
        if kind.is_dir() {
            sync_tree(&path)?;
        } else if kind.is_file() {
            File::open(&path)?.sync_all()?;
        }
    }
    File::open(dir)?.sync_all()
}

fn refuse_content(dir: &Path) -> Result<(), BackupError> {
    match fs::read_dir(dir) {
        Ok(names) => match names.flatten().any(|name| name.file_name() != STAGED) {
            true => Err(BackupError::NotEmpty {
                path: dir.to_owned(),
            }),
            false => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error(dir)(error)),
    }
}

/// Where `dir` is built, on the same disk: in it where it is there, else beside it.
fn staging_dir(dir: &Path) -> PathBuf {
    if dir.is_dir() {
        return dir.join(STAGED);
    }
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(STAGED);
    dir.with_file_name(name)
}

fn remove(dir: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(dir)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io {
        path: path.clone(),
        source,
    }
}

const STAGED: &str = ".restoring";
/// The file that says that a data directory is in use.
const STATE: &str = "state.json";
