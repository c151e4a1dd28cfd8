//! Who holds what? The evidence on which trust may change: for each issuer, trust bundle and agent, until when
//! leaves live, and what the agent said it uses.
//!
//! Kept beside the leaves and written in the same batch as an intent, so that a question about all live leaves is
//! not a walk over all leaves.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use proto::spiffe::SpiffeId;
use serde::Deserialize;
use serde::Serialize;

use crate::x509::Serial;

/// Names one agent and its files, drawn at random by the agent and kept with them. Not a secret, and worth nothing
/// without the SPIFFE ID that it was first seen with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InstanceId([u8; 16]);

impl InstanceId {
    /// The 16 octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for InstanceId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for InstanceId {
    /// 32 lower-case hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceId({self})")
    }
}

impl FromStr for InstanceId {
    type Err = InstanceIdError;

    /// Accepts exactly 32 lower-case hex digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        if text.len() != 32 || !text.bytes().all(is_hex) {
            return Err(InstanceIdError);
        }
        u128::from_str_radix(text, 16)
            .map(|value| Self(value.to_be_bytes()))
            .map_err(|_not_hex| InstanceIdError)
    }
}

/// The text is not an instance id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an instance id is 32 lower-case hex digits")]
pub struct InstanceIdError;

/// Under which signer, and with which trust bundle, leaves are issued now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// SHA-256 of the issuing certificate.
    pub issuer: Fingerprint,
    /// Number of the trust bundle that is delivered with each leaf.
    pub bundle: u64,
}

/// An agent says what it uses: the trust bundle and the leaf that its workloads are served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Which agent.
    pub instance: InstanceId,
    /// Who it proved to be when it said so.
    pub spiffe_id: SpiffeId,
    /// Number of the trust bundle in use. The last word counts, not the highest: a disk may be put back.
    pub bundle: u64,
    /// The leaf in use, once there is one.
    pub serial: Option<Serial>,
    /// When it said so.
    pub at: SystemTime,
    /// Two agents use this id at once, so that neither speaks for the other.
    pub shared: bool,
}

/// Leaves of one issuer that may be alive, delivered with one trust bundle to one agent, or to all callers who name
/// no instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// SHA-256 of the issuing certificate.
    pub issuer: Fingerprint,
    /// SHA-256 of the root that anchors it.
    pub root: Fingerprint,
    /// Number of the trust bundle that was delivered with them.
    pub bundle: u64,
    /// Who has them; `None` for callers who name no instance.
    pub holder: Option<Holder>,
    /// The last second of the longest-lived of them.
    pub last_second: SystemTime,
}

/// An agent, and what it acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Which agent.
    pub instance: InstanceId,
    /// Whose leaves they are.
    pub spiffe_id: SpiffeId,
    /// What it said last under this SPIFFE ID.
    pub acknowledged: Option<Acknowledgement>,
    /// The leaf that was reserved last for it, and SHA-256 of the root above that. Whether it was signed and arrived is not
    /// known here; until its agent says so, what it said of an earlier leaf proves nothing about the later one.
    pub newest: Option<(Serial, Fingerprint)>,
}
