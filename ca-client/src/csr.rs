//! How is a certificate asked for? A fresh P-256 key and its CSR (RFC 2986).
//!
//! The only file that names rcgen.

use proto::spiffe::SpiffeId;
use rcgen::CertificateParams;
use rcgen::DistinguishedName;
use rcgen::KeyPair;
use rcgen::PublicKeyData as _;
use rcgen::SanType;

use crate::key::PrivateKey;

/// A key that exists nowhere else yet, and the request that proves possession of it.
#[derive(Debug)]
pub struct KeyAndCsr {
    pub(crate) key: PrivateKey,
    pub(crate) spki_der: Vec<u8>,
    pub(crate) csr_pem: String,
}

impl KeyAndCsr {
    /// Makes a new key. The SPIFFE ID is a courtesy to authorities that read it; Signet's does not.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn generate(spiffe_id: Option<&SpiffeId>) -> Result<Self, CsrError> {
        Self::of(
            &KeyPair::generate().map_err(CsrError::from_rcgen)?,
            spiffe_id,
        )
    }

    /// Asks for a key that was made before.
    ///
    /// # Errors
    /// When it is no key that can sign.
    pub(crate) fn for_key(
        key: &PrivateKey,
        spiffe_id: Option<&SpiffeId>,
    ) -> Result<Self, CsrError> {
        let key = KeyPair::try_from(key.der()).map_err(CsrError::from_rcgen)?;
        Self::of(&key, spiffe_id)
    }

    fn of(key: &KeyPair, spiffe_id: Option<&SpiffeId>) -> Result<Self, CsrError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(id) = spiffe_id {
            let uri = id.as_str().try_into().map_err(CsrError::from_rcgen)?;
            params.subject_alt_names = vec![SanType::URI(uri)];
        }
        let csr = params
            .serialize_request(key)
            .map_err(CsrError::from_rcgen)?;
        Ok(Self {
            csr_pem: csr.pem().map_err(CsrError::from_rcgen)?,
            spki_der: key.subject_public_key_info(),
            key: PrivateKey::from_pkcs8_der(key.serialize_der()),
        })
    }
}

/// A key or its request could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a key and its certificate request: {reason}")]
pub struct CsrError {
    reason: String,
}

impl CsrError {
    fn from_rcgen(error: rcgen::Error) -> Self {
        Self {
            reason: error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::prelude::FromDer as _;

    use super::*;

    #[test]
    fn every_request_has_its_own_key() {
        let one = KeyAndCsr::generate(None).unwrap();
        let other = KeyAndCsr::generate(None).unwrap();
        assert_ne!(one.spki_der, other.spki_der);
        assert_ne!(one.key.der(), other.key.der());
    }

    #[test]
    fn the_request_carries_the_key_and_the_name_that_was_asked_for() {
        let id = "spiffe://cluster.local/ns/shop/sa/cart".parse().unwrap();
        let made = KeyAndCsr::generate(Some(&id)).unwrap();
        let der = pem::parse(&made.csr_pem).unwrap().into_contents();
        let (_, csr) = X509CertificationRequest::from_der(&der).unwrap();
        let info = &csr.certification_request_info;
        assert_eq!(info.subject_pki.raw, made.spki_der);
        assert_eq!(info.subject.iter().count(), 0);
        let text = String::from_utf8_lossy(&der).into_owned();
        assert!(text.contains(id.as_str()));
    }
}
