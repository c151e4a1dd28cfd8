//! Who signs? Key, chain and trust bundle, as one immutable numbered generation.
//!
//! Decides neither names nor dates, and never sees the ledger. Material comes from an operator's
//! [`bundle`] or is [`self_signed`]; what must survive a restart is in [`state`] and [`trust_bundle`].

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;

mod algorithm;
pub mod bundle;
mod ca_certificate;
pub mod compatibility;
pub mod create;
pub mod crl;
mod generation;
pub mod key;
mod pem_blocks;
pub mod polls;
mod replace_file;
pub mod self_signed;
pub mod spiffe_bundle;
pub mod state;
pub mod trial;
pub mod trust_bundle;
mod twins;
pub mod vault;

pub use generation::Conditions;
pub use generation::Generation;
pub use generation::Leaf;
pub use generation::Material;
pub use generation::RenewBy;
pub use generation::SignError;
pub use generation::StandingBy;

/// The current generation, readable without a lock.
#[derive(Debug)]
pub struct Authority {
    current: ArcSwap<Generation>,
    last_number: AtomicU64,
}

impl Authority {
    /// Starts with `generation`.
    #[must_use]
    pub fn new(generation: Generation) -> Self {
        Self {
            current: ArcSwap::from_pointee(generation.numbered(1)),
            last_number: AtomicU64::new(1),
        }
    }

    /// The generation that is in force now. A request keeps the one it started with.
    #[must_use]
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// Puts `generation` in force, under the next number.
    pub fn replace(&self, generation: Generation) {
        let number = self.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        self.current.store(Arc::new(generation.numbered(number)));
    }
}

/// Where the CA material came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Made by this program and kept in the data directory.
    SelfSigned {
        /// The directory with the files.
        dir: PathBuf,
    },
    /// An operator's bundle.
    PluggedIn {
        /// The directory with the files.
        dir: PathBuf,
    },
}

impl Source {
    /// The directory with the files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        match self {
            Self::SelfSigned { dir } | Self::PluggedIn { dir } => dir,
        }
    }

    /// `self-signed` or `plugged-in`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SelfSigned { .. } => "self-signed",
            Self::PluggedIn { .. } => "plugged-in",
        }
    }
}

#[cfg(test)]
mod test_bundle;
