//! What does a certificate revocation list say? (RFC 5280 section 5)

use std::time::SystemTime;

use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::certificate::system_time;

/// A certificate revocation list. Its signature is not checked here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocations {
    /// Who signed it.
    pub issuer: String,
    /// When it was made.
    pub this_update: SystemTime,
    /// When the next one is due.
    pub next_update: Option<SystemTime>,
    /// How many certificates it revokes.
    pub revoked: usize,
}

impl Revocations {
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (rest, parsed) = CertificateRevocationList::from_der(der).ok()?;
        let list = Self {
            issuer: parsed.issuer().to_string(),
            this_update: system_time(parsed.last_update()),
            next_update: parsed.next_update().map(system_time),
            revoked: parsed.iter_revoked_certificates().count(),
        };
        rest.is_empty().then_some(list)
    }
}
