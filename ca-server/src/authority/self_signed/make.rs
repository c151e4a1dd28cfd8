//! What do our own CA certificates look like? (RFC 5280 section 4.2.1, X509-SVID section 3)
//!
//! The one place that makes keys and CA certificates; where they are kept is not its business.

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::spiffe::TrustDomain;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyIdMethod;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::PKCS_ECDSA_P256_SHA256;
use rcgen::SanType;
use rcgen::SerialNumber;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::AttributeTypeAndValue;
use zeroize::Zeroizing;

use super::SelfSignedError;
use crate::x509::Entropy;
use crate::x509::Serial;

/// A complete set of files.
pub(super) struct Made {
    pub(super) root_pem: String,
    pub(super) root_key_pem: Zeroizing<String>,
    pub(super) issuer_pem: String,
    pub(super) issuer_key_pem: Zeroizing<String>,
}

/// Makes a root of ten years and an issuing CA of one year under it, both with P-256 keys.
pub(super) fn root_and_issuer(
    trust_domain: &TrustDomain,
    now: SystemTime,
    entropy: &dyn Entropy,
) -> Result<Made, SelfSignedError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = ca_params("Signet Root CA", trust_domain, now, entropy)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = (now + ROOT_LIFE).into();
    let root_pem = pem(&params.self_signed(&key)?);
    let root_key_pem = Zeroizing::new(key.serialize_pem());
    let not_after = now + ISSUER_LIFE;
    issuer(
        &Issuer::new(params, key),
        trust_domain,
        now,
        not_after,
        entropy,
    )
    .map(|(issuer_pem, issuer_key_pem)| Made {
        root_pem,
        root_key_pem,
        issuer_pem,
        issuer_key_pem,
    })
}

/// Makes an issuing CA of one year, or what `root` has left, under `root`.
pub(super) fn issuer_under(
    root: &Certificate,
    root_key_pem: &Zeroizing<String>,
    trust_domain: &TrustDomain,
    now: SystemTime,
    entropy: &dyn Entropy,
) -> Result<Made, SelfSignedError> {
    let key = KeyPair::from_pem(root_key_pem)?;
    let above = Issuer::new(root_params(root), key);
    let not_after = root.facts().not_after.min(now + ISSUER_LIFE);
    let (issuer_pem, issuer_key_pem) = issuer(&above, trust_domain, now, not_after, entropy)?;
    Ok(Made {
        root_pem: root.to_pem(),
        root_key_pem: root_key_pem.clone(),
        issuer_pem,
        issuer_key_pem,
    })
}

/// What an issuing CA takes from its root, for a root that was made here: organization and common name.
fn root_params(root: &Certificate) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if let Ok((_, parsed)) = X509Certificate::from_der(root.der()) {
        let mut organizations = parsed.subject().iter_organization();
        let mut names = parsed.subject().iter_common_name();
        for (attribute, kind) in [
            (organizations.next(), DnType::OrganizationName),
            (names.next(), DnType::CommonName),
        ] {
            if let Some(Ok(value)) = attribute.map(AttributeTypeAndValue::as_str) {
                params.distinguished_name.push(kind, value);
            }
        }
    }
    if let Some(key_id) = &root.facts().subject_key_id {
        params.key_identifier_method = KeyIdMethod::PreSpecified(key_id.clone());
    }
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn issuer(
    root: &Issuer<'_, KeyPair>,
    trust_domain: &TrustDomain,
    now: SystemTime,
    not_after: SystemTime,
    entropy: &dyn Entropy,
) -> Result<(String, Zeroizing<String>), SelfSignedError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = ca_params("Signet Issuing CA", trust_domain, now, entropy)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.not_after = not_after.into();
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, root)?;
    Ok((pem(&certificate), Zeroizing::new(key.serialize_pem())))
}

fn pem(certificate: &rcgen::Certificate) -> String {
    certificate.pem().replace("\r\n", "\n")
}

/// What root and issuing CA have in common. X509-SVID section 3.2: a signing certificate should be an SVID
/// itself, with the path-less ID of the trust domain.
fn ca_params(
    title: &str,
    trust_domain: &TrustDomain,
    now: SystemTime,
    entropy: &dyn Entropy,
) -> Result<CertificateParams, SelfSignedError> {
    let serial = Serial::draw(now, entropy)?;
    let unique: String = serial.to_string().chars().rev().take(8).collect();
    let organization: String = trust_domain
        .as_str()
        .chars()
        .take(MAX_ORGANIZATION)
        .collect();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, organization);
    params
        .distinguished_name
        .push(DnType::CommonName, format!("{title} {unique}"));
    let id = format!("spiffe://{trust_domain}");
    params.subject_alt_names = vec![SanType::URI(id.try_into()?)];
    params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
    params.not_before = (now - BACKDATED).into();
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// For relying parties whose clocks are behind.
const BACKDATED: Duration = Duration::from_secs(60 * 60);
const ISSUER_LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const ROOT_LIFE: Duration = Duration::from_secs(3652 * 24 * 60 * 60);
/// ub-organization-name (RFC 5280 appendix A.1), in characters.
const MAX_ORGANIZATION: usize = 64;
