//! Which certificate, and what of it, is behind webpki's verdict?

use std::time::SystemTime;

use webpki::Error;

use super::error::ChainError;
use super::error::subject;
use super::path::Purpose;
use super::path::out_of_time;
use super::reach::Reach;
use crate::certificate::Certificate;
use crate::certificate::OID_CLIENT_AUTH;
use crate::certificate::OID_SERVER_AUTH;

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
            not_a_ca(reach).unwrap_or_else(|| malformed(leaf_subject, error))
        }
        Error::PathLenConstraintViolated => path_length(reach)
            .or_else(|| narrowest(reach))
            .unwrap_or_else(|| malformed(leaf_subject, error)),
        Error::NameConstraintViolation => ChainError::NameConstraints {
            subject: leaf_subject,
        },
        Error::RequiredEkuNotFoundContext(_) => key_purpose(reach.leaf, purpose),
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
            .or_else(|| behind_namesakes(reach, purpose))
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
        reason: words(error),
    }
}

/// webpki's errors are names of variants; those that certificates in the field cause are said in words.
pub(super) fn words(error: &Error) -> String {
    let said = match error {
        Error::UnsupportedCertVersion => "it is not of version 3 (RFC 5280 section 4.1.2.1)",
        Error::InvalidCertValidity => "it ends before it begins (RFC 5280 section 4.1.2.5)",
        Error::EmptyEkuExtension => "its extendedKeyUsage is empty (RFC 5280 section 4.2.1.12)",
        Error::SignatureAlgorithmMismatch => {
            "it names two signature algorithms (RFC 5280 section 4.1.1.2)"
        }
        Error::ExtensionValueInvalid => "an extension's value is invalid (RFC 5280 section 4.2)",
        Error::InvalidSerialNumber => "its serial number is invalid (RFC 5280 section 4.1.2.2)",
        other => return format!("webpki calls it {other}"),
    };
    said.to_owned()
}

pub(super) fn key_purpose(leaf: &Certificate, purpose: Purpose) -> ChainError {
    ChainError::KeyPurpose {
        subject: subject(leaf),
        purpose: purpose.name(),
    }
}

/// What stands in the way where every signature has its key: webpki tries CAs of the right name and a wrong key too, and
/// says that their keys do not fit rather than which rule the right one breaks.
fn behind_namesakes(reach: &Reach<'_>, purpose: Purpose) -> Option<ChainError> {
    let has_constraints = |one: &&Certificate| one.facts().has_name_constraints;
    not_a_ca(reach)
        .or_else(|| path_length(reach))
        .or_else(|| reach.below_roots().find_map(critical_extension))
        .or_else(|| forbidden(reach, purpose))
        .or_else(|| {
            reach.all().find(has_constraints)?;
            let subject = subject(reach.leaf);
            Some(ChainError::NameConstraints { subject })
        })
}

fn not_a_ca(reach: &Reach<'_>) -> Option<ChainError> {
    let issuer = reach.intermediates.iter().find(|one| !one.is_ca())?;
    let subject = subject(issuer);
    Some(ChainError::NotACa { subject })
}

fn forbidden(reach: &Reach<'_>, purpose: Purpose) -> Option<ChainError> {
    let lists = reach.below_roots();
    let mut lists = lists.filter_map(|one| one.facts().extended_key_usage.as_deref());
    lists.find(|list| {
        let has = |oid: &str| list.iter().any(|one| one == oid);
        !purpose.is_allowed_by(has(OID_SERVER_AUTH), has(OID_CLIENT_AUTH))
    })?;
    Some(key_purpose(reach.leaf, purpose))
}

/// The first intermediate on the way up with more CAs below it than it allows.
fn path_length(reach: &Reach<'_>) -> Option<ChainError> {
    let mut below: u32 = 0;
    for issuer in reach.way_up().0.into_iter().skip(1) {
        let constraints = issuer.facts().basic_constraints;
        let max = constraints.and_then(|constraints| constraints.path_len);
        if let Some(max) = max.filter(|max| below > *max) {
            return Some(too_long(issuer, max));
        }
        below += u32::from(!issuer.is_self_issued());
    }
    None
}

/// The intermediate with the narrowest constraint, for where webpki means another way up.
fn narrowest(reach: &Reach<'_>) -> Option<ChainError> {
    let constraints = reach.intermediates.iter().filter_map(|issuer| {
        let max = issuer.facts().basic_constraints?.path_len?;
        Some((max, issuer))
    });
    let (max, issuer) = constraints.min_by_key(|(max, _)| *max)?;
    Some(too_long(issuer, max))
}

fn too_long(issuer: &Certificate, max: u32) -> ChainError {
    ChainError::PathLength {
        subject: subject(issuer),
        max,
    }
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
