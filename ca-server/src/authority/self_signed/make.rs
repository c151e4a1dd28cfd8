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
    pub(super) issuer_key_pem: Zeroizing<String>,
}

/// Makes a root of ten years and an issuing CA of one year under it, both with P-256 keys.
pub(super) fn root_and_issuer(
    trust_domain: &TrustDomain,
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
    let root = template.root(now, entropy)?;
    issuer_under(&root.certificate, &root.key_pem, trust_domain, now, entropy)
}

/// Makes an issuing CA of one year, or what `root` has left, under `root`.
pub(super) fn issuer_under(
    root: &Certificate,
    root_key_pem: &Zeroizing<String>,
    trust_domain: &TrustDomain,
    now: SystemTime,
    entropy: &dyn Entropy,
) -> Result<Made, SelfSignedError> {
    let private = PrivateKey::from_pem(root_key_pem.as_bytes()).map_err(MakeError::Key)?;
    let key = IssuerKey::of_issuer(&private, root).map_err(MakeError::Key)?;
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
        root_key_pem: root_key_pem.clone(),
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
