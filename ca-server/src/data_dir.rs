//! Which directory is ours? Makes the data directory and keeps other servers out of it.
//!
//! Says nothing of what is inside.

use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

/// The data directory, for this process alone as long as the value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Closing it, also by dying, ends the lock.
    _lock: File,
}

impl DataDir {
    /// Makes `path` (mode 0700) where it is not there, and locks it.
    ///
    /// # Errors
    /// When it cannot be made or written to, or another process holds the lock. Nothing but the
    /// directory and its `lock` file is left.
    pub fn lock(path: &Path) -> Result<Self, DataDirError> {
        let failed = |source| DataDirError::Io {
            path: path.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed)?;
        let mut file = open_lock_file(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DataDirError::InUse {
                    path: path.to_owned(),
                    pid: holder(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        write_pid(&mut file).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: file,
        })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Remembers that leaves from before `now` may be missing in the ledger of `data_dir`, so that no root is dropped for
/// want of evidence.
///
/// # Errors
/// It is not remembered, or (when only the last sync failed) may be forgotten with a power failure.
pub fn note_ledger_loss(data_dir: &Path, now: SystemTime) -> io::Result<()> {
    let path = data_dir.join(LEDGER_LOSS);
    let beside = data_dir.join(format!(".{LEDGER_LOSS}.new"));
    let mut file = File::create(&beside)?;
    writeln!(file, "{}", humantime::format_rfc3339_seconds(now))?;
    file.sync_all()?;
    std::fs::rename(&beside, &path)?;
    File::open(data_dir)?.sync_all()
}

/// When the ledger of `data_dir` was last lost or put back from a backup; `None` where it never was.
///
/// # Errors
/// When the note is there and cannot be read: then nobody knows, and no root may be dropped.
pub fn ledger_loss(data_dir: &Path) -> io::Result<Option<SystemTime>> {
    let path = data_dir.join(LEDGER_LOSS);
    match std::fs::read_to_string(&path) {
        Ok(text) => humantime::parse_rfc3339(text.trim())
            .map(Some)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where the ledger lives in the data directory.
pub const LEDGER_DIR: &str = "ledger";
/// Says when the ledger was lost, if it was.
const LEDGER_LOSS: &str = "ledger-lost";

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// Another process holds the lock.
    #[error(
        "data directory {} is in use by another ca-server (pid {pid}): stop that one, or give this one its own --data-dir",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process that holds the lock, as it wrote it down.
        pid: String,
    },
    /// The system refused.
    #[error("cannot make or write to the data directory {}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn open_lock_file(dir: &Path) -> io::Result<File> {
    // Not truncated: until the lock is ours, the pid in it is another's.
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(dir.join("lock"))
}

fn holder(file: &mut File) -> String {
    let mut pid = String::new();
    match file.read_to_string(&mut pid) {
        Ok(_) if !pid.trim().is_empty() => pid.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_locked_directory_is_refused_naming_the_process_until_it_is_let_go() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = DataDir::lock(&path).unwrap();
        let refusal = DataDir::lock(&path).unwrap_err().to_string();
        assert!(
            refusal.contains(&format!(
                "in use by another ca-server (pid {})",
                std::process::id()
            )),
            "{refusal}"
        );
        drop(first);
        DataDir::lock(&path).unwrap();
    }

    #[test]
    fn a_new_data_directory_is_its_owners_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let _data_dir = DataDir::lock(&path).unwrap();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_file_in_place_of_the_directory_is_an_error_that_names_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        std::fs::write(&path, "").unwrap();
        let error = DataDir::lock(&path).unwrap_err();
        assert!(error.to_string().contains("data"), "{error}");
    }
}
