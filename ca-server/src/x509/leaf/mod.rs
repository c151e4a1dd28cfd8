//! What does a leaf look like? The profile of RFC 5280 and X509-SVID as DER, written and checked.
//!
//! Signing happens elsewhere: this file turns a template into the bytes to be signed and puts the
//! signature behind them.

mod check;
mod encode;

use std::net::IpAddr;

use proto::spiffe::SpiffeId;
use serde::Deserialize;
use serde::Serialize;

use super::public_key::PublicKey;
use super::serial::Serial;
use super::validity::Validity;

/// Who a leaf names: its subjectAltName. The subject is always empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeafName {
    /// A workload: exactly one URI, the SPIFFE ID.
    Workload(SpiffeId),
    /// The CA's own TLS listener.
    Serving {
        /// dNSName entries.
        dns_names: Vec<String>,
        /// iPAddress entries.
        ip_addresses: Vec<IpAddr>,
    },
    /// Nobody ([`TRIAL_URI`]): an expired leaf that is signed and verified on trial and never leaves the process.
    Trial,
}

/// Everything about a leaf that is not the issuer's.
#[derive(Clone, Copy, Debug)]
pub struct LeafTemplate<'a> {
    /// Its number.
    pub serial: Serial,
    /// Who it names.
    pub name: &'a LeafName,
    /// From when until when.
    pub validity: Validity,
    /// Whose key it certifies.
    pub public_key: &'a PublicKey,
}

/// What a leaf takes from its issuer.
#[derive(Clone, Copy, Debug)]
pub struct IssuerFields<'a> {
    /// The issuer's subject `Name`, byte for byte.
    pub subject_der: &'a [u8],
    /// The issuer's subjectKeyIdentifier, or the SHA-1 of its key where it has none (RFC 5280 section 4.2.1.2).
    pub key_id: &'a [u8],
    /// DER of the signature's `AlgorithmIdentifier`.
    pub signature_algorithm_der: &'a [u8],
}

/// The DER of a `TBSCertificate`: what gets signed.
#[must_use]
pub fn encode_tbs(template: &LeafTemplate<'_>, issuer: &IssuerFields<'_>) -> Vec<u8> {
    encode::tbs(template, issuer)
}

/// The DER of the certificate: `tbs`, the algorithm and the signature over `tbs`.
#[must_use]
pub fn assemble(tbs: &[u8], signature_algorithm_der: &[u8], signature: &[u8]) -> Vec<u8> {
    encode::certificate(tbs, signature_algorithm_der, signature)
}

/// Reads `leaf_der` back with another library and compares it with what was intended.
///
/// # Errors
/// Names the first field that differs.
pub fn check(
    leaf_der: &[u8],
    template: &LeafTemplate<'_>,
    issuer: &IssuerFields<'_>,
) -> Result<(), LeafMismatch> {
    check::leaf(leaf_der, template, issuer)
}

/// A leaf that is not what was intended. It must not leave the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signed leaf differs from its intent in {field}")]
pub struct LeafMismatch {
    /// The first field that differs.
    pub field: &'static str,
}

/// What a trial leaf is called. RFC 5280 section 4.2.1.6 wants a name where the subject is empty; this one
/// is no SPIFFE ID and no host, so nobody can be mistaken for it, and is a URI, so that it meets the same
/// name constraints as a workload's.
pub const TRIAL_URI: &str = "urn:signet:trial";

#[cfg(test)]
mod tests;
