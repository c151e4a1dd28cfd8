//! Which private key is in this file? PEM in the forms that CAs are handed around in.
//!
//! `PRIVATE KEY`, `RSA PRIVATE KEY` and `EC PRIVATE KEY`; other blocks around it are passed over.

use std::fmt;

use pem::Pem;
use zeroize::Zeroizing;

use super::KeyError;
use super::decode;
use super::decode::Curve;
use crate::authority::pem_blocks::pem_blocks;

/// A private key as it came from its file, not yet tied to a certificate.
pub enum PrivateKey {
    /// DER of an `RSAPrivateKey` (RFC 8017 appendix A.1.2).
    Rsa(Zeroizing<Vec<u8>>),
    /// An elliptic curve key (RFC 5915).
    Ec {
        /// The secret number, most significant byte first.
        scalar: Zeroizing<Vec<u8>>,
        /// The curve, where the file names it.
        curve: Option<Curve>,
    },
}

impl PrivateKey {
    /// Reads the one private key of `file`.
    ///
    /// # Errors
    /// When there is none or more than one, it needs a passphrase, or is of a kind that does not sign here.
    pub fn from_pem(file: &[u8]) -> Result<Self, KeyError> {
        let blocks: Vec<Pem> = pem_blocks(file)
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|error| KeyError::NotPem {
                reason: error.to_string(),
            })?;
        let labels: Vec<&str> = blocks.iter().map(Pem::tag).collect();
        let found = match labels.is_empty() {
            true => "no PEM block".to_owned(),
            false => labels.join(", "),
        };
        let curve = named_curve(&blocks)?;
        let mut keys: Vec<Pem> = blocks.into_iter().filter(is_private_key).collect();
        match (keys.pop(), keys.len()) {
            (None, _) => Err(KeyError::NoKey { found }),
            (Some(key), 0) => read(key, curve),
            (Some(_), others) => Err(KeyError::Several { count: others + 1 }),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(_) => f.write_str("PrivateKey(RSA)"),
            Self::Ec { curve, .. } => write!(f, "PrivateKey(EC, {curve:?})"),
        }
    }
}

fn is_private_key(block: &Pem) -> bool {
    block.tag().ends_with("PRIVATE KEY")
}

/// The curve of an `EC PARAMETERS` block, which `openssl ecparam -genkey` writes before the key.
fn named_curve(blocks: &[Pem]) -> Result<Option<Curve>, KeyError> {
    let parameters = blocks.iter().find(|block| block.tag() == "EC PARAMETERS");
    decode::curve_of(parameters.map(Pem::contents))
}

fn read(key: Pem, curve: Option<Curve>) -> Result<PrivateKey, KeyError> {
    let label = key.tag().to_owned();
    // RFC 1421 section 4.6.1.1: the older form of a key with a passphrase.
    let proc_type = key.headers().get("Proc-Type").unwrap_or("").to_owned();
    let der = Zeroizing::new(key.into_contents());
    if proc_type.contains("ENCRYPTED") {
        return Err(KeyError::Encrypted);
    }
    match label.as_str() {
        "PRIVATE KEY" => decode::pkcs8(&der),
        "RSA PRIVATE KEY" => decode::pkcs1(&der),
        "EC PRIVATE KEY" => decode::sec1(&der, curve),
        "ENCRYPTED PRIVATE KEY" => Err(KeyError::Encrypted),
        _ => Err(KeyError::Unsupported { kind: label }),
    }
}
