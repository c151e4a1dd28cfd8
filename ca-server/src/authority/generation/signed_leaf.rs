//! What is a leaf once it is signed, and why may it not be?

use proto::certificate::Fingerprint;

use crate::x509::leaf::LeafMismatch;

/// A signed leaf. Only [`super::Generation::sign`] makes one, and [`super::Generation::own_leaf`] knows one again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    pub(super) der: Vec<u8>,
    /// SHA-256 of the issuing certificate.
    pub(super) issuer: Fingerprint,
}

impl Leaf {
    /// Its exact bytes.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// One PEM block with LF line ends and a newline at the end.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        pem::encode_config(&pem::Pem::new("CERTIFICATE", self.der.as_slice()), config)
    }
}

/// Why a leaf was not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The key refused.
    #[error("the issuer's key did not sign")]
    Key,
    /// What came out is not what was intended.
    #[error(transparent)]
    Mismatch(#[from] LeafMismatch),
}
