//! What may an operator ask for? Values; whoever drives the rotation does it.

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;

use super::Forced;

/// What an operator may want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Nothing but the report.
    Report,
    /// Read the operator's directory again, now.
    Reload,
    /// Replace the self-signed root.
    Start {
        /// Each step follows as soon as its gate opens.
        auto: bool,
        /// How soon after activation agents renew.
        renew_within: Option<Duration>,
    },
    /// Sign with the next signer.
    Activate {
        /// Although the gate is shut.
        force: Option<Forced>,
    },
    /// Let a signer go.
    Retire {
        /// Which one; `None` for the one that drains longest.
        issuer: Option<Fingerprint>,
        /// Although the gate is shut.
        force: Option<Forced>,
    },
    /// Stay with the signer that is active.
    Abort,
    /// A key is compromised.
    Taint {
        /// Whose key.
        issuer: Fingerprint,
        /// When it is dropped, whoever still needs it.
        deadline: Option<SystemTime>,
        /// How soon agents renew.
        renew_within: Option<Duration>,
    },
}
