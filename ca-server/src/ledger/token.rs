//! What is an enrolment token, once its secret is taken away? As it is stored and shown.

use std::fmt;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use proto::spiffe::SpiffeId;
use serde::Deserialize;
use serde::Serialize;

use crate::x509::Serial;

/// Names an enrolment token without being its secret. Ids sort by time of creation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TokenId(pub [u8; 16]);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({self})")
    }
}

/// A one-time enrolment token as it is stored: without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its name.
    pub id: TokenId,
    /// SHA-256 of the secret.
    pub secret_hash: Fingerprint,
    /// Who its holder may enrol as.
    pub spiffe_id: SpiffeId,
    /// When it was made.
    pub created_at: SystemTime,
    /// When it stops being of use.
    pub expires_at: SystemTime,
    /// Whether an operator withdrew it.
    pub revoked: bool,
    /// What it was spent on.
    pub spent: Option<Spent>,
}

/// What a token was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// The leaf's serial.
    pub serial: Serial,
    /// SHA-256 of the leaf's SubjectPublicKeyInfo.
    pub key: Fingerprint,
}
