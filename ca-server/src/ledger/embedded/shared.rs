//! What do the committer and the readers share? The handle, while there is one, and some counts.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;

use super::store::Store;
use crate::ledger::LedgerError;

/// Seen by both sides. Readers keep a handle for one reading only, so that the committer can reopen the store.
pub(super) struct Shared {
    availability: ArcSwap<Availability>,
    pub(super) tally: Tally,
}

/// Is there a handle?
enum Availability {
    Away { reason: String },
    Open(Arc<Store>),
}

impl Shared {
    pub(super) fn new(store: Store) -> Self {
        Self {
            availability: ArcSwap::from_pointee(Availability::Open(Arc::new(store))),
            tally: Tally::default(),
        }
    }

    /// The handle, to be dropped soon.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn store(&self) -> Result<Arc<Store>, LedgerError> {
        match &**self.availability.load() {
            Availability::Open(store) => Ok(Arc::clone(store)),
            Availability::Away { reason } => Err(unavailable(reason)),
        }
    }

    /// Whether there is a handle, without taking it.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn check_open(&self) -> Result<(), LedgerError> {
        match &**self.availability.load() {
            Availability::Open(_) => Ok(()),
            Availability::Away { reason } => Err(unavailable(reason)),
        }
    }

    /// Takes the handle away. What this returns may be the last of it: sled can panic when that is dropped.
    pub(super) fn give_up(&self, reason: String) -> impl Sized + use<> {
        self.availability
            .swap(Arc::new(Availability::Away { reason }))
    }

    pub(super) fn reopened(&self, store: Store) {
        self.availability
            .store(Arc::new(Availability::Open(Arc::new(store))));
        self.tally.reopenings.fetch_add(1, Ordering::Relaxed);
    }
}

fn unavailable(reason: &str) -> LedgerError {
    LedgerError::Unavailable {
        reason: reason.to_owned(),
    }
}

/// Counts since the start.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) commands: AtomicU64,
    pub(super) flushes: AtomicU64,
    pub(super) reopenings: AtomicU64,
    pub(super) rows_read: AtomicU64,
}

impl Tally {
    pub(super) fn figures(&self) -> Figures {
        Figures {
            commands: self.commands.load(Ordering::Relaxed),
            flushes: self.flushes.load(Ordering::Relaxed),
            reopenings: self.reopenings.load(Ordering::Relaxed),
            rows_read: self.rows_read.load(Ordering::Relaxed),
        }
    }
}

/// What the ledger has done since it was opened, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Commands that were taken up.
    pub commands: u64,
    /// Times that everything written so far was made durable. Many commands share one.
    pub flushes: u64,
    /// Times that the store was opened again after a failure.
    pub reopenings: u64,
    /// Rows that readers looked at.
    pub rows_read: u64,
}
