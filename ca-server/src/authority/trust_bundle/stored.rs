//! How does the trust bundle look on disk?

use std::path::Path;

use proto::certificate::Certificate;
use proto::spiffe::TrustDomain;
use serde::Deserialize;
use serde::Serialize;

use super::TrustBundleError;
use super::revocations::Numbers;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) version: u32,
    pub(super) trust_domain: TrustDomain,
    pub(super) sequence: u64,
    /// The active root first.
    pub(super) roots: Vec<StoredRoot>,
    /// The revocation lists, as PEM.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) crls: Vec<String>,
    #[serde(default)]
    pub(super) revocations: Numbers,
}

impl Stored {
    pub(super) fn has_content_of(&self, other: &Self) -> bool {
        self.trust_domain == other.trust_domain
            && self.roots == other.roots
            && self.crls == other.crls
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredRoot {
    pub(super) fingerprint: String,
    pub(super) source: String,
    pub(super) first_seen: String,
    /// Missing in files of before there were numbers: then every numbered bundle holds it.
    #[serde(default)]
    pub(super) since: u64,
    pub(super) pem: String,
}

impl StoredRoot {
    pub(super) fn certificate(&self, path: &Path) -> Result<Certificate, TrustBundleError> {
        let damaged = |source| TrustBundleError::Root {
            path: path.to_owned(),
            fingerprint: self.fingerprint.clone(),
            source,
        };
        let mut certificates =
            Certificate::all_from_pem(self.pem.as_bytes()).map_err(|error| damaged(Some(error)))?;
        match (certificates.pop(), certificates.len()) {
            (Some(root), 0) if root.fingerprint().to_string() == self.fingerprint => Ok(root),
            _ => Err(damaged(None)),
        }
    }
}

/// One list as PEM.
pub(super) fn crl_pem(der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("X509 CRL", der), config)
}
