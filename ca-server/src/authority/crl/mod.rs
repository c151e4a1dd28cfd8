//! What does a revocation list say, and whose is it? (RFC 5280 section 5)
//!
//! Only complete lists of one CA are read. Which of them are given out is said in `published`.

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use proto::certificate::Certificate;
use proto::chain;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::time::ASN1Time;

mod authority_key;
mod published;

use self::authority_key::AuthorityKey;
pub use self::authority_key::Mismatch;
pub use published::Published;
pub use published::RevokedCa;
pub use published::published;
pub use published::revoked_ca;

/// A certificate revocation list, with nothing said yet of who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crl {
    der: Vec<u8>,
    issuer: String,
    issuer_der: Vec<u8>,
    this_update: SystemTime,
    next_update: SystemTime,
    authority_key: AuthorityKey,
    /// Content octets of the serial numbers' INTEGERs.
    revoked: Vec<Vec<u8>>,
}

impl Crl {
    /// Reads the DER of one.
    ///
    /// # Errors
    /// When it is no such list, or one that verifiers do not take: of the first version, without an end, a part of a
    /// list, or with a critical extension.
    pub fn from_der(der: &[u8]) -> Result<Self, CrlError> {
        let parsed = CertificateRevocationList::from_der(der);
        let (rest, parsed) = parsed.map_err(|_error| CrlError::Malformed)?;
        if !rest.is_empty() {
            return Err(CrlError::Malformed);
        }
        if parsed.version().map(|version| version.0) != Some(VERSION_2) {
            return Err(CrlError::Version);
        }
        if let Some(critical) = parsed.extensions().iter().find(|one| one.critical) {
            return Err(CrlError::Critical {
                oid: critical.oid.to_id_string(),
            });
        }
        let next_update = parsed.next_update().ok_or(CrlError::NoEnd)?;
        let revoked = parsed.iter_revoked_certificates();
        Ok(Self {
            der: der.to_vec(),
            issuer: parsed.issuer().to_string().escape_default().to_string(),
            issuer_der: parsed.tbs_cert_list.issuer.as_raw().to_vec(),
            this_update: time_of(parsed.last_update()),
            next_update: time_of(next_update),
            authority_key: AuthorityKey::of(&parsed)?,
            revoked: revoked.map(|one| one.raw_serial().to_vec()).collect(),
        })
    }

    /// Its exact bytes.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Who signed it, as it says, for people to read.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// When it was made.
    #[must_use]
    pub fn this_update(&self) -> SystemTime {
        self.this_update
    }

    /// The moment at which verifiers stop taking it.
    #[must_use]
    pub fn next_update(&self) -> SystemTime {
        self.next_update
    }

    /// Whether verifiers take it at `now`.
    #[must_use]
    pub fn is_current_at(&self, now: SystemTime) -> bool {
        self.this_update <= now && now < self.next_update
    }

    /// Whether it names `ca` as its issuer.
    #[must_use]
    pub fn names(&self, ca: &Certificate) -> bool {
        self.issuer_der == ca.facts().subject_der
    }

    /// Whether verifiers take it as the list of `ca`: that one signed it, and nothing in it says another.
    #[must_use]
    pub fn is_of(&self, ca: &Certificate) -> bool {
        self.mismatch(ca).is_none() && self.is_signed_by(ca)
    }

    /// Whether `ca` signed it, and may (RFC 5280 section 6.3.3 (f) and (g)).
    #[must_use]
    pub fn is_signed_by(&self, ca: &Certificate) -> bool {
        let facts = ca.facts();
        self.names(ca)
            && facts.key_usage.is_none_or(|usage| usage.crl_sign)
            && chain::signature(&self.der, &facts.spki_der) == chain::Signature::Good
    }

    /// What it says of its signer's certificate, and is not so of `ca`.
    #[must_use]
    pub fn mismatch(&self, ca: &Certificate) -> Option<Mismatch> {
        self.authority_key.mismatch(ca)
    }

    /// Whether it lists `certificate`, which its own issuer issued.
    #[must_use]
    pub fn revokes(&self, certificate: &Certificate) -> bool {
        let facts = certificate.facts();
        self.issuer_der == facts.issuer_der && self.revoked.contains(&facts.serial)
    }
}

/// Why something is no list that can be given out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError {
    /// Which key signed it cannot be read.
    #[error("its authorityKeyIdentifier cannot be read")]
    AuthorityKey,
    /// It has an extension that verifiers must understand, and many do not.
    #[error(
        "it has the critical extension {oid}: give a complete list of one CA, not a part of one, a delta or an indirect one"
    )]
    Critical {
        /// Which extension.
        oid: String,
    },
    /// It is no list at all.
    #[error("it is not the DER of a certificate revocation list")]
    Malformed,
    /// It does not say until when it counts.
    #[error("it has no nextUpdate: have it made with one")]
    NoEnd,
    /// Verifiers built on rustls take version 2 alone.
    #[error("it is of version 1, expected version 2: have it made with a CRL number")]
    Version,
}

/// As it is encoded (RFC 5280 section 5.1.2.1).
const VERSION_2: u32 = 1;

fn time_of(time: ASN1Time) -> SystemTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests;
