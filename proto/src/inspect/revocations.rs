//! What does a certificate revocation list say? (RFC 5280 section 5)

use std::time::SystemTime;

use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::Signer;
use crate::certificate::system_time;

/// A certificate revocation list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocations {
    /// Who signed it, as it says.
    pub issuer: String,
    /// When it was made.
    pub this_update: SystemTime,
    /// When the next one is due.
    pub next_update: Option<SystemTime>,
    /// How many certificates it revokes.
    pub revoked: usize,
    /// Who signed it, as far as the file tells.
    pub signer: Signer,
    pub(super) der: Vec<u8>,
    pub(super) issuer_der: Vec<u8>,
}

impl Revocations {
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (rest, parsed) = CertificateRevocationList::from_der(der).ok()?;
        let list = Self {
            issuer: parsed.issuer().to_string(),
            this_update: system_time(parsed.last_update()),
            next_update: parsed.next_update().map(system_time),
            revoked: parsed.iter_revoked_certificates().count(),
            signer: Signer::NotHere,
            der: der.to_vec(),
            issuer_der: parsed.tbs_cert_list.issuer.as_raw().to_vec(),
        };
        rest.is_empty().then_some(list)
    }
}
