//! Which rule does a chain break, and what shows it?

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use rustls::pki_types::ServerName;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::certificate::Certificate;
use crate::certificate::readable;
use crate::spiffe::SpiffeId;
use crate::spiffe::SpiffeIdError;
use crate::spiffe::TrustDomain;

/// The rule that a chain breaks.
///
/// `subject` always names a certificate: by its subject, or by its first name where that is empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A certificate was changed, or not signed by the issuer it names (RFC 5280 section 6.1.3 (a)(1)).
    #[error("the signature of {subject} does not match the key of its issuer")]
    BadSignature {
        /// The certificate with the signature.
        subject: String,
    },
    /// An extension that nobody here knows, but that must not be ignored (RFC 5280 section 4.2).
    #[error(
        "{subject} has the critical extension {oid}, which is not supported (RFC 5280 section 4.2)"
    )]
    CriticalExtension {
        /// The certificate that has it.
        subject: String,
        /// Dotted object identifier of the extension.
        oid: String,
    },
    /// There is no leaf.
    #[error("the chain is empty")]
    Empty,
    /// A certificate's time is over (RFC 5280 section 6.1.3 (a)(2)).
    #[error("{subject} expired at {}", rfc3339(*not_after))]
    Expired {
        /// The certificate that is expired.
        subject: String,
        /// Its last second.
        not_after: SystemTime,
    },
    /// A CA must not sign certificates (RFC 5280 section 6.1.4 (n)).
    #[error(
        "{subject} signed a certificate, but its keyUsage lacks keyCertSign (RFC 5280 section 6.1.4 (n))"
    )]
    KeyCertSignMissing {
        /// The CA.
        subject: String,
    },
    /// extendedKeyUsage forbids the use that the chain is verified for (RFC 5280 section 4.2.1.12).
    #[error("the extendedKeyUsage of {subject}, or of a CA above it, forbids {purpose}")]
    KeyPurpose {
        /// The leaf.
        subject: String,
        /// The purposes that were asked for.
        purpose: &'static str,
    },
    /// A CA stands where a leaf should be (RFC 5280 section 4.2.1.9).
    #[error("{subject} is a CA certificate, expected a leaf first")]
    LeafIsCa {
        /// The first certificate of the chain.
        subject: String,
    },
    /// The leaf's keyUsage leaves nothing to do in a TLS handshake (RFC 5280 section 4.2.1.3).
    #[error(
        "the keyUsage of {subject} has none of digitalSignature, keyEncipherment and keyAgreement (RFC 5280 section 4.2.1.3)"
    )]
    LeafKeyUsage {
        /// The leaf.
        subject: String,
    },
    /// A certificate is not as RFC 5280 section 4 wants it.
    #[error("{subject}, or a CA above it, is malformed: {reason}")]
    Malformed {
        /// The leaf.
        subject: String,
        /// What the verifier says.
        reason: String,
    },
    /// A name is outside a CA's nameConstraints, or these are of a kind that is not supported: URIs and
    /// directory names (RFC 5280 section 4.2.1.10).
    #[error(
        "the nameConstraints of a CA above {subject} do not permit it (constraints on URIs are never met)"
    )]
    NameConstraints {
        /// The leaf.
        subject: String,
    },
    /// An issuer is not a CA (RFC 5280 section 6.1.4 (k)).
    #[error("{subject} signed a certificate, but is not a CA (RFC 5280 section 6.1.4 (k))")]
    NotACa {
        /// The issuer.
        subject: String,
    },
    /// The leaf is not an X509-SVID.
    #[error("not an X509-SVID: {rule} ({})", rule.section())]
    NotASvid {
        /// What it lacks.
        rule: SvidRule,
    },
    /// A certificate's time has not come (RFC 5280 section 6.1.3 (a)(2)).
    #[error("{subject} is not valid before {}", rfc3339(*not_before))]
    NotYetValid {
        /// The certificate that is not yet valid.
        subject: String,
        /// Its first second.
        not_before: SystemTime,
    },
    /// More CAs stand below a CA than its pathLenConstraint allows (RFC 5280 section 6.1.4 (l)).
    #[error(
        "too many CAs stand below {subject} for its pathLenConstraint {max} (RFC 5280 section 6.1.4 (l))"
    )]
    PathLength {
        /// The CA with the constraint.
        subject: String,
        /// How many CAs it allows below itself.
        max: u32,
    },
    /// There are so many ways to build a path that looking further would be an attack on the verifier.
    #[error("the chain allows too many paths to a root, send only the certificates of one")]
    SearchExhausted,
    /// There are more certificates than anybody has reason to send.
    #[error("the chain has {found} certificates, {max} is the most that is looked at")]
    TooLong {
        /// Certificates seen.
        found: usize,
        /// Certificates allowed.
        max: usize,
    },
    /// No root that is trusted stands at the end (RFC 5280 section 6.1.1 (d)).
    #[error(
        "{subject} is issued by {issuer}, which is neither in the chain nor trusted{}",
        if *other_key { " (a CA of that name is there, but has another key)" } else { "" }
    )]
    UnknownIssuer {
        /// The certificate where the path ends.
        subject: String,
        /// The name of the CA that is missing.
        issuer: String,
        /// Whether a CA of that name was found whose key is another one.
        other_key: bool,
    },
    /// A signature algorithm that is not accepted, such as SHA-1, or a key too weak for it.
    #[error(
        "the signature of {subject} is of an algorithm or key size that is not accepted ({algorithm})"
    )]
    UnsupportedSignature {
        /// The certificate with the signature.
        subject: String,
        /// Dotted object identifier of the algorithm.
        algorithm: String,
    },
    /// The leaf is not called what the caller expects (RFC 9525 section 6).
    #[error("expected a certificate for {expected}, found one {}", names(found))]
    WrongName {
        /// Who should have answered.
        expected: String,
        /// The leaf's dNSName and iPAddress entries.
        found: Vec<String>,
    },
    /// The leaf has another SPIFFE ID than the caller expects.
    #[error("expected {expected}, found {found}")]
    WrongSpiffeId {
        /// Who it should be.
        expected: SpiffeId,
        /// Who it is.
        found: SpiffeId,
    },
    /// The SPIFFE ID is of another trust domain (X509-SVID section 5.2, Workload API section 4.6).
    #[error("{found} is not in the trust domain {expected}")]
    WrongTrustDomain {
        /// The trust domain of the roots.
        expected: TrustDomain,
        /// The leaf's SPIFFE ID.
        found: SpiffeId,
    },
}

/// What keeps a leaf from being an X509-SVID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SvidRule {
    /// keyUsage has cRLSign.
    #[error("its keyUsage has cRLSign")]
    CrlSign,
    /// keyUsage lacks digitalSignature.
    #[error("its keyUsage lacks digitalSignature")]
    DigitalSignatureMissing,
    /// extendedKeyUsage is there without both of serverAuth and clientAuth.
    #[error("its extendedKeyUsage lacks serverAuth or clientAuth")]
    ExtendedKeyUsage,
    /// keyUsage has keyCertSign.
    #[error("its keyUsage has keyCertSign")]
    KeyCertSign,
    /// keyUsage is absent.
    #[error("it has no keyUsage")]
    KeyUsageMissing,
    /// keyUsage is there, but readers may ignore it.
    #[error("its keyUsage is not critical")]
    KeyUsageNotCritical,
    /// The leaf is a CA.
    #[error("it is a CA certificate")]
    LeafIsCa,
    /// The SPIFFE ID is that of a trust domain.
    #[error("its SPIFFE ID names a trust domain, not a workload in it")]
    PathMissing,
    /// There is no subject, and readers may ignore the name that stands for it.
    #[error("its subject is empty, but subjectAltName is not critical")]
    SubjectAltNameNotCritical,
    /// The URI is not a SPIFFE ID.
    #[error("its URI is not a SPIFFE ID: {0}")]
    SpiffeId(SpiffeIdError),
    /// There is not exactly one URI.
    #[error("it must have exactly one URI name, not {found}")]
    Uris {
        /// URI names seen.
        found: usize,
    },
}

impl SvidRule {
    /// The part of the standard that sets the rule.
    #[must_use]
    pub fn section(&self) -> &'static str {
        match self {
            Self::SubjectAltNameNotCritical => "X509-SVID section 2, RFC 5280 section 4.2.1.6",
            Self::SpiffeId(_) | Self::Uris { .. } => "X509-SVID section 2",
            Self::PathMissing => "X509-SVID section 3.1",
            Self::LeafIsCa => "X509-SVID section 4.1",
            Self::CrlSign
            | Self::DigitalSignatureMissing
            | Self::KeyCertSign
            | Self::KeyUsageMissing
            | Self::KeyUsageNotCritical => "X509-SVID section 4.3",
            Self::ExtendedKeyUsage => "X509-SVID section 4.4",
        }
    }
}

/// What people call `certificate`: SVIDs have no subject.
pub(super) fn subject(certificate: &Certificate) -> String {
    let facts = certificate.facts();
    if !facts.subject.is_empty() {
        return facts.subject.clone();
    }
    let names = facts.subject_alt_name.as_ref();
    names
        .and_then(|names| names.uris.first().or_else(|| names.dns_names.first()))
        .map(|name| readable(name))
        .unwrap_or_else(|| format!("the certificate {}", certificate.fingerprint()))
}

pub(super) fn wrong_name(leaf: &Certificate, expected: &ServerName<'_>) -> ChainError {
    let names = leaf.facts().subject_alt_name.clone().unwrap_or_default();
    let addresses = names.ip_addresses.iter().map(ToString::to_string);
    ChainError::WrongName {
        expected: expected.to_str().into_owned(),
        found: names
            .dns_names
            .iter()
            .map(|name| readable(name))
            .chain(addresses)
            .collect(),
    }
}

fn names(found: &[String]) -> String {
    match found.is_empty() {
        true => "without DNS and IP names".to_owned(),
        false => format!("for {}", found.join(", ")),
    }
}

fn rfc3339(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_secs());
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| "a time after the year 9999".to_owned())
}
