//! How are faults sorted, and which rule of which standard is behind each? One table.

use std::fmt;

use crate::chain::ChainError;
use crate::chain::SvidRule;

/// Valid, or the kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Every rule is kept.
    Valid,
    /// A certificate's time is over.
    Expired,
    /// A certificate's time has not come.
    NotYetValid,
    /// No trusted root stands at the end.
    UnknownIssuer,
    /// The leaf belongs to another trust domain.
    WrongTrustDomain,
    /// The leaf is somebody else.
    WrongSpiffeId,
    /// The leaf is not an X509-SVID.
    NotAnX509Svid,
    /// The issuer has forbidden it.
    Denied,
    /// A signature does not match.
    BadSignature,
    /// A signature's algorithm or key is not accepted.
    UnsupportedSignature,
    /// A certificate is used for what its CA flag or keyUsage does not allow.
    KeyUsage,
    /// extendedKeyUsage forbids the use.
    KeyPurpose,
    /// More CAs than a pathLenConstraint allows.
    PathLength,
    /// A name is outside a CA's nameConstraints.
    NameConstraints,
    /// A critical extension is not supported.
    CriticalExtension,
    /// The leaf has another DNS or IP name.
    WrongName,
    /// A certificate is not as the standard wants it.
    Malformed,
    /// There is more to look at than is looked at.
    TooComplex,
}

impl Kind {
    /// Its name in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::UnknownIssuer => "unknown-issuer",
            Self::WrongTrustDomain => "wrong-trust-domain",
            Self::WrongSpiffeId => "wrong-spiffe-id",
            Self::NotAnX509Svid => "not-an-x509-svid",
            Self::Denied => "denied",
            Self::BadSignature => "bad-signature",
            Self::UnsupportedSignature => "unsupported-signature",
            Self::KeyUsage => "key-usage",
            Self::KeyPurpose => "key-purpose",
            Self::PathLength => "path-length",
            Self::NameConstraints => "name-constraints",
            Self::CriticalExtension => "critical-extension",
            Self::WrongName => "wrong-name",
            Self::Malformed => "malformed",
            Self::TooComplex => "too-complex",
        }
    }

    pub(crate) fn of(error: &ChainError) -> Self {
        match error {
            ChainError::BadSignature { .. } => Self::BadSignature,
            ChainError::CriticalExtension { .. } => Self::CriticalExtension,
            ChainError::Expired { .. } => Self::Expired,
            ChainError::KeyCertSignMissing { .. }
            | ChainError::LeafIsCa { .. }
            | ChainError::LeafKeyUsage { .. }
            | ChainError::NotACa { .. } => Self::KeyUsage,
            ChainError::KeyPurpose { .. } => Self::KeyPurpose,
            ChainError::Empty | ChainError::Malformed { .. } => Self::Malformed,
            ChainError::NameConstraints { .. } => Self::NameConstraints,
            ChainError::NotASvid { .. } => Self::NotAnX509Svid,
            ChainError::NotYetValid { .. } => Self::NotYetValid,
            ChainError::PathLength { .. } => Self::PathLength,
            ChainError::SearchExhausted | ChainError::TooLong { .. } => Self::TooComplex,
            ChainError::UnknownIssuer { .. } => Self::UnknownIssuer,
            ChainError::UnsupportedSignature { .. } => Self::UnsupportedSignature,
            ChainError::WrongName { .. } => Self::WrongName,
            ChainError::WrongSpiffeId { .. } => Self::WrongSpiffeId,
            ChainError::WrongTrustDomain { .. } => Self::WrongTrustDomain,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One rule: a name that stays, and where it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Such as `ca-key-cert-sign`.
    pub id: &'static str,
    /// Such as `RFC 5280 section 6.1.4 (n)`.
    pub section: &'static str,
}

impl Rule {
    pub(super) const DENIED: Self = Self::new("denied", "the issuer's deny-list");

    const fn new(id: &'static str, section: &'static str) -> Self {
        Self { id, section }
    }

    pub(super) fn broken_by(error: &ChainError) -> Self {
        let (id, section) = match error {
            ChainError::BadSignature { .. } => ("signature", "RFC 5280 section 6.1.3 (a)(1)"),
            ChainError::CriticalExtension { .. } => ("critical-extension", "RFC 5280 section 4.2"),
            ChainError::Empty => ("leaf-present", "RFC 5280 section 6.1.1 (a)"),
            ChainError::Expired { .. } => ("not-after", "RFC 5280 section 6.1.3 (a)(2)"),
            ChainError::KeyCertSignMissing { .. } => {
                ("ca-key-cert-sign", "RFC 5280 section 6.1.4 (n)")
            }
            ChainError::KeyPurpose { .. } => ("extended-key-usage", "RFC 5280 section 4.2.1.12"),
            ChainError::LeafIsCa { .. } => ("leaf-not-ca", "RFC 5280 section 4.2.1.9"),
            ChainError::LeafKeyUsage { .. } => ("leaf-key-usage", "RFC 5280 section 4.2.1.3"),
            ChainError::Malformed { .. } => ("well-formed", "RFC 5280 section 4"),
            ChainError::NameConstraints { .. } => ("name-constraints", "RFC 5280 section 4.2.1.10"),
            ChainError::NotACa { .. } => ("ca-flag", "RFC 5280 section 6.1.4 (k)"),
            ChainError::NotASvid { rule } => (rule.id(), rule.section()),
            ChainError::NotYetValid { .. } => ("not-before", "RFC 5280 section 6.1.3 (a)(2)"),
            ChainError::PathLength { .. } => ("path-length", "RFC 5280 section 6.1.4 (l)"),
            ChainError::SearchExhausted => ("search-limit", "a limit of Signet"),
            ChainError::TooLong { .. } => ("chain-length", "a limit of Signet"),
            ChainError::UnknownIssuer { .. } => ("trusted-root", "RFC 5280 section 6.1.1 (d)"),
            ChainError::UnsupportedSignature { .. } => (
                "signature-algorithm",
                "a limit of Signet: SHA-256 and better, RSA of 2048 bits and more, P-256, P-384, Ed25519",
            ),
            ChainError::WrongName { .. } => ("server-name", "RFC 9525 section 6"),
            ChainError::WrongSpiffeId { .. } => ("expected-spiffe-id", "X509-SVID section 5.2"),
            ChainError::WrongTrustDomain { .. } => (
                "trust-domain",
                "X509-SVID section 5.2, SPIFFE Workload API section 4.6",
            ),
        };
        Self::new(id, section)
    }
}

impl SvidRule {
    /// A name that stays, such as `svid-one-uri`.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::CrlSign => "svid-no-crl-sign",
            Self::DigitalSignatureMissing => "svid-digital-signature",
            Self::ExtendedKeyUsage => "svid-extended-key-usage",
            Self::KeyCertSign => "svid-no-key-cert-sign",
            Self::KeyUsageMissing => "svid-key-usage",
            Self::KeyUsageNotCritical => "svid-key-usage-critical",
            Self::LeafIsCa => "svid-not-ca",
            Self::PathMissing => "svid-path",
            Self::SubjectAltNameNotCritical => "svid-names-critical",
            Self::SpiffeId(_) => "svid-spiffe-id",
            Self::Uris { .. } => "svid-one-uri",
        }
    }
}
