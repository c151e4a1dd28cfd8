//! How can the store itself fail, and what is done so that no panic of it gets through?

use std::io;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use tracing::warn;

use crate::ledger::LedgerError;

/// The store failed. Its handle is of no use from here on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{source}")]
    Io { source: io::Error },
    #[error("the store panicked: {message}")]
    Panicked { message: String },
    #[error("{source}")]
    Sled { source: sled::Error },
}

impl Failure {
    /// What happened and, where waiting does not help, what does.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Sled {
                source: sled::Error::Corruption { .. },
            } => format!(
                "part of it is damaged: {self}; restore it from a backup with `ca-server restore`"
            ),
            Self::Io { .. } | Self::Panicked { .. } | Self::Sled { .. } => self.to_string(),
        }
    }
}

impl From<sled::Error> for Failure {
    fn from(source: sled::Error) -> Self {
        Self::Sled { source }
    }
}

impl From<io::Error> for Failure {
    fn from(source: io::Error) -> Self {
        Self::Io { source }
    }
}

impl From<Failure> for LedgerError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable {
            reason: failure.reason(),
        }
    }
}

/// Why one command is not done.
#[derive(Debug)]
pub(super) enum Stop {
    /// This command only.
    Refused(LedgerError),
    /// The store, and with it every command of the group.
    Broken(Failure),
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        Self::Refused(error)
    }
}

impl From<sled::Error> for Stop {
    fn from(source: sled::Error) -> Self {
        Self::Broken(source.into())
    }
}

/// Runs `work`, and takes a panic in it for a failure: sled panics where it ought to return an error.
///
/// # Errors
/// Those of `work`, or the panic. The handle that `work` used must be given up.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "without a message".to_owned());
        Err(Failure::Panicked { message })
    })
}

/// Drops what may be the last handle: that syncs its file as it goes, and panics when it cannot.
pub(super) fn drop_guarded(last: impl Sized) {
    let dropped = guarded(|| {
        drop(last);
        Ok(())
    });
    if let Err(failure) = dropped {
        warn!(%failure, "the ledger's handle did not close cleanly");
    }
}
