//! In what order do writes reach the disk? One thread takes what waits, applies it, flushes once, then answers.
//!
//! After a failure it gives the handle up and opens the store again, with growing pauses, while it
//! answers everything that comes with `Unavailable`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;
use std::time::Instant;

use tracing::info;
use tracing::warn;

use super::command::Command;
use super::command::Envelope;
use super::failure::Failure;
use super::failure::drop_guarded;
use super::failure::guarded;
use super::gate::FlushGate;
use super::options::LedgerOptions;
use super::shared::Shared;
use super::staging::Staging;
use super::store::Expect;
use super::store::Store;
use crate::ledger::LedgerError;

/// The thread's state.
pub(super) struct Committer {
    pub(super) dir: PathBuf,
    pub(super) options: LedgerOptions,
    pub(super) inbox: Receiver<Envelope>,
    pub(super) shared: Arc<Shared>,
    pub(super) gate: FlushGate,
    /// Since when something is applied and not flushed.
    pub(super) dirty_since: Option<Instant>,
    /// Set while there is no handle.
    pub(super) away: Option<Away>,
}

/// An outage.
pub(super) struct Away {
    since: Instant,
    next_attempt: Instant,
    pause: Duration,
    attempts: u32,
}

/// Why the thread woke up.
enum Wake {
    Commands(Vec<Envelope>),
    Deadline,
    Deserted,
}

impl Committer {
    /// Works until it is told to close or nobody can ask any more; then flushes what is left.
    pub(super) fn run(mut self) {
        loop {
            match self.wait() {
                Wake::Commands(group) => {
                    if let Some(closing) = self.take_up(group) {
                        let flushed = self.shut();
                        match flushed {
                            Ok(()) => closing.command.answer(),
                            Err(error) => closing.command.fail(error),
                        }
                        return;
                    }
                }
                Wake::Deadline if self.away.is_some() => self.reopen(),
                Wake::Deadline => drop(self.flush_if_dirty()),
                Wake::Deserted => {
                    drop(self.shut());
                    return;
                }
            }
        }
    }

    fn wait(&self) -> Wake {
        let deadline = match (&self.away, self.dirty_since) {
            (Some(away), _) => Some(away.next_attempt),
            (None, Some(since)) => Some(since + IDLE_FLUSH_AFTER),
            (None, None) => None,
        };
        let first = match deadline {
            None => self.inbox.recv().map_err(RecvTimeoutError::from),
            Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                Some(left) => self.inbox.recv_timeout(left),
                None => Err(RecvTimeoutError::Timeout),
            },
        };
        match first {
            Ok(first) => Wake::Commands(
                std::iter::once(first)
                    .chain(self.inbox.try_iter().take(GROUP_LIMIT - 1))
                    .collect(),
            ),
            Err(RecvTimeoutError::Timeout) => Wake::Deadline,
            Err(RecvTimeoutError::Disconnected) => Wake::Deserted,
        }
    }

    /// Commits a group. Answers the `Close` in it, if there is one: what comes behind that is not taken up.
    fn take_up(&mut self, mut group: Vec<Envelope>) -> Option<Envelope> {
        let close = group
            .iter()
            .position(|envelope| matches!(envelope.command, Command::Close(_)));
        let closing = close.map(|at| group.split_off(at)).map(Vec::into_iter);
        self.commit(group);
        closing.and_then(|mut closing| closing.next())
    }

    fn commit(&mut self, mut group: Vec<Envelope>) {
        let count = u64::try_from(group.len()).unwrap_or(u64::MAX);
        self.shared
            .tally
            .commands
            .fetch_add(count, Ordering::Relaxed);
        let applied = self.shared.store().and_then(|store| {
            let applied = guarded(|| apply(&store, &mut group));
            drop(store);
            applied.map_err(|failure| self.give_up(&failure))
        });
        match applied {
            Ok(wrote) => self.answer_applied(group, wrote),
            Err(error) => fail_all(group, &error),
        }
    }

    fn answer_applied(&mut self, group: Vec<Envelope>, wrote: bool) {
        if wrote && self.dirty_since.is_none() {
            self.dirty_since = Some(Instant::now());
        }
        let (waiting, done): (Vec<_>, Vec<_>) = group
            .into_iter()
            .partition(|envelope| envelope.command.waits_for_flush());
        answer_all(done);
        if waiting.is_empty() {
            return;
        }
        match self.flush_if_dirty() {
            Ok(()) => answer_all(waiting),
            Err(error) => fail_all(waiting, &error),
        }
    }

    /// Makes what was applied durable.
    fn flush_if_dirty(&mut self) -> Result<(), LedgerError> {
        if self.dirty_since.is_none() {
            return Ok(());
        }
        let store = self.shared.store()?;
        let gate = &self.gate;
        let flushed = guarded(|| gate.pass().and_then(|()| store.make_durable()));
        drop(store);
        flushed.map_err(|failure| self.give_up(&failure))?;
        self.dirty_since = None;
        self.shared.tally.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Drops the handle: after an I/O error sled refuses every later write until it is opened again.
    fn give_up(&mut self, failure: &Failure) -> LedgerError {
        let reason = failure.reason();
        warn!(dir = %self.dir.display(), reason, "the ledger failed and is being reopened");
        drop_guarded(self.shared.give_up(reason.clone()));
        self.dirty_since = None;
        let now = Instant::now();
        self.away = Some(Away {
            since: now,
            next_attempt: now + self.options.reopen_first,
            pause: self.options.reopen_first,
            attempts: 0,
        });
        LedgerError::Unavailable { reason }
    }

    fn reopen(&mut self) {
        let Some(mut away) = self.away.take() else {
            return;
        };
        away.attempts += 1;
        match Store::open(&self.dir, self.options.cache_bytes, Expect::Old) {
            Ok(store) => {
                self.shared.reopened(store);
                let away_for = away.since.elapsed();
                info!(dir = %self.dir.display(), attempts = away.attempts, ?away_for, "the ledger is back");
            }
            Err(error) => {
                away.pause = (away.pause * 2).min(self.options.reopen_at_most);
                away.next_attempt = Instant::now() + away.pause;
                warn!(attempt = away.attempts, next = ?away.pause, %error, "the ledger does not reopen yet");
                drop_guarded(self.shared.give_up(error.to_string()));
                self.away = Some(away);
            }
        }
    }

    /// Flushes and closes the store for good.
    fn shut(&mut self) -> Result<(), LedgerError> {
        let flushed = self.flush_if_dirty();
        drop_guarded(self.shared.give_up("it is closed".to_owned()));
        flushed
    }
}

/// Writes what the commands ask for, as one batch. Answers whether that was anything.
fn apply(store: &Store, group: &mut [Envelope]) -> Result<bool, Failure> {
    let mut staging = Staging::new(store.tree());
    for envelope in group {
        envelope.command.stage(&mut staging)?;
    }
    match staging.into_batch() {
        Some(batch) => store.apply(batch).map(|()| true),
        None => Ok(false),
    }
}

fn answer_all(group: Vec<Envelope>) {
    for envelope in group {
        drop(envelope.place);
        envelope.command.answer();
    }
}

fn fail_all(group: Vec<Envelope>, error: &LedgerError) {
    for envelope in group {
        drop(envelope.place);
        envelope.command.fail(error.clone());
    }
}

/// A leaf's record is durable at most this long after it was applied.
const IDLE_FLUSH_AFTER: Duration = Duration::from_millis(100);
/// Bounds the batch, and so the time that readers wait for it.
const GROUP_LIMIT: usize = 256;
