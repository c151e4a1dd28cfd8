//! Of which kind is this key? Its algorithm and size; of a private key nothing else is kept.

use std::fmt;

use x509_parser::der_parser::asn1_rs::Any;
use x509_parser::der_parser::asn1_rs::Oid;
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::prelude::FromDer;

/// The kind of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// RSA with a modulus of so many bits.
    Rsa {
        /// Bits of the modulus.
        bits: usize,
    },
    /// On a named elliptic curve.
    Ec {
        /// Such as `P-256`, or a dotted object identifier.
        curve: String,
    },
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// Encrypted: its kind cannot be seen.
    Encrypted,
    /// In OpenSSH's own format.
    OpenSsh,
    /// Of an algorithm that is not known here.
    Other {
        /// Dotted object identifier.
        algorithm: String,
    },
    /// Not readable.
    Unknown,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA-{bits}"),
            Self::Ec { curve } => write!(f, "EC {curve}"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Encrypted => f.write_str("encrypted, of unknown kind"),
            Self::OpenSsh => f.write_str("in OpenSSH's format"),
            Self::Other { algorithm } => write!(f, "of algorithm {algorithm}"),
            Self::Unknown => f.write_str("of unknown kind"),
        }
    }
}

/// A `SubjectPublicKeyInfo` (RFC 5280 section 4.1).
pub(super) fn public(der: &[u8]) -> Option<KeyKind> {
    let [algorithm, bits] = items(der)?.try_into().ok()?;
    let kind = algorithm_kind(&algorithm, || {
        let key = bits.data.strip_prefix(&[0])?;
        items(key)?.first().map(modulus_bits)
    })?;
    (bits.tag() == Tag::BitString).then_some(kind)
}

/// A `PrivateKeyInfo` (RFC 5208 section 5).
pub(super) fn pkcs8(der: &[u8]) -> Option<KeyKind> {
    let parts = items(der)?;
    let [version, algorithm, key, ..] = parts.as_slice() else {
        return None;
    };
    if version.tag() != Tag::Integer || key.tag() != Tag::OctetString {
        return None;
    }
    algorithm_kind(algorithm, || items(key.data)?.get(1).map(modulus_bits))
}

/// An `RSAPrivateKey` (RFC 8017 appendix A.1.2).
pub(super) fn pkcs1(der: &[u8]) -> Option<KeyKind> {
    let parts = items(der)?;
    let all_integers = parts.iter().all(|part| part.tag() == Tag::Integer);
    let bits = modulus_bits(parts.get(1)?);
    (all_integers && parts.len() == 9).then_some(KeyKind::Rsa { bits })
}

/// An `ECPrivateKey` (RFC 5915 section 3).
pub(super) fn sec1(der: &[u8]) -> Option<KeyKind> {
    let parts = items(der)?;
    let [version, key, ..] = parts.as_slice() else {
        return None;
    };
    if version.tag() != Tag::Integer || key.tag() != Tag::OctetString {
        return None;
    }
    let parameters = parts.iter().find(|part| part.tag() == Tag(0));
    let curve = parameters.and_then(|part| Oid::from_der(part.data).ok());
    Some(match curve {
        Some((_, curve)) => KeyKind::Ec {
            curve: curve_name(&curve.to_id_string()),
        },
        None => KeyKind::Ec {
            curve: "of an unnamed curve".to_owned(),
        },
    })
}

/// The DER SEQUENCE at the start of `bytes`, if it is whole, and what follows.
pub(super) fn first_sequence(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, any) = Any::from_der(bytes).ok()?;
    let der = bytes.get(..bytes.len() - rest.len())?;
    (any.tag() == Tag::Sequence && items(der).is_some()).then_some((der, rest))
}

fn algorithm_kind(
    algorithm: &Any<'_>,
    rsa_bits: impl FnOnce() -> Option<usize>,
) -> Option<KeyKind> {
    let (parameters, oid) = Oid::from_der(algorithm.data).ok()?;
    Some(match oid.to_id_string().as_str() {
        RSA => KeyKind::Rsa { bits: rsa_bits()? },
        EC => {
            let (_, curve) = Oid::from_der(parameters).ok()?;
            KeyKind::Ec {
                curve: curve_name(&curve.to_id_string()),
            }
        }
        ED25519 => KeyKind::Ed25519,
        other => KeyKind::Other {
            algorithm: other.to_owned(),
        },
    })
}

fn curve_name(oid: &str) -> String {
    let known = CURVES.iter().find(|(known, _)| *known == oid);
    known.map_or(oid, |(_, name)| name).to_owned()
}

/// Bits of a positive INTEGER.
fn modulus_bits(integer: &Any<'_>) -> usize {
    let significant = integer.data.iter().skip_while(|octet| **octet == 0);
    let mut octets = significant.clone();
    let leading = octets.next().map_or(0, |octet| octet.leading_zeros());
    let unused = usize::try_from(leading).unwrap_or(0);
    (significant.count() * 8).saturating_sub(unused)
}

/// What one SEQUENCE that is all of `der` consists of.
fn items(der: &[u8]) -> Option<Vec<Any<'_>>> {
    let (rest, sequence) = Any::from_der(der).ok()?;
    if !rest.is_empty() || sequence.tag() != Tag::Sequence {
        return None;
    }
    let mut items = Vec::new();
    let mut rest = sequence.data;
    while !rest.is_empty() {
        let (after, item) = Any::from_der(rest).ok()?;
        items.push(item);
        rest = after;
    }
    Some(items)
}

// RFC 3279 sections 2.3.1 and 2.3.5, RFC 8410 section 3, RFC 5480 section 2.1.1.1.
const RSA: &str = "1.2.840.113549.1.1.1";
const EC: &str = "1.2.840.10045.2.1";
const ED25519: &str = "1.3.101.112";
const CURVES: &[(&str, &str)] = &[
    ("1.2.840.10045.3.1.7", "P-256"),
    ("1.3.132.0.34", "P-384"),
    ("1.3.132.0.35", "P-521"),
    ("1.3.132.0.10", "secp256k1"),
];
