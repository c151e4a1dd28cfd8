//! Is a signed leaf what was intended? Read back with another library than the one that wrote it.

use proto::certificate::Certificate;
use proto::certificate::Facts;
use proto::certificate::SubjectAltName;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::IssuerFields;
use super::LeafMismatch;
use super::LeafName;
use super::LeafTemplate;
use super::TRIAL_URI;
use super::encode;
use crate::x509::public_key::KeyKind;

pub(super) fn leaf(
    leaf_der: &[u8],
    template: &LeafTemplate<'_>,
    issuer: &IssuerFields<'_>,
) -> Result<(), LeafMismatch> {
    let certificate = Certificate::from_der(leaf_der)
        .map_err(|_parser_words| LeafMismatch { field: "encoding" })?;
    let facts = certificate.facts();
    body(facts, template, issuer)?;
    extensions(facts, template, issuer)?;
    bytes(leaf_der, template, issuer)
}

fn body(
    facts: &Facts,
    template: &LeafTemplate<'_>,
    issuer: &IssuerFields<'_>,
) -> Result<(), LeafMismatch> {
    same("version", facts.version == 3)?;
    same("serial", is_serial(&facts.serial, template))?;
    same("issuer", facts.issuer_der == issuer.subject_der)?;
    same(
        "notBefore",
        facts.not_before == template.validity.not_before(),
    )?;
    same("notAfter", facts.not_after == template.validity.not_after())?;
    same("subject", facts.subject_der == EMPTY_SEQUENCE)?;
    same(
        "public key",
        facts.spki_der == template.public_key.spki_der(),
    )
}

/// A positive number, equal to the template's.
fn is_serial(found: &[u8], template: &LeafTemplate<'_>) -> bool {
    let significant = |bytes: &[u8]| -> Vec<u8> {
        let digits = bytes.iter().skip_while(|byte| **byte == 0);
        digits.copied().collect()
    };
    let intended = significant(template.serial.as_bytes());
    !intended.is_empty()
        && significant(found) == intended
        && found.first().is_some_and(|first| *first < 0x80)
}

fn extensions(
    facts: &Facts,
    template: &LeafTemplate<'_>,
    issuer: &IssuerFields<'_>,
) -> Result<(), LeafMismatch> {
    let rsa = matches!(template.public_key.kind(), KeyKind::Rsa { .. });
    let key_usage = facts.key_usage.is_some_and(|usage| {
        usage.critical
            && usage.digital_signature
            && usage.key_encipherment == rsa
            && !usage.key_cert_sign
            && !usage.crl_sign
    });
    same("keyUsage", key_usage)?;
    let purposes: Vec<String> = encode::key_purposes(template.name)
        .iter()
        .map(|arc| format!("1.3.6.1.5.5.7.3.{arc}"))
        .collect();
    same(
        "extendedKeyUsage",
        facts.extended_key_usage.as_ref() == Some(&purposes),
    )?;
    let not_a_ca = facts
        .basic_constraints
        .is_some_and(|constraints| constraints.critical && !constraints.ca);
    same("basicConstraints", not_a_ca)?;
    let key_id = encode::subject_key_id(template.public_key);
    same(
        "subjectKeyIdentifier",
        facts.subject_key_id.as_ref() == Some(&key_id),
    )?;
    let issuer_key_id = facts.authority_key_id.as_deref();
    same(
        "authorityKeyIdentifier",
        issuer_key_id == Some(issuer.key_id),
    )?;
    let names = intended_names(template.name);
    same(
        "subjectAltName",
        facts.subject_alt_name.as_ref() == Some(&names),
    )?;
    let found = facts.extensions.iter();
    let found: Vec<(&str, bool)> = found.map(|e| (e.oid.as_str(), e.critical)).collect();
    same("the list of extensions", found == EXTENSIONS)
}

fn intended_names(name: &LeafName) -> SubjectAltName {
    let mut names = SubjectAltName {
        critical: true,
        ..SubjectAltName::default()
    };
    match name {
        LeafName::Workload(id) => names.uris.push(id.as_str().to_owned()),
        LeafName::Trial => names.uris.push(TRIAL_URI.to_owned()),
        LeafName::Serving {
            dns_names,
            ip_addresses,
        } => {
            names.dns_names.clone_from(dns_names);
            names.ip_addresses.clone_from(ip_addresses);
        }
    }
    names
}

/// Everything that the facts leave out: parameters of the algorithms, further bits, the order of fields.
fn bytes(
    leaf_der: &[u8],
    template: &LeafTemplate<'_>,
    issuer: &IssuerFields<'_>,
) -> Result<(), LeafMismatch> {
    let (_, parsed) = X509Certificate::from_der(leaf_der)
        .map_err(|_parser_words| LeafMismatch { field: "encoding" })?;
    let tbs = encode::tbs(template, issuer);
    same(
        "the bytes to be signed",
        parsed.tbs_certificate.as_ref() == tbs,
    )?;
    let signature = &parsed.signature_value.data;
    let intended = encode::certificate(&tbs, issuer.signature_algorithm_der, signature);
    same("signature algorithm", leaf_der == intended)
}

fn same(field: &'static str, is_same: bool) -> Result<(), LeafMismatch> {
    if is_same {
        Ok(())
    } else {
        Err(LeafMismatch { field })
    }
}

const EMPTY_SEQUENCE: &[u8] = &[0x30, 0];

/// Identifiers and criticality, in order.
const EXTENSIONS: &[(&str, bool)] = &[
    ("2.5.29.15", true),
    ("2.5.29.37", false),
    ("2.5.29.19", true),
    ("2.5.29.14", false),
    ("2.5.29.35", false),
    ("2.5.29.17", true),
];
