//! Which public keys does a token issuer sign with? A JWK Set file (RFC 7517), re-read when it changes.
//!
//! A bad file never replaces good keys.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::AlgorithmParameters;
use jsonwebtoken::jwk::Jwk;
use proto::certificate::Fingerprint;
use serde::Deserialize;

/// The keys of one file, as they were when it was last good.
pub struct JwksFile {
    path: PathBuf,
    current: ArcSwap<Loaded>,
}

impl JwksFile {
    /// Reads `path` for the first time.
    ///
    /// # Errors
    /// When the file cannot be read or holds no usable key.
    pub fn open(path: &Path) -> Result<Self, JwksError> {
        let loaded = Loaded::read(path)?;
        Ok(Self {
            path: path.to_owned(),
            current: ArcSwap::from_pointee(loaded),
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file again and says whether its content was another one.
    ///
    /// # Errors
    /// The keys stay what they were.
    pub fn refresh(&self) -> Result<bool, JwksError> {
        let loaded = Loaded::read(&self.path)?;
        if loaded.content == self.current.load().content {
            return Ok(false);
        }
        self.current.store(Arc::new(loaded));
        Ok(true)
    }

    /// The keys that a token with this `kid` may be signed with: those of that name, and those without a name.
    pub(super) fn candidates(&self, kid: Option<&str>) -> Vec<Key> {
        let loaded = self.current.load();
        let fits = |key: &&Key| match (kid, key.kid.as_deref()) {
            (Some(wanted), Some(name)) => wanted == name,
            _ => true,
        };
        loaded.keys.iter().filter(fits).cloned().collect()
    }
}

impl std::fmt::Debug for JwksFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwksFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// One public key.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) kid: Option<String>,
    pub(super) family: Family,
    /// The one algorithm that the issuer binds the key to, where it does.
    pub(super) algorithm: Option<String>,
    pub(super) decoding: DecodingKey,
}

/// Which algorithms a key can verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Rsa,
    P256,
    P384,
}

struct Loaded {
    content: Fingerprint,
    keys: Vec<Key>,
}

impl Loaded {
    fn read(path: &Path) -> Result<Self, JwksError> {
        let bytes = fs::read(path).map_err(|source| JwksError::Read {
            path: path.to_owned(),
            source,
        })?;
        let set: JwkSet =
            serde_json::from_slice(&bytes).map_err(|source| JwksError::Malformed {
                path: path.to_owned(),
                source,
            })?;
        // RFC 7517 section 5: keys of unknown kinds are ignored, not an error.
        let keys: Vec<Key> = set.keys.into_iter().filter_map(key).collect();
        if keys.is_empty() {
            return Err(JwksError::NoUsableKey {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            content: Fingerprint::of(&bytes),
            keys,
        })
    }
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<serde_json::Value>,
}

fn key(value: serde_json::Value) -> Option<Key> {
    if value.get("use").is_some_and(|usage| usage != "sig") {
        return None;
    }
    let algorithm = value
        .get("alg")
        .and_then(|alg| alg.as_str())
        .map(str::to_owned);
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let family = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Family::Rsa,
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            jsonwebtoken::jwk::EllipticCurve::P256 => Family::P256,
            jsonwebtoken::jwk::EllipticCurve::P384 => Family::P384,
            _ => return None,
        },
        // A shared secret in a JWK Set would let every reader of the file sign tokens.
        AlgorithmParameters::OctetKey(_) | AlgorithmParameters::OctetKeyPair(_) => return None,
    };
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    Some(Key {
        kid: jwk.common.key_id,
        family,
        algorithm,
        decoding,
    })
}

/// Why a JWK Set file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwksError {
    /// The file is not a JWK Set.
    #[error("{} is not a JWK Set: expected {{\"keys\": […]}}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The reader's words.
        source: serde_json::Error,
    },
    /// None of the keys can verify a signature that we accept.
    #[error("{} holds no RSA, P-256 or P-384 key for signatures", path.display())]
    NoUsableKey {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}
