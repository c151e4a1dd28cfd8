//! Why was a step refused? What was expected, what is the case, and what to do.

use std::time::SystemTime;

use proto::certificate::Fingerprint;

use super::Obstacle;

/// A step that was not taken; the record is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It signs already: the same files, or somebody was faster.
    #[error(
        "{issuer} signs already, since {}, and nothing else waits to: see `rotate status`",
        date(*since)
    )]
    AlreadyActive {
        /// Who signs.
        issuer: Fingerprint,
        /// Since when.
        since: SystemTime,
    },
    /// Its roots are in the trust bundle already.
    #[error(
        "the roots of {issuer} are in the trust bundle already, since {}: see `rotate status`",
        date(*since)
    )]
    AlreadyDistributed {
        /// Who is to sign next.
        issuer: Fingerprint,
        /// Since when.
        since: SystemTime,
    },
    /// It is to sign next already.
    #[error("{issuer} is to sign next already: see `rotate status`")]
    AlreadyNext {
        /// Who is to sign next.
        issuer: Fingerprint,
    },
    /// Nothing of it is valid any more.
    #[error("{issuer} expired at {}: give a signer that is valid", date(*at))]
    Expired {
        /// Which signer.
        issuer: Fingerprint,
        /// Its last second.
        at: SystemTime,
    },
    /// The force was meant for another signer.
    #[error(
        "{named} was named to be forced, the step is about {expected}: look at `rotate status` again"
    )]
    ForcedAnother {
        /// Whom the step is about.
        expected: Fingerprint,
        /// Who was named.
        named: Fingerprint,
    },
    /// The gate is shut.
    #[error("not yet: {}", listed(obstacles))]
    GateShut {
        /// Everything that stands against it.
        obstacles: Vec<Obstacle>,
    },
    /// Nothing waits to sign, so nothing can be aborted.
    #[error(
        "no rotation waits for activation, {active} signs: to go back to a signer that drains, give its files again"
    )]
    NothingToAbort {
        /// Who signs.
        active: Fingerprint,
    },
    /// No such signer.
    #[error("no signer {issuer} is held: it retired already, or never came; see `rotate status`")]
    NotHeld {
        /// The name.
        issuer: Fingerprint,
    },
    /// Its key is compromised.
    #[error("{issuer} is tainted and must not sign again: give a signer with another key")]
    Tainted {
        /// Which signer.
        issuer: Fingerprint,
    },
}

/// The first of them and how many more there are: there may be one for each workload.
fn listed(obstacles: &[Obstacle]) -> String {
    let told = obstacles.iter().take(TOLD).map(ToString::to_string);
    let told = told.collect::<Vec<String>>().join("; ");
    match obstacles.len().saturating_sub(TOLD) {
        0 => told,
        more => format!("{told}; and {more} more: see `rotate status`"),
    }
}

const TOLD: usize = 10;

fn date(time: SystemTime) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_seconds(time)
}
