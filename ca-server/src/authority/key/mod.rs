//! Which key signs? The issuer's private key, tied to the certificate that it belongs to.
//!
//! A key exists only together with the public key it was found to match. Its bytes are never shown.

use std::fmt;

use proto::certificate::Certificate;
use rcgen::PKCS_ECDSA_P256_SHA256;
use rcgen::PKCS_ECDSA_P384_SHA384;
use rcgen::PKCS_RSA_SHA256;
use rcgen::PublicKeyData;
use rcgen::SignatureAlgorithm;
use rcgen::SigningKey;
use ring::rand::SystemRandom;
use ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use ring::signature::ECDSA_P384_SHA384_ASN1_SIGNING;
use ring::signature::EcdsaKeyPair;
use ring::signature::EcdsaSigningAlgorithm;
use ring::signature::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use ring::signature::RsaKeyPair;
use zeroize::Zeroizing;

use crate::x509::KeyKind;
use crate::x509::PublicKey;
use crate::x509::public_key::PublicKeyError;

mod decode;
mod file;

pub use decode::Curve;
pub use file::PrivateKey;

/// A private key that signs leaves: RSA of 2048 to 4096 bits, P-256 or P-384.
pub struct IssuerKey {
    kind: KeyKind,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(Box<EcdsaKeyPair>),
}

impl IssuerKey {
    /// Ties `private` to the public key of `issuer`.
    ///
    /// # Errors
    /// When the two do not belong together, or the key is of a kind that does not sign here.
    pub fn of_issuer(private: &PrivateKey, issuer: &Certificate) -> Result<Self, KeyError> {
        let public = PublicKey::from_spki(&issuer.facts().spki_der)?;
        let bits = public.bits();
        let pair = match (private, public.kind()) {
            (PrivateKey::Rsa(pkcs1), KeyKind::Rsa { .. }) => rsa_pair(pkcs1, bits)?,
            (PrivateKey::Ec { scalar, curve }, KeyKind::P256) => {
                ecdsa_pair(scalar, *curve, Curve::P256, bits)?
            }
            (PrivateKey::Ec { scalar, curve }, KeyKind::P384) => {
                ecdsa_pair(scalar, *curve, Curve::P384, bits)?
            }
            (PrivateKey::Rsa(_) | PrivateKey::Ec { .. }, _) => return Err(KeyError::Mismatch),
        };
        Ok(Self {
            kind: public.kind(),
            pair,
        })
    }

    /// Kind and size.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// DER of the `AlgorithmIdentifier` of this key's signatures (RFC 4055 section 5, RFC 5758 section 3.2).
    #[must_use]
    pub fn signature_algorithm_der(&self) -> &'static [u8] {
        match self.kind {
            KeyKind::Rsa { .. } => SHA256_WITH_RSA,
            KeyKind::P256 => ECDSA_WITH_SHA256,
            KeyKind::P384 => ECDSA_WITH_SHA384,
        }
    }

    /// Signs `message`: RSA PKCS#1 with SHA-256, or ECDSA with the hash of the curve's size.
    ///
    /// # Errors
    /// When the key refuses; nothing was signed then.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map(|()| signature)
            }
            Pair::Ecdsa(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec()),
        }
        .map_err(|_unspecified| KeyError::DidNotSign)
    }
}

/// So that a CA in files can sign another CA, whatever the form of its key.
impl PublicKeyData for IssuerKey {
    fn der_bytes(&self) -> &[u8] {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref(),
            Pair::Ecdsa(pair) => pair.public_key().as_ref(),
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.kind {
            KeyKind::Rsa { .. } => &PKCS_RSA_SHA256,
            KeyKind::P256 => &PKCS_ECDSA_P256_SHA256,
            KeyKind::P384 => &PKCS_ECDSA_P384_SHA384,
        }
    }
}

impl SigningKey for IssuerKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Self::sign(self, message).map_err(|_did_not_sign| rcgen::Error::RemoteKeyError)
    }
}

impl fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerKey")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Why a private key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key refused to sign.
    #[error("the private key did not sign")]
    DidNotSign,
    /// The file needs a passphrase.
    #[error("the private key is encrypted, and nobody is there to type the passphrase")]
    Encrypted,
    /// The file has an `EC PARAMETERS` block that spells the curve out instead of naming it.
    #[error("the curve is given by explicit parameters, expected a named curve")]
    ExplicitCurve,
    /// The bytes are not what the block's label promises.
    #[error("the {label} block does not parse as a private key")]
    Malformed {
        /// The label of the PEM block.
        label: String,
    },
    /// Key and certificate do not belong together.
    #[error("the private key is not that of the certificate")]
    Mismatch,
    /// There is no private key in the file.
    #[error("no private key found, the file has: {found}")]
    NoKey {
        /// The labels of the blocks that are there.
        found: String,
    },
    /// The file is not PEM.
    #[error("not PEM: {reason}")]
    NotPem {
        /// The PEM reader's words.
        reason: String,
    },
    /// The certificate's public key is of a kind that cannot sign here.
    #[error(transparent)]
    PublicKey(#[from] PublicKeyError),
    /// There is more than one private key in the file.
    #[error("expected one private key, the file has {count}")]
    Several {
        /// How many.
        count: usize,
    },
    /// A private key of a kind that does not sign here.
    #[error("{kind} keys are not supported, use RSA with 2048 to 4096 bits, P-256 or P-384")]
    Unsupported {
        /// The kind as people call it.
        kind: String,
    },
}

fn rsa_pair(pkcs1: &[u8], public: &[u8]) -> Result<Pair, KeyError> {
    let pair = RsaKeyPair::from_der(pkcs1).map_err(|_rejected| malformed("RSA PRIVATE KEY"))?;
    // Both are the DER of an RSAPublicKey: the same bytes for the same modulus and exponent.
    match pair.public_key().as_ref() == public {
        true => Ok(Pair::Rsa(Box::new(pair))),
        false => Err(KeyError::Mismatch),
    }
}

fn ecdsa_pair(
    scalar: &[u8],
    claimed: Option<Curve>,
    curve: Curve,
    point: &[u8],
) -> Result<Pair, KeyError> {
    if claimed.is_some_and(|claimed| claimed != curve) {
        return Err(KeyError::Mismatch);
    }
    let scalar = fit(scalar, curve.scalar_len()).ok_or(KeyError::Mismatch)?;
    // Refuses a point that is not the scalar's, which is the test that key and certificate match.
    EcdsaKeyPair::from_private_key_and_public_key(
        signing_algorithm(curve),
        &scalar,
        point,
        &SystemRandom::new(),
    )
    .map(|pair| Pair::Ecdsa(Box::new(pair)))
    .map_err(|_rejected| KeyError::Mismatch)
}

fn signing_algorithm(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
        Curve::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
    }
}

/// RFC 5915 section 3 wants the scalar padded to the curve's length; some writers drop leading zeros.
fn fit(scalar: &[u8], len: usize) -> Option<Zeroizing<Vec<u8>>> {
    let start = scalar
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(scalar.len());
    let digits = scalar.get(start..)?;
    let mut fitted = Zeroizing::new(vec![0; len.checked_sub(digits.len())?]);
    fitted.extend_from_slice(digits);
    Some(fitted)
}

fn malformed(label: &str) -> KeyError {
    KeyError::Malformed {
        label: label.to_owned(),
    }
}

/// SEQUENCE { OBJECT IDENTIFIER sha256WithRSAEncryption, NULL }
const SHA256_WITH_RSA: &[u8] = &[
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00,
];
/// SEQUENCE { OBJECT IDENTIFIER ecdsa-with-SHA256 }
const ECDSA_WITH_SHA256: &[u8] = &[
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
];
/// SEQUENCE { OBJECT IDENTIFIER ecdsa-with-SHA384 }
const ECDSA_WITH_SHA384: &[u8] = &[
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03,
];

#[cfg(test)]
mod tests;
