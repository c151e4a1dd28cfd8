//! How do our values look as `signet.v1` messages?

use std::time::Duration;
use std::time::SystemTime;

use prost_types::Timestamp;
use proto::signet;
use proto::signet::denial_target::Target as Wire;

use crate::ledger::Denial;
use crate::ledger::Entry;
use crate::ledger::Target;
use crate::ledger::Token;
use crate::telemetry::metrics::Held;
use crate::x509::LeafName;

pub(super) fn certificate(entry: &Entry, denied: Option<&Denial>) -> signet::Certificate {
    let intent = &entry.intent;
    let (name, purpose) = leaf_name(&intent.name);
    let state = if entry.leaf_der.is_some() {
        "recorded"
    } else {
        "may-exist"
    };
    signet::Certificate {
        serial: intent.serial.to_string(),
        name,
        purpose: purpose.to_owned(),
        state: state.to_owned(),
        not_before: Some(intent.validity.not_before().into()),
        not_after: Some(intent.validity.not_after().into()),
        reserved_at: Some(intent.reserved_at.into()),
        key_sha256: intent.key.to_string(),
        issuer_sha256: intent.issuer.to_string(),
        root_sha256: intent.root.to_string(),
        evidence: intent.evidence.to_string(),
        request_id: intent.request_id.clone(),
        pem: entry
            .leaf_der
            .as_deref()
            .map_or_else(String::new, certificate_pem),
        denial: denied.map(denial),
    }
}

pub(super) fn denial(denial: &Denial) -> signet::Denial {
    let target = match &denial.target {
        Target::SpiffeId(id) => Wire::SpiffeId(id.to_string()),
        Target::Serial(number) => Wire::Serial(number.to_string()),
        Target::Key(key) => Wire::KeySha256(key.to_string()),
    };
    signet::Denial {
        target: Some(signet::DenialTarget {
            target: Some(target),
        }),
        reason: denial.reason.as_str().to_owned(),
        since: Some(denial.since.into()),
    }
}

pub(super) fn token(token: &Token, now: SystemTime) -> signet::Token {
    let state = match (&token.spent, token.revoked) {
        (_, true) => "revoked",
        (Some(_), false) => "spent",
        (None, false) if now >= token.expires_at => "expired",
        (None, false) => "unused",
    };
    signet::Token {
        id: token.id.to_string(),
        spiffe_id: token.spiffe_id.to_string(),
        created_at: Some(token.created_at.into()),
        expires_at: Some(token.expires_at.into()),
        state: state.to_owned(),
        serial: token
            .spent
            .map_or_else(String::new, |spent| spent.serial.to_string()),
    }
}

pub(super) fn held(held: &Held) -> signet::HeldCertificate {
    signet::HeldCertificate {
        role: held.role.to_owned(),
        subject: held.subject.clone(),
        fingerprint: held.sha256.clone(),
        not_before: Some(held.not_before.into()),
        not_after: Some(held.not_after.into()),
    }
}

pub(super) fn time(timestamp: Timestamp) -> Option<SystemTime> {
    timestamp.try_into().ok()
}

pub(super) fn duration(duration: prost_types::Duration) -> Option<Duration> {
    duration.try_into().ok()
}

pub(super) fn leaf_name(name: &LeafName) -> (String, &'static str) {
    match name {
        LeafName::Workload(id) => (id.to_string(), "workload"),
        LeafName::Serving {
            dns_names,
            ip_addresses,
        } => {
            let ips = ip_addresses.iter().map(ToString::to_string);
            let names: Vec<String> = dns_names.iter().cloned().chain(ips).collect();
            (names.join(","), "serving")
        }
        LeafName::Trial => (String::new(), "trial"),
    }
}

fn certificate_pem(der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("CERTIFICATE", der), config)
}
