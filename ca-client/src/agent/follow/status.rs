//! How well does an agent keep up with the CA's trust?

use std::time::SystemTime;

use crate::agent::Failure;

/// What is known of the trust bundle, and how.
#[derive(Clone, Debug, Default)]
pub struct TrustStatus {
    /// The number of the known bundle, of a CA that counts them.
    pub number: Option<u64>,
    /// The number that the CA was told to be in use, since the start.
    pub acknowledged: Option<u64>,
    /// Whether the CA tells us of changes.
    pub push: Push,
    /// Streams that broke, or did not come about, since the start.
    pub failures: u64,
    /// Pushed bundles that were refused, since the start.
    pub refused: u64,
    /// What went wrong last, whether or not it is well since.
    pub last_failure: Option<Failure>,
}

/// Whether the CA tells us of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Push {
    /// There is no stream; it is tried again and again.
    #[default]
    NotConnected,
    /// There is one.
    Connected {
        /// Since when.
        since: SystemTime,
    },
    /// The CA has no such service: roots change with renewals only.
    NotOffered,
}

impl Push {
    /// For reports.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotConnected => "not connected",
            Self::Connected { .. } => "connected",
            Self::NotOffered => "not offered by the CA",
        }
    }
}
