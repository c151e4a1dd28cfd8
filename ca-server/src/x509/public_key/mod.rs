//! Whose key is it, and is it of an allowed kind? SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), kept as raw DER.
//!
//! Only the one DER encoding of a key is accepted, so that equal keys have equal bytes and one hash.

use std::fmt;

use proto::certificate::Fingerprint;
use x509_parser::der_parser::asn1_rs::Any;
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;
use x509_parser::x509::AlgorithmIdentifier;
use x509_parser::x509::SubjectPublicKeyInfo;

/// The allowed kinds of public keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with a modulus of 2048 to 4096 bits.
    Rsa {
        /// Bits of the modulus.
        bits: usize,
    },
    /// ECDSA on NIST P-256.
    P256,
    /// ECDSA on NIST P-384.
    P384,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA-{bits}"),
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
        }
    }
}

/// A public key of an allowed kind, byte for byte as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    spki_der: Vec<u8>,
    /// Content of the subjectPublicKey BIT STRING.
    bits: Vec<u8>,
    kind: KeyKind,
}

impl PublicKey {
    /// Reads the DER of a SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// When it does not parse, or is of a kind or size that is not allowed, by name.
    pub fn from_spki(spki_der: &[u8]) -> Result<Self, PublicKeyError> {
        let (_, spki) = SubjectPublicKeyInfo::from_der(spki_der)
            .map_err(|_parser_words| PublicKeyError::Malformed)?;
        let bits = spki.subject_public_key.data.as_ref();
        let (kind, algorithm_der) = allowed_kind(&spki.algorithm, bits)?;
        // Also refuses whatever stands behind the key, and every encoding but DER.
        if encode_spki(algorithm_der, bits) != spki_der {
            return Err(PublicKeyError::Malformed);
        }
        Ok(Self {
            spki_der: spki_der.to_vec(),
            bits: bits.to_vec(),
            kind,
        })
    }

    /// The key of an uncompressed P-256 point (SEC 1 section 2.3.3), as ring gives it for a key that it made.
    ///
    /// # Errors
    /// When `point` does not have the form of one.
    pub fn from_p256_point(point: &[u8]) -> Result<Self, PublicKeyError> {
        Self::from_spki(&encode_spki(P256, point))
    }

    /// The exact DER of the SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The key itself: `RSAPublicKey` (RFC 8017 appendix A.1.1) or an uncompressed point (RFC 5480 section 2.2).
    #[must_use]
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// Kind and size.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// SHA-256 of the SubjectPublicKeyInfo: the name of the key in the ledger.
    #[must_use]
    pub fn hash(&self) -> Fingerprint {
        Fingerprint::of(&self.spki_der)
    }
}

/// Why a public key is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// An elliptic curve other than P-256 and P-384.
    #[error(
        "keys on the curve {name} are not accepted, use P-256, P-384 or RSA of 2048 to 4096 bits"
    )]
    Curve {
        /// The curve's name, or its dotted object identifier.
        name: String,
    },
    /// Neither RSA nor an elliptic curve key for ECDSA.
    #[error("{name} keys are not accepted, use P-256, P-384 or RSA of 2048 to 4096 bits")]
    Kind {
        /// The algorithm's name, or its dotted object identifier.
        name: String,
    },
    /// The bytes are not the DER of a SubjectPublicKeyInfo.
    #[error("the public key does not parse")]
    Malformed,
    /// The point is compressed, or not of the length of its curve.
    #[error("the point of a {kind} key must be uncompressed and have {expected} bytes, not {len}")]
    Point {
        /// The curve.
        kind: KeyKind,
        /// Bytes of an uncompressed point.
        expected: usize,
        /// Bytes seen.
        len: usize,
    },
    /// The exponent is even, below 3 or above 2^31-1, the most that all TLS stacks take.
    #[error("the exponent of an RSA key must be odd and from 3 to 2147483647, use 65537")]
    RsaExponent,
    /// The modulus is too short to be safe, or so long that checking signatures becomes an attack.
    #[error("an RSA key must have 2048 to 4096 bits, not {bits}")]
    RsaSize {
        /// Bits of the modulus.
        bits: usize,
    },
}

/// The kind of key, and the DER of the only `AlgorithmIdentifier` that it may have come with.
fn allowed_kind(
    algorithm: &AlgorithmIdentifier<'_>,
    bits: &[u8],
) -> Result<(KeyKind, &'static [u8]), PublicKeyError> {
    match algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.1" => {
            // RFC 3279 section 2.3.1: NULL parameters, and Go's verifiers insist on them.
            Ok((rsa_kind(bits)?, RSA))
        }
        "1.2.840.10045.2.1" => ec_kind(algorithm.parameters.as_ref(), bits),
        other => Err(PublicKeyError::Kind {
            name: algorithm_name(other).to_owned(),
        }),
    }
}

fn rsa_kind(bits: &[u8]) -> Result<KeyKind, PublicKeyError> {
    let (_, key) =
        RSAPublicKey::from_der(bits).map_err(|_parser_words| PublicKeyError::Malformed)?;
    let size = bit_length(key.modulus);
    if !(2048..=4096).contains(&size) {
        return Err(PublicKeyError::RsaSize { bits: size });
    }
    let canonical = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_bigint_bytes(key.modulus, true);
            writer.next().write_bigint_bytes(key.exponent, true);
        });
    });
    // Negative numbers come out with one more byte, so they differ too.
    if canonical != bits || key.modulus.last().is_none_or(|byte| byte % 2 == 0) {
        return Err(PublicKeyError::Malformed);
    }
    match key.try_exponent() {
        Ok(exponent) if exponent % 2 == 1 && (3..1 << 31).contains(&exponent) => {
            Ok(KeyKind::Rsa { bits: size })
        }
        _ => Err(PublicKeyError::RsaExponent),
    }
}

fn bit_length(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let first = number.get(zeros).map_or(0, |byte| byte.leading_zeros());
    let first = usize::try_from(first).unwrap_or(0);
    ((number.len() - zeros) * 8).saturating_sub(first)
}

fn ec_kind(
    parameters: Option<&Any<'_>>,
    bits: &[u8],
) -> Result<(KeyKind, &'static [u8]), PublicKeyError> {
    // RFC 5480 section 2.1.1: a named curve, never explicit parameters.
    let curve = parameters
        .filter(|any| any.tag() == Tag::Oid)
        .and_then(|any| any.as_oid().ok())
        .map_or_else(
            || "with explicit parameters".to_owned(),
            |oid| oid.to_id_string(),
        );
    let (kind, algorithm_der, expected) = match curve.as_str() {
        "1.2.840.10045.3.1.7" => (KeyKind::P256, P256, 65),
        "1.3.132.0.34" => (KeyKind::P384, P384, 97),
        other => {
            return Err(PublicKeyError::Curve {
                name: curve_name(other).to_owned(),
            });
        }
    };
    if bits.len() != expected || bits.first() != Some(&4) {
        return Err(PublicKeyError::Point {
            kind,
            expected,
            len: bits.len(),
        });
    }
    Ok((kind, algorithm_der))
}

fn encode_spki(algorithm_der: &[u8], bits: &[u8]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_der(algorithm_der);
            writer.next().write_bitvec_bytes(bits, bits.len() * 8);
        });
    })
}

fn algorithm_name(oid: &str) -> &str {
    match oid {
        "1.2.840.113549.1.1.7" => "RSAES-OAEP",
        "1.2.840.113549.1.1.10" => "RSASSA-PSS",
        "1.2.840.10040.4.1" => "DSA",
        "1.2.840.10046.2.1" => "DH",
        "1.3.101.110" => "X25519",
        "1.3.101.111" => "X448",
        "1.3.101.112" => "Ed25519",
        "1.3.101.113" => "Ed448",
        other => other,
    }
}

fn curve_name(oid: &str) -> &str {
    match oid {
        "1.2.840.10045.3.1.1" => "P-192",
        "1.3.132.0.33" => "P-224",
        "1.3.132.0.35" => "P-521",
        "1.3.132.0.10" => "secp256k1",
        "1.3.36.3.3.2.8.1.1.7" => "brainpoolP256r1",
        "1.3.36.3.3.2.8.1.1.11" => "brainpoolP384r1",
        "1.3.36.3.3.2.8.1.1.13" => "brainpoolP512r1",
        other => other,
    }
}

// AlgorithmIdentifiers as RFC 3279 section 2.3.1 and RFC 5480 section 2.1.1 write them.
const RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
const P256: &[u8] =
    b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384: &[u8] = b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";

#[cfg(test)]
mod tests;
