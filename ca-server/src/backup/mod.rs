//! What would it take to start again? One tar archive: a manifest, the data directory's small files, the ledger's rows.
//!
//! The ledger's part proves by itself that it is whole; nothing gets its final name before everything was read.

mod archive;
mod restore;
mod survey;

use std::fmt;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Seek as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use serde::Deserialize;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;

use crate::data_dir::LEDGER_DIR;
use crate::ledger::LedgerOpenError;
use crate::ledger::LedgerOptions;
use crate::ledger::SledLedger;
use crate::ledger::archive::ArchiveError;

pub use self::archive::inspect;
pub use self::restore::restore;
pub use self::restore::restore_ledger;

/// A running server's data, to be backed up without stopping it.
#[derive(Clone, Debug)]
pub struct Source {
    data_dir: PathBuf,
    ledger: Arc<SledLedger>,
}

impl Source {
    /// The data in `data_dir`, whose ledger is open here.
    #[must_use]
    pub fn new(data_dir: &Path, ledger: Arc<SledLedger>) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            ledger,
        }
    }

    /// Takes a backup and streams it. It lies in an unnamed file of the data directory meanwhile.
    ///
    /// # Errors
    /// There is no backup.
    pub async fn stream(
        &self,
        without_keys: bool,
        now: SystemTime,
    ) -> Result<ReceiverStream<io::Result<Vec<u8>>>, BackupError> {
        let mut spool = spool_in(&self.data_dir)?;
        write(&self.data_dir, &self.ledger, without_keys, now, &mut spool).await?;
        spool.rewind().map_err(|source| BackupError::Io {
            path: self.data_dir.clone(),
            source,
        })?;
        let (chunks, stream) = mpsc::channel(4);
        spawn_blocking(move || {
            loop {
                let mut chunk = vec![0; CHUNK];
                let sent = match spool.read(&mut chunk) {
                    Ok(0) => return,
                    Ok(read) => {
                        chunk.truncate(read);
                        chunks.blocking_send(Ok(chunk))
                    }
                    Err(error) => chunks.blocking_send(Err(error)),
                };
                if sent.is_err() {
                    return;
                }
            }
        });
        Ok(ReceiverStream::new(stream))
    }
}

/// Backs up a data directory that no server has open.
///
/// # Errors
/// What was written to `out` is not a backup.
pub async fn write_offline(
    data_dir: &Path,
    without_keys: bool,
    now: SystemTime,
    out: &mut File,
) -> Result<(), BackupError> {
    let ledger = SledLedger::open(&data_dir.join(LEDGER_DIR), LedgerOptions::default())?;
    write(data_dir, &ledger, without_keys, now, out).await?;
    ledger.close().await.map_err(ArchiveError::from)?;
    Ok(())
}

async fn write(
    data_dir: &Path,
    ledger: &SledLedger,
    without_keys: bool,
    now: SystemTime,
    out: &mut File,
) -> Result<(), BackupError> {
    let (rows_file, rows) = ledger.export(spool_in(data_dir)?).await?;
    let summary = Summary {
        version: VERSION,
        taken_at: humantime::format_rfc3339_seconds(now).to_string(),
        with_keys: !without_keys,
        ledger_rows: rows,
    };
    let failed = |source| BackupError::Io {
        path: data_dir.to_owned(),
        source,
    };
    for attempt in 0..MOST_ATTEMPTS {
        sleep(PAUSE * attempt).await;
        let (dir, summary) = (data_dir.to_owned(), summary.clone());
        let rows = rows_file.try_clone().map_err(failed)?;
        let mut out = out.try_clone().map_err(failed)?;
        let written = spawn_blocking(move || archive::write(&dir, &summary, rows, &mut out));
        if written.await.map_err(|ended| failed(ended.into()))?? {
            return Ok(());
        }
    }
    Err(BackupError::NeverStill {
        path: data_dir.to_owned(),
    })
}

fn spool_in(data_dir: &Path) -> Result<File, BackupError> {
    tempfile::tempfile_in(data_dir).map_err(|source| BackupError::Io {
        path: data_dir.to_owned(),
        source,
    })
}

/// What is in a backup; its manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    version: u32,
    taken_at: String,
    with_keys: bool,
    ledger_rows: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = if self.with_keys {
            "with private keys"
        } else {
            "without private keys"
        };
        write!(
            f,
            "{} ledger rows, {keys}, taken at {}",
            self.ledger_rows, self.taken_at
        )
    }
}

/// Why there is no backup, or no restored directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The ledger's part is not whole, or the ledger cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The archive ends too early.
    #[error("{} was cut off: it ends in the middle of {}; take another backup, or the file before this one", path.display(), entry.display())]
    Cut {
        /// The file.
        path: PathBuf,
        /// The entry in which it ends.
        entry: PathBuf,
    },
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was being read or written.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The ledger does not open.
    #[error(transparent)]
    Ledger(#[from] LedgerOpenError),
    /// The archive's first entry is not a manifest of ours.
    #[error("{} is not a backup of ca-server: {reason}", path.display())]
    NotABackup {
        /// The file.
        path: PathBuf,
        /// What was seen.
        reason: String,
    },
    /// A later version made it.
    #[error("{} is a backup of version {found}; this program reads version {VERSION}", path.display())]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The files changed during each copy, so that there is none of one moment.
    #[error("the files in {} change all the time, so that none of the copies is of one moment; see `ca-server rotate status`, and try again", path.display())]
    NeverStill {
        /// The data directory.
        path: PathBuf,
    },
    /// There is something where the restored data should go.
    #[error("{} is not empty; restore into a new directory, or only the ledger with --ledger-only", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
}

const VERSION: u32 = 1;
/// A step of a rotation changes files for some milliseconds; nobody changes them for seconds on end.
const MOST_ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);
const CHUNK: usize = 64 * 1024;
