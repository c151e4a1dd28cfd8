//! How do other trust domains read our roots? As a JWK Set (RFC 7517; SPIFFE Trust Domain and Bundle sections 4 to 6).
//!
//! The document is a function of roots and number alone, so that two documents of one number are the same.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use proto::certificate::Certificate;
use proto::certificate::Fingerprint;
use serde::Serialize;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// How often others are to ask for the bundle. No root signs before three of these have passed since it was published,
/// as long as somebody asks.
pub const REFRESH_HINT: Duration = Duration::from_secs(5 * 60);
/// The same while there is more than one root, as in a rotation: one of them is to go.
pub const SHORT_REFRESH_HINT: Duration = Duration::from_secs(30);

/// The SPIFFE bundle with `roots` in their order, under the trust bundle's number.
///
/// # Errors
/// When a root's key cannot be said as a JWK. A bundle without that root would be a lie.
pub fn encode(roots: &[Certificate], number: u64) -> Result<String, SpiffeBundleError> {
    let keys = roots.iter().map(Jwk::of).collect::<Result<Vec<_>, _>>()?;
    let document = Document {
        spiffe_sequence: number,
        spiffe_refresh_hint: refresh_hint(roots).as_secs(),
        keys,
    };
    Ok(serde_json::to_string(&document)?)
}

fn refresh_hint(roots: &[Certificate]) -> Duration {
    match roots.len() {
        0 | 1 => REFRESH_HINT,
        _ => SHORT_REFRESH_HINT,
    }
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpiffeBundleError {
    /// A root has a key of another kind.
    #[error(
        "the key of root {root} cannot be said as a JWK: expected RSA, P-256, P-384, P-521 or Ed25519"
    )]
    Key {
        /// SHA-256 of the root.
        root: Fingerprint,
    },
    /// It could not be written as JSON; does not happen.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct Document {
    spiffe_sequence: u64,
    /// Seconds.
    spiffe_refresh_hint: u64,
    keys: Vec<Jwk>,
}

/// A root. It has no `kid`: a certificate brings its own name for its key (section 6 of X509-SVID).
#[derive(Serialize)]
struct Jwk {
    #[serde(flatten)]
    key: Key,
    #[serde(rename = "use")]
    purpose: &'static str,
    /// DER in standard base64, not in the one for URLs (RFC 7517 section 4.7).
    x5c: [String; 1],
}

/// RFC 7518 section 6, RFC 8037 section 2. Everything in base64 for URLs.
#[derive(Serialize)]
#[serde(tag = "kty")]
enum Key {
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
    #[serde(rename = "EC")]
    Ec {
        crv: &'static str,
        x: String,
        y: String,
    },
    #[serde(rename = "OKP")]
    Okp { crv: &'static str, x: String },
}

impl Jwk {
    fn of(root: &Certificate) -> Result<Self, SpiffeBundleError> {
        let key = Key::of(&root.facts().spki_der).ok_or_else(|| SpiffeBundleError::Key {
            root: root.fingerprint(),
        })?;
        Ok(Self {
            key,
            purpose: "x509-svid",
            x5c: [BASE64_STANDARD.encode(root.der())],
        })
    }
}

impl Key {
    fn of(spki_der: &[u8]) -> Option<Self> {
        let (_, spki) = SubjectPublicKeyInfo::from_der(spki_der).ok()?;
        match spki.parsed().ok()? {
            PublicKey::RSA(key) => Some(Self::Rsa {
                n: unsigned(key.modulus),
                e: unsigned(key.exponent),
            }),
            PublicKey::EC(point) => {
                let curve = spki.algorithm.parameters.as_ref()?.as_oid().ok()?;
                Self::of_point(&curve.to_id_string(), point.data())
            }
            PublicKey::Unknown(key) if spki.algorithm.algorithm.to_id_string() == ED25519 => {
                Some(Self::Okp {
                    crv: "Ed25519",
                    x: BASE64_URL_SAFE_NO_PAD.encode(key),
                })
            }
            _ => None,
        }
    }

    /// Both halves have the length of the curve's field, zeros included (RFC 7518 section 6.2.1.2).
    fn of_point(curve: &str, point: &[u8]) -> Option<Self> {
        let (_, crv, len) = CURVES.iter().find(|(oid, ..)| *oid == curve)?;
        let (format, halves) = point.split_first()?;
        if *format != UNCOMPRESSED || halves.len() != 2 * len {
            return None;
        }
        let (x, y) = halves.split_at(*len);
        Some(Self::Ec {
            crv,
            x: BASE64_URL_SAFE_NO_PAD.encode(x),
            y: BASE64_URL_SAFE_NO_PAD.encode(y),
        })
    }
}

/// Without the zero that DER puts before a high bit (RFC 7518 section 2, `Base64urlUInt`).
fn unsigned(integer: &[u8]) -> String {
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    BASE64_URL_SAFE_NO_PAD.encode(integer.get(zeros..).unwrap_or_default())
}

/// Identifier, name and length of a coordinate.
const CURVES: [(&str, &str, usize); 3] = [
    ("1.2.840.10045.3.1.7", "P-256", 32),
    ("1.3.132.0.34", "P-384", 48),
    ("1.3.132.0.35", "P-521", 66),
];
const ED25519: &str = "1.3.101.112";
/// SEC 1 section 2.3.3.
const UNCOMPRESSED: u8 = 4;

#[cfg(test)]
mod tests;
