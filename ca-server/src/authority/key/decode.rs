//! What does this private key's DER say? PKCS#8 (RFC 5958), SEC1 (RFC 5915) and the head of PKCS#1 (RFC 8017).
//!
//! Finds kind, curve and secret; whether the key is any good is for the cryptography library to say.

use yasna::ASN1Result;
use yasna::BERReaderSeq;
use yasna::Tag;
use yasna::models::ObjectIdentifier;
use zeroize::Zeroizing;

use super::KeyError;
use super::PrivateKey;
use super::malformed;

/// A curve of NIST that leaves may be signed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// secp256r1.
    P256,
    /// secp384r1.
    P384,
}

impl Curve {
    /// Bytes of a private scalar.
    #[must_use]
    pub fn scalar_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    fn from_oid(oid: &ObjectIdentifier) -> Result<Self, KeyError> {
        match dotted(oid).as_str() {
            "1.2.840.10045.3.1.7" => Ok(Self::P256),
            "1.3.132.0.34" => Ok(Self::P384),
            "1.3.132.0.35" => Err(unsupported("P-521")),
            "1.2.840.10045.3.1.1" => Err(unsupported("P-192")),
            "1.3.132.0.33" => Err(unsupported("P-224")),
            "1.3.132.0.10" => Err(unsupported("secp256k1")),
            other => Err(unsupported(&format!("EC (curve {other})"))),
        }
    }
}

/// Reads a `PRIVATE KEY` block: an algorithm around the key's own format.
pub(super) fn pkcs8(der: &[u8]) -> Result<PrivateKey, KeyError> {
    let (algorithm, parameters, inner) = yasna::parse_der(der, |reader| {
        reader.read_sequence(|reader| {
            reader.next().read_u8()?;
            let (algorithm, parameters) = reader.next().read_sequence(|reader| {
                let algorithm = reader.next().read_oid()?;
                Ok((algorithm, reader.read_optional(|value| value.read_der())?))
            })?;
            let inner = Zeroizing::new(reader.next().read_bytes()?);
            skip_rest(reader)?;
            Ok((algorithm, parameters, inner))
        })
    })
    .map_err(|_asn1| malformed("PRIVATE KEY"))?;
    match dotted(&algorithm).as_str() {
        "1.2.840.113549.1.1.1" => pkcs1(&inner),
        "1.2.840.10045.2.1" => sec1(&inner, curve_of(parameters.as_deref())?),
        "1.2.840.113549.1.1.10" => Err(unsupported("RSA-PSS")),
        "1.3.101.112" => Err(unsupported("Ed25519")),
        "1.3.101.113" => Err(unsupported("Ed448")),
        "1.2.840.10040.4.1" => Err(unsupported("DSA")),
        other => Err(unsupported(&format!("algorithm {other}"))),
    }
}

/// Reads an `RSA PRIVATE KEY` block, or what is inside a `PRIVATE KEY`.
pub(super) fn pkcs1(der: &[u8]) -> Result<PrivateKey, KeyError> {
    let modulus = yasna::parse_der(der, |reader| {
        reader.read_sequence(|reader| {
            reader.next().read_u8()?;
            let (modulus, _) = reader.next().read_bigint_bytes()?;
            while let Some(number) = reader.read_optional(|value| value.read_der())? {
                drop(Zeroizing::new(number));
            }
            Ok(modulus)
        })
    })
    .map_err(|_asn1| malformed("RSA PRIVATE KEY"))?;
    match bits(&modulus) {
        2048..=4096 => Ok(PrivateKey::Rsa(Zeroizing::new(der.to_vec()))),
        bits => Err(unsupported(&format!("RSA-{bits}"))),
    }
}

/// Reads an `EC PRIVATE KEY` block, or what is inside a `PRIVATE KEY`. `outer` is the curve named
/// around it, `None` when none is.
pub(super) fn sec1(der: &[u8], outer: Option<Curve>) -> Result<PrivateKey, KeyError> {
    let (scalar, parameters) = yasna::parse_der(der, |reader| {
        reader.read_sequence(|reader| {
            reader.next().read_u8()?;
            let scalar = Zeroizing::new(reader.next().read_bytes()?);
            let parameters = reader.read_optional(|value| {
                value.read_tagged(Tag::context(0), |value| value.read_der())
            })?;
            skip_rest(reader)?;
            Ok((scalar, parameters))
        })
    })
    .map_err(|_asn1| malformed("EC PRIVATE KEY"))?;
    let curve = curve_of(parameters.as_deref())?.or(outer);
    Ok(PrivateKey::Ec { scalar, curve })
}

/// Reads the curve's name (RFC 5480 section 2.1.1), where there is one.
pub(super) fn curve_of(parameters: Option<&[u8]>) -> Result<Option<Curve>, KeyError> {
    let Some(parameters) = parameters else {
        return Ok(None);
    };
    yasna::parse_der(parameters, |reader| reader.read_oid())
        .map_err(|_not_a_name| KeyError::ExplicitCurve)
        .and_then(|oid| Curve::from_oid(&oid))
        .map(Some)
}

fn skip_rest(reader: &mut BERReaderSeq<'_, '_>) -> ASN1Result<()> {
    while reader.read_optional(|value| value.read_der())?.is_some() {}
    Ok(())
}

fn bits(number: &[u8]) -> usize {
    let mut digits = number.iter().skip_while(|byte| **byte == 0);
    match digits.next() {
        Some(first) => (8 - first.leading_zeros() as usize) + 8 * digits.count(),
        None => 0,
    }
}

fn dotted(oid: &ObjectIdentifier) -> String {
    let parts: Vec<String> = oid.components().iter().map(u64::to_string).collect();
    parts.join(".")
}

fn unsupported(kind: &str) -> KeyError {
    KeyError::Unsupported {
        kind: kind.to_owned(),
    }
}
