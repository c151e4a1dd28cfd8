//! What is about to be signed, for whom, and on what evidence? An entry before there is a leaf.

use std::fmt;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use serde::Deserialize;
use serde::Serialize;

use super::InstanceId;
use super::Target;
use super::TokenId;
use crate::x509::LeafName;
use crate::x509::Serial;
use crate::x509::Validity;

/// What is about to be signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The leaf's number, and the entry's key.
    pub serial: Serial,
    /// Who the leaf names.
    pub name: LeafName,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub key: Fingerprint,
    /// From when until when.
    pub validity: Validity,
    /// SHA-256 of the issuing certificate.
    pub issuer: Fingerprint,
    /// SHA-256 of the root that anchors it.
    pub root: Fingerprint,
    /// When it was reserved.
    pub reserved_at: SystemTime,
    /// How the caller proved who it is.
    pub evidence: Evidence,
    /// Names the request in the log.
    pub request_id: String,
    /// Number of the trust bundle that is delivered with the leaf; zero when that is not known.
    pub bundle: u64,
    /// The agent that asks, if it named itself.
    pub instance: Option<InstanceId>,
    /// What of the caller may be denied: its SPIFFE ID, and of its certificate number and key. For the
    /// reservation only: it is not stored.
    #[serde(skip)]
    pub caller: Vec<Target>,
}

impl Intent {
    /// Everything that must not be denied for this to be signed. The CA's own certificate cannot be denied.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        if self.evidence == Evidence::Own {
            return Vec::new();
        }
        let mut targets = self.caller.clone();
        if let LeafName::Workload(id) = &self.name {
            let name = Target::SpiffeId(id.clone());
            if !targets.contains(&name) {
                targets.push(name);
            }
        }
        targets.push(Target::Key(self.key));
        targets
    }
}

/// How a caller proved who it is, as far as an auditor needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evidence {
    /// A JWT of this issuer.
    Jwt {
        /// The `iss` claim.
        issuer: String,
        /// The `sub` claim.
        subject: String,
    },
    /// A one-time enrolment token, spent with the reservation.
    EnrolmentToken(TokenId),
    /// The caller's own certificate, by its serial as hex.
    ClientCertificate {
        /// Serial number as hex.
        serial: String,
    },
    /// The CA itself, for its own listener.
    Own,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jwt { issuer, subject } => write!(f, "jwt {issuer} {subject}"),
            Self::EnrolmentToken(id) => write!(f, "enrolment-token {id}"),
            Self::ClientCertificate { serial } => write!(f, "client-certificate {serial}"),
            Self::Own => f.write_str("own"),
        }
    }
}
