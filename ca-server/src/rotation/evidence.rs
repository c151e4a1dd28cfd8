//! What do the gates look at? The ledger's holdings, the trust bundle's numbers, and a few dates.

use std::collections::HashMap;
use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;

use crate::ledger::Holding;

/// Everything that a gate may know, taken at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The time, as [`super::GateTime`] tells it.
    pub now: SystemTime,
    /// Number of the trust bundle in force.
    pub bundle: u64,
    /// The roots of the bundle in force, each with the first number from which on every bundle had it.
    pub since: &'a HashMap<Fingerprint, u64>,
    /// For each issuer that the CRLs cover, the first number from which on no bundle's CRLs left it out; `None` where
    /// no bundle ever had a CRL.
    pub crl_since: Option<&'a HashMap<Fingerprint, u64>>,
    /// The first number from which on no bundle had a CRL; `None` where the one in force has. Who has an older bundle
    /// still checks by its CRLs.
    pub crl_free_since: Option<u64>,
    /// What the ledger knows of live leaves; the CA's own are not among them.
    pub holdings: &'a [Holding],
    /// Until when leaves may live that the ledger lost.
    pub unrecorded_until: Option<SystemTime>,
    /// Until when somebody who polls the SPIFFE bundle endpoint may not know the bundle in force.
    pub hints_until: Option<SystemTime>,
    /// What the operator's `root-cert.pem` lists now.
    pub listed_roots: &'a [Fingerprint],
    /// Whether the key of the next signer is here.
    pub next_is_here: bool,
    /// How long things take.
    pub limits: Limits,
}

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lifetime of a leaf whose holder asks for none.
    pub default_ttl: Duration,
    /// Longest lifetime of a leaf.
    pub max_ttl: Duration,
    /// How long leaves live that no ledger of ours knows.
    pub unrecorded_ttl: Duration,
    /// How far leaves are backdated, that is how far clocks may differ.
    pub backdating: Duration,
    /// How long a CA certificate must have been valid before it signs.
    pub fresh_ca: Duration,
}

impl Evidence<'_> {
    /// The holdings of which a leaf may be alive on a clock that is as slow as backdating allows for.
    pub fn live_holdings(&self) -> impl Iterator<Item = &Holding> {
        self.holdings
            .iter()
            .filter(|holding| self.now < self.gone_at(holding.last_second))
    }

    /// The first number from which on the CRLs of every bundle let `issuer` pass; `None` where those in force do not.
    #[must_use]
    pub fn passes_crls_since(&self, issuer: &Fingerprint) -> Option<u64> {
        let Some(covered) = self.crl_since else {
            return Some(0);
        };
        covered.get(issuer).copied().or(self.crl_free_since)
    }

    /// Whether the CRLs in force let `issuer` pass because one covers it, so that its leaves are refused when that goes.
    #[must_use]
    pub fn is_covered(&self, issuer: &Fingerprint) -> bool {
        let in_force = self.crl_since.filter(|_| self.crl_free_since.is_none());
        in_force.is_some_and(|covered| covered.contains_key(issuer))
    }

    /// When a leaf whose last second is `last_second` is dead on every clock. The last second counts whole.
    #[must_use]
    pub fn gone_at(&self, last_second: SystemTime) -> SystemTime {
        last_second + Duration::from_secs(1) + self.limits.backdating
    }
}
