//! How do verdicts look as `signet.v1` messages?

use std::time::SystemTime;

use proto::signet;
use proto::signet::verdict::Kind as Wire;
use proto::verdict::Kind;
use proto::verdict::PathCertificate;
use proto::verdict::Verdict;

pub(super) fn message(verdict: &Verdict) -> signet::Verdict {
    let (rule, section) = verdict
        .rule
        .map_or(("", ""), |rule| (rule.id, rule.section));
    signet::Verdict {
        kind: kind(verdict.kind).into(),
        rule: rule.to_owned(),
        section: section.to_owned(),
        reason: verdict.reason.clone(),
        spiffe_id: verdict
            .spiffe_id
            .as_ref()
            .map_or_else(String::new, ToString::to_string),
        path: verdict.path.iter().map(certificate).collect(),
        anchored: verdict.anchored,
        seconds_left: verdict.seconds_left.unwrap_or(0),
        at: Some(verdict.at.into()),
    }
}

/// The verdict on what is no chain at all.
pub(super) fn unreadable(reason: String, at: SystemTime) -> signet::Verdict {
    signet::Verdict {
        kind: Wire::Unreadable.into(),
        rule: "readable".to_owned(),
        section: "RFC 7468, RFC 5280 section 4.1".to_owned(),
        reason,
        at: Some(at.into()),
        ..signet::Verdict::default()
    }
}

fn certificate(certificate: &PathCertificate) -> signet::PathCertificate {
    signet::PathCertificate {
        subject: certificate.subject.clone(),
        names: certificate.names.clone(),
        sha256: certificate.sha256.to_string(),
        not_before: Some(certificate.not_before.into()),
        not_after: Some(certificate.not_after.into()),
    }
}

fn kind(kind: Kind) -> Wire {
    match kind {
        Kind::Valid => Wire::Valid,
        Kind::Expired => Wire::Expired,
        Kind::NotYetValid => Wire::NotYetValid,
        Kind::UnknownIssuer => Wire::UnknownIssuer,
        Kind::WrongTrustDomain => Wire::WrongTrustDomain,
        Kind::WrongSpiffeId => Wire::WrongSpiffeId,
        Kind::NotAnX509Svid => Wire::NotAnX509Svid,
        Kind::Denied => Wire::Denied,
        Kind::BadSignature => Wire::BadSignature,
        Kind::UnsupportedSignature => Wire::UnsupportedSignature,
        Kind::KeyUsage => Wire::KeyUsage,
        Kind::KeyPurpose => Wire::KeyPurpose,
        Kind::PathLength => Wire::PathLength,
        Kind::NameConstraints => Wire::NameConstraints,
        Kind::CriticalExtension => Wire::CriticalExtension,
        Kind::Malformed => Wire::Malformed,
        Kind::TooComplex => Wire::TooComplex,
        // Server names are not asked about on the wire, and kinds to come have no number yet.
        _ => Wire::Unspecified,
    }
}
