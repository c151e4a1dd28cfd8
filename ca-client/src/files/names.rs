//! What are the files called? Istio's names, or those of a Kubernetes TLS secret.

use std::path::Path;

/// How the three files are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileNames {
    /// `cert-chain.pem`, `key.pem`, `root-cert.pem`.
    #[default]
    Istio,
    /// `tls.crt`, `tls.key`, `ca.crt`, with the same contents.
    Kubernetes,
}

impl FileNames {
    /// The leaf, the certificates above it, and the root that anchors them.
    #[must_use]
    pub fn chain(self) -> &'static str {
        match self {
            Self::Istio => super::CERT_CHAIN,
            Self::Kubernetes => "tls.crt",
        }
    }

    /// The private key.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Istio => super::KEY,
            Self::Kubernetes => "tls.key",
        }
    }

    /// The trust bundle.
    #[must_use]
    pub fn roots(self) -> &'static str {
        match self {
            Self::Istio => super::ROOT_CERT,
            Self::Kubernetes => "ca.crt",
        }
    }

    /// The names that the files of this generation have.
    pub(super) fn of(generation: &Path) -> Self {
        match generation.join(Self::Kubernetes.chain()).exists() {
            true => Self::Kubernetes,
            false => Self::Istio,
        }
    }
}
