//! Which certificate, and what of it, is behind webpki's verdict?

use std::time::SystemTime;

use webpki::Error;

use super::error::ChainError;
use super::error::subject;
use super::path::Purpose;
use super::path::out_of_time;
use super::reach::Reach;
use crate::certificate::Certificate;

/// webpki's verdict with the evidence that it does not give.
pub(super) fn explain(
    error: &Error,
    reach: &Reach<'_>,
    purpose: Purpose,
    at: SystemTime,
) -> ChainError {
    let leaf_subject = subject(reach.leaf);
    match error {
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } => reach
            .all()
            .find_map(|certificate| out_of_time(certificate, at))
            .unwrap_or_else(|| malformed(leaf_subject, error)),
        Error::CaUsedAsEndEntity => ChainError::LeafIsCa {
            subject: leaf_subject,
        },
        Error::EndEntityUsedAsCa => {
            let issuer = reach.intermediates.iter().find(|c| !c.is_ca());
            let subject = issuer.map_or(leaf_subject, |issuer| subject(issuer));
            ChainError::NotACa { subject }
        }
        Error::PathLenConstraintViolated => {
            longest_path(&reach.intermediates).unwrap_or_else(|| malformed(leaf_subject, error))
        }
        Error::NameConstraintViolation => ChainError::NameConstraints {
            subject: leaf_subject,
        },
        Error::RequiredEkuNotFoundContext(_) => ChainError::KeyPurpose {
            subject: leaf_subject,
            purpose: purpose.name(),
        },
        Error::UnsupportedCriticalExtension => reach
            .below_roots()
            .find_map(critical_extension)
            .unwrap_or_else(|| malformed(leaf_subject, error)),
        Error::MaximumPathBuildCallsExceeded
        | Error::MaximumPathDepthExceeded
        | Error::MaximumSignatureChecksExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => ChainError::SearchExhausted,
        Error::InvalidSignatureForPublicKey
        | Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => reach
            .unsupported()
            .unwrap_or_else(|| malformed(leaf_subject, error)),
        _ => malformed(leaf_subject, error),
    }
}

/// The extension that webpki refuses to ignore.
fn critical_extension(certificate: &Certificate) -> Option<ChainError> {
    let mut extensions = certificate.facts().extensions.iter();
    let unknown = extensions.find(|one| one.critical && !HEEDED.contains(&one.oid.as_str()))?;
    Some(ChainError::CriticalExtension {
        subject: subject(certificate),
        oid: unknown.oid.clone(),
    })
}

fn malformed(subject: String, error: &Error) -> ChainError {
    ChainError::Malformed {
        subject,
        reason: error.to_string(),
    }
}

/// The intermediate whose constraint is the narrowest.
fn longest_path(intermediates: &[&Certificate]) -> Option<ChainError> {
    let constraints = intermediates.iter().filter_map(|issuer| {
        let max = issuer.facts().basic_constraints?.path_len?;
        Some((max, issuer))
    });
    let (max, issuer) = constraints.min_by_key(|(max, _)| *max)?;
    Some(ChainError::PathLength {
        subject: subject(issuer),
        max,
    })
}

/// keyUsage, subjectAltName, basicConstraints, nameConstraints, cRLDistributionPoints and extKeyUsage
/// (RFC 5280 section 4.2.1): what webpki reads.
const HEEDED: &[&str] = &[
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.37",
];
