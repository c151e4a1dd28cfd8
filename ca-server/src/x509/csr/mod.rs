//! Who holds the key, and is it of an allowed kind? PKCS#10 requests (RFC 2986).
//!
//! A `Csr` keeps the raw public key and nothing else: names and extensions of a CSR never reach a leaf.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::public_key::KeyKind;
use super::public_key::PublicKey;
use super::public_key::PublicKeyError;
use super::signature;

/// A request whose sender has proved to hold the private key.
#[derive(Clone, Debug)]
pub struct Csr {
    public_key: PublicKey,
}

impl Csr {
    /// Reads the one PEM block of `pem`, checks key and signature against the allow-lists and verifies the signature.
    ///
    /// Text around the block is fine: `openssl req -text` writes some.
    ///
    /// # Errors
    /// The rule that is broken. The text is safe to show to the caller.
    pub fn from_pem(pem: &str) -> Result<Self, CsrError> {
        if pem.len() > MAX_LEN {
            return Err(CsrError::TooLarge { len: pem.len() });
        }
        let found = pem.matches("-----BEGIN ").count();
        if found > 1 {
            return Err(CsrError::SeveralBlocks { found });
        }
        let block = pem::parse(pem).map_err(|_reader_words| CsrError::NotPem)?;
        if !LABELS.contains(&block.tag()) {
            return Err(CsrError::Label {
                found: block.tag().chars().take(40).collect(),
            });
        }
        Self::from_der(block.contents())
    }

    fn from_der(der: &[u8]) -> Result<Self, CsrError> {
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_parser_words| CsrError::Malformed)?;
        if !rest.is_empty() {
            return Err(CsrError::Malformed);
        }
        let info = &request.certification_request_info;
        let public_key = PublicKey::from_spki(info.subject_pki.raw)?;
        signature::verify(
            &public_key,
            &request.signature_algorithm,
            info.raw,
            &request.signature_value.data,
        )?;
        Ok(Self { public_key })
    }

    /// The key to be certified.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
}

/// Why a CSR is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrError {
    /// The signature is of an algorithm that the CSR's own key does not have.
    #[error("a {key} key cannot have made an {signature} signature")]
    KeyAndSignature {
        /// The key in the CSR.
        key: KeyKind,
        /// What the CSR says was used to sign it.
        signature: &'static str,
    },
    /// The PEM block holds something else.
    #[error("expected a PEM block CERTIFICATE REQUEST, found {found:?}")]
    Label {
        /// The block's label, cut to 40 characters.
        found: String,
    },
    /// The PEM block does not hold the DER of one PKCS#10 request.
    #[error("failed to parse X.509 certificate signing request")]
    Malformed,
    /// There is no PEM block.
    #[error("certificate signing request is not properly encoded")]
    NotPem,
    /// The key is not of an allowed kind.
    #[error(transparent)]
    PublicKey(#[from] PublicKeyError),
    /// There are several PEM blocks, so it is unclear which one is meant.
    #[error("expected one PEM block, found {found}")]
    SeveralBlocks {
        /// How many.
        found: usize,
    },
    /// The sender does not hold the key, or the CSR was changed on its way.
    #[error("the certificate signing request's signature does not match its public key")]
    Signature,
    /// The signature algorithm is not on the allow-list.
    #[error(
        "signatures of {name} are not accepted, use ECDSA with SHA-256 or SHA-384, or RSA with SHA-256, SHA-384 or SHA-512"
    )]
    SignatureAlgorithm {
        /// The algorithm's name, or its dotted object identifier.
        name: String,
    },
    /// The text is too long to be looked at.
    #[error("a certificate signing request has at most {MAX_LEN} bytes, this one {len}")]
    TooLarge {
        /// Bytes seen.
        len: usize,
    },
}

/// Ten times what an RSA-4096 CSR with many names needs.
const MAX_LEN: usize = 64 * 1024;

/// RFC 7468 section 7, and the older label that it wants parsers to accept.
const LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

#[cfg(test)]
mod tests;
