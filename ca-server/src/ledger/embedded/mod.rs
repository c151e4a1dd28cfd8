//! The ledger in an embedded database: sled, on this machine's disk, for one process.
//!
//! This side is async and never blocks: writes go to the committer's thread, reads to threads that may wait.

mod asking;
mod command;
mod committer;
mod failure;
mod gate;
mod keys;
mod marker;
mod marks;
mod open;
mod options;
mod prune;
mod read;
mod rows;
mod shared;
mod spend;
mod staging;
mod store;
mod transfer;
mod upgrade;
mod walk;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio::sync::oneshot;

use super::LedgerError;
use super::archive::ArchiveError;

use command::Command;
use command::Envelope;
use committer::Committer;
use gate::FlushGate;
use shared::Shared;
use store::Expect;
use store::Store;

pub use open::LedgerOpenError;
pub use open::set_aside;
pub use options::LedgerOptions;
pub use shared::Figures;
pub use transfer::import;

/// A ledger in a directory of its own, open in this process only.
///
/// Dropping it lets the committer finish what it was asked and flush, in the background;
/// [`Self::close`] waits for that.
pub struct SledLedger {
    dir: PathBuf,
    answer_within: Duration,
    inbox: mpsc::Sender<Envelope>,
    places: Arc<Semaphore>,
    shared: Arc<Shared>,
}

impl SledLedger {
    /// Opens the ledger in `dir`, or makes a new one where there is nothing. Blocks: on recovery, and on a lock for
    /// as long as the options say.
    ///
    /// # Errors
    /// What is wrong and what to do about it. What was in `dir` is still there.
    pub fn open(dir: &Path, options: LedgerOptions) -> Result<Self, LedgerOpenError> {
        Self::open_behind(FlushGate::default(), dir, options)
    }

    fn open_behind(
        gate: FlushGate,
        dir: &Path,
        options: LedgerOptions,
    ) -> Result<Self, LedgerOpenError> {
        let store = open_patiently(dir, &options)?;
        let shared = Arc::new(Shared::new(store));
        let (inbox, commands) = mpsc::channel();
        let committer = Committer {
            dir: dir.to_path_buf(),
            options,
            inbox: commands,
            shared: Arc::clone(&shared),
            gate,
            dirty_since: None,
            away: None,
        };
        thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || committer.run())
            .map_err(|source| LedgerOpenError::Io {
                dir: dir.to_path_buf(),
                source,
            })?;
        Ok(Self {
            dir: dir.to_path_buf(),
            answer_within: options.answer_within,
            inbox,
            places: Arc::new(Semaphore::new(
                options.queue.clamp(1, Semaphore::MAX_PERMITS),
            )),
            shared,
        })
    }

    /// Finishes what was asked before, flushes, and lets go of the directory. Whatever is asked later is `Unavailable`.
    ///
    /// # Errors
    /// The last records may not have reached the disk.
    pub async fn close(&self) -> Result<(), LedgerError> {
        let (answer, answered) = oneshot::channel();
        self.hand_over(Command::Close(answer), answered).await
    }

    /// What was done since the ledger was opened.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.shared.tally.figures()
    }

    /// Writes an archive of all but the terms in force and what can be made anew, and answers `out` and how many rows there are in it.
    ///
    /// Everything that was acknowledged before the call is inside. What is written meanwhile may be or not, but never
    /// a leaf without its entry, and an entry that spent a token has that token in its spent form.
    ///
    /// # Errors
    /// What was written so far is not an archive, and [`import`] refuses it.
    pub async fn export<W: Write + Send + 'static>(
        &self,
        out: W,
    ) -> Result<(W, u64), ArchiveError> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || transfer::export(&shared, out))
            .await
            .unwrap_or_else(|_panicked| Err(ArchiveError::Ledger { source: gave_up() }))
    }
}

impl fmt::Debug for SledLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledLedger")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// Opens the store, and waits a little for a lock: the process before, or a handle before, may be just letting it go.
fn open_patiently(dir: &Path, options: &LedgerOptions) -> Result<Store, LedgerOpenError> {
    let deadline = Instant::now() + options.lock_within;
    loop {
        match Store::open(dir, options.cache_bytes, Expect::NewOrOld) {
            Err(LedgerOpenError::InUse { .. }) if Instant::now() < deadline => {
                thread::park_timeout(LOCK_POLL);
            }
            opened => return opened,
        }
    }
}

/// A reading thread panicked, or the runtime is shutting down.
fn gave_up() -> LedgerError {
    LedgerError::Unavailable {
        reason: "reading the store was given up".to_owned(),
    }
}

const LOCK_POLL: Duration = Duration::from_millis(20);
