//! What goes into a generation, and what is in force beside it?

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;

use super::Generation;
use crate::authority::Source;
use crate::authority::crl::Crl;
use crate::authority::key::IssuerKey;

/// What a generation is made of. Whoever fills it in has checked that the parts belong together.
#[derive(Debug)]
pub struct Material {
    /// The key of `issuer`.
    pub key: IssuerKey,
    /// Where the parts came from.
    pub source: Source,
    /// The certificate of `key`.
    pub issuer: Certificate,
    /// The issuers of `issuer` in order, without the root.
    pub intermediates: Vec<Certificate>,
    /// Certificates by other CAs for the keys of the root or an intermediate, to be sent along.
    pub cross: Vec<Certificate>,
    /// What anchors the chain; the issuer itself where that is a root.
    pub root: Certificate,
    /// Further roots of the same source, to be trusted too.
    pub other_roots: Vec<Certificate>,
    /// The revocation lists that came with it.
    pub crls: Vec<Crl>,
}

/// What is in force besides the signer.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// Every root that relying parties must hold.
    pub roots: Vec<Certificate>,
    /// DER of the revocation lists that go with them.
    pub crls: Vec<Vec<u8>>,
    /// The trust bundle's number: it rises with every change of `roots` or `crls`.
    pub bundle_number: u64,
    /// SHA-256 of the roots that must not authenticate this CA any more, although leaves still chain to them.
    pub distrusted: Vec<Fingerprint>,
    /// The longest lifetime of a leaf for the time being.
    pub longest_ttl: Option<Duration>,
    /// Leaves of other issuers are to be renewed before their time.
    pub renew_by: Option<RenewBy>,
}

/// Advice to renew before the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewBy {
    /// Since when the advice is given.
    pub since: SystemTime,
    /// Over how long the renewals are to be spread.
    pub spread: Duration,
}

/// Signers that sign nothing but this CA's own leaf.
#[derive(Clone, Debug, Default)]
pub struct StandingBy {
    /// Leaves of before chain to them; the oldest first.
    pub before: Vec<Arc<Generation>>,
    /// Leaves of soon will, or were to: they never signed, and their roots are in the trust bundle; the next one first.
    pub next: Vec<Arc<Generation>>,
}
