//! Would the revocation lists of the bundle work? Envoy wants one of every CA of a chain as soon as it has any.

use std::time::SystemTime;

use proto::certificate::Certificate;

use super::CRL;
use super::Finding;
use super::files::Files;
use super::path::Path;
use super::report::date;
use super::rules::CRL_CURRENT;
use crate::authority::crl::Crl;

/// Judges the lists beside `path`.
pub(super) fn judge(path: &Path, files: &Files, now: SystemTime) -> Vec<Finding> {
    if files.crls.is_empty() {
        return Vec::new();
    }
    let cas: Vec<&Certificate> = path.all().collect();
    let mut findings: Vec<Finding> = Vec::new();
    for crl in &files.crls {
        findings.extend(signer(crl, &cas));
        findings.extend(dates(crl, now));
        let revoked = cas
            .iter()
            .filter(|ca| is_any_of(crl, &cas) && crl.revokes(ca));
        findings.extend(revoked.map(|ca| revokes(crl, ca)));
    }
    if path.root.is_some() {
        let missing = cas
            .iter()
            .filter(|ca| !files.crls.iter().any(|crl| crl.is_of(ca)));
        findings.extend(missing.map(|ca| no_list_of(ca)));
    }
    findings
}

fn is_any_of(crl: &Crl, cas: &[&Certificate]) -> bool {
    cas.iter().any(|ca| crl.is_of(ca))
}

fn signer(crl: &Crl, cas: &[&Certificate]) -> Option<Finding> {
    if is_any_of(crl, cas) {
        return None;
    }
    let issuer = crl.issuer();
    let mut signers = cas.iter().filter(|ca| crl.is_signed_by(ca));
    if let Some(other) = signers.find_map(|ca| authority_key(crl, ca)) {
        return Some(other);
    }
    let Some(named) = cas.iter().find(|ca| crl.names(ca)) else {
        return Some(Finding::warning(
            CRL,
            "crl-of-the-chain",
            format!("the list of {issuer} is of no CA of this chain"),
            "remove it, unless it is of the CA that this one replaces",
        ));
    };
    let may_sign = named.facts().key_usage.is_none_or(|usage| usage.crl_sign);
    Some(match may_sign {
        true => Finding::error(
            CRL,
            "crl-signature",
            format!("the list of {issuer} is not signed by the key of that CA"),
            "get the list that this CA made, and not one of an earlier key",
        ),
        false => Finding::error(
            CRL,
            "crl-sign",
            format!("{issuer} must not sign lists: its keyUsage lacks cRLSign"),
            "have it issued with keyUsage keyCertSign and cRLSign",
        ),
    })
}

fn authority_key(crl: &Crl, ca: &Certificate) -> Option<Finding> {
    let mismatch = crl.mismatch(ca)?;
    Some(Finding::error(
        CRL,
        "crl-authority-key",
        format!(
            "the list of {} names by its authorityKeyIdentifier a CA certificate that {mismatch}; the one here, {}, is another",
            crl.issuer(),
            ca.fingerprint()
        ),
        "have it made with the CA's certificate as it is in this bundle: to Envoy and OpenSSL it is as good as none",
    ))
}

fn dates(crl: &Crl, now: SystemTime) -> Option<Finding> {
    let seen = match crl.is_current_at(now) {
        true => return None,
        false if now < crl.this_update() => format!(
            "the list of {} begins at {}",
            crl.issuer(),
            date(crl.this_update())
        ),
        false => format!(
            "the list of {} was to be replaced until {}",
            crl.issuer(),
            date(crl.next_update())
        ),
    };
    Some(Finding::error(
        CRL,
        CRL_CURRENT,
        seen,
        "put the newest list there: who checks revocation refuses everything until then",
    ))
}

fn revokes(crl: &Crl, ca: &Certificate) -> Finding {
    Finding::error(
        CRL,
        "crl-revokes-no-ca-in-use",
        format!(
            "the list of {} revokes {} ({}), which is to sign",
            crl.issuer(),
            ca.facts().subject,
            ca.fingerprint()
        ),
        "bring a new issuing CA first; revoke the old one when it has retired",
    )
}

fn no_list_of(ca: &Certificate) -> Finding {
    Finding::error(
        CRL,
        "crl-of-each-ca",
        format!("there is no list of {}", ca.facts().subject),
        "add one: as soon as there is any, Envoy and OpenSSL want a list of every CA of the chain, the root's too",
    )
}
