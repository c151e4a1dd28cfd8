//! Which certificates does the self-signed CA consist of? A root of ten years, an issuing CA of one.
//!
//! What a CA certificate looks like is said in [`super::super::ca_certificate`].

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::spiffe::TrustDomain;
use zeroize::Zeroizing;

use super::SelfSignedError;
use crate::authority::ca_certificate::Above;
use crate::authority::ca_certificate::CaTemplate;
use crate::authority::ca_certificate::KeyType;
use crate::authority::ca_certificate::MakeError;
use crate::authority::key::IssuerKey;
use crate::authority::key::PrivateKey;
use crate::x509::Entropy;

/// A complete set of files.
pub(super) struct Made {
    pub(super) root_pem: String,
    pub(super) root_key_pem: Zeroizing<String>,
    pub(super) issuer_pem: String,
    /// Certificates by roots before, for the name and key of this one.
    pub(super) cross_pem: String,
    pub(super) issuer_key_pem: Zeroizing<String>,
}

/// Makes a root of ten years and an issuing CA of one year under it, both with P-256 keys. The root `before` signs the
/// new one across.
pub(super) fn root_and_issuer(
    trust_domain: &TrustDomain,
    before: Option<(&Certificate, IssuerKey)>,
    now: SystemTime,
    entropy: &dyn Entropy,
) -> Result<Made, SelfSignedError> {
    let organization = organization(trust_domain);
    let template = CaTemplate {
        organization: Some(&organization),
        title: "Signet Root CA",
        trust_domain: Some(trust_domain),
        key_type: KeyType::P256,
        not_after: now + ROOT_LIFE,
    };
    let above = before
        .map(|(root, key)| Above::new(root, key))
        .transpose()?;
    let (root, cross) = template.root_signed_across(above.as_ref(), now, entropy)?;
    let under = Under {
        root: &root.certificate,
        root_key_pem: &root.key_pem,
        cross: cross.as_slice(),
    };
    issuer_under(under, trust_domain, now, entropy)
}

/// Under what an issuing CA is made.
#[derive(Clone, Copy)]
pub(super) struct Under<'a> {
    pub(super) root: &'a Certificate,
    pub(super) root_key_pem: &'a Zeroizing<String>,
    /// Certificates by roots before, for the name and key of this one.
    pub(super) cross: &'a [Certificate],
}

/// The key of `root`.
pub(super) fn root_key(root: &Certificate, pem: &str) -> Result<IssuerKey, MakeError> {
    let private = PrivateKey::from_pem(pem.as_bytes()).map_err(MakeError::Key)?;
    IssuerKey::of_issuer(&private, root).map_err(MakeError::Key)
}

/// Makes an issuing CA of one year, or what the root has left.
pub(super) fn issuer_under(
    under: Under<'_>,
    trust_domain: &TrustDomain,
    now: SystemTime,
    entropy: &dyn Entropy,
) -> Result<Made, SelfSignedError> {
    let root = under.root;
    let key = root_key(root, under.root_key_pem)?;
    let organization = organization(trust_domain);
    let template = CaTemplate {
        organization: Some(&organization),
        title: "Signet Issuing CA",
        trust_domain: Some(trust_domain),
        key_type: KeyType::P256,
        not_after: root.facts().not_after.min(now + ISSUER_LIFE),
    };
    let issuer = template.issuer(&Above::new(root, key)?, now, entropy)?;
    Ok(Made {
        root_pem: root.to_pem(),
        root_key_pem: under.root_key_pem.clone(),
        cross_pem: under.cross.iter().map(Certificate::to_pem).collect(),
        issuer_pem: issuer.certificate.to_pem(),
        issuer_key_pem: issuer.key_pem,
    })
}

fn organization(trust_domain: &TrustDomain) -> String {
    trust_domain
        .as_str()
        .chars()
        .take(MAX_ORGANIZATION)
        .collect()
}

const ISSUER_LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const ROOT_LIFE: Duration = Duration::from_secs(3652 * 24 * 60 * 60);
/// ub-organization-name (RFC 5280 appendix A.1), in characters.
const MAX_ORGANIZATION: usize = 64;
