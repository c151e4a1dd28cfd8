//! Why did the ledger not do what it was asked?

use proto::certificate::Fingerprint;

use super::Denial;
use super::TokenId;
use crate::x509::Serial;

/// Why the ledger did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The cursor is not one that this ledger gave out.
    #[error("the cursor of {len} bytes is not one of this ledger: start from the first page")]
    BadCursor {
        /// How long it is.
        len: usize,
    },
    /// The caller, its evidence, or the key that it wants signed is denied.
    #[error("{0}")]
    Denied(Box<Denial>),
    /// A stored row does not decode.
    #[error("the ledger's row {key} does not decode")]
    Malformed {
        /// Hex of the row's key.
        key: String,
    },
    /// A leaf cannot be noted under a serial that nobody reserved.
    #[error("serial {serial} was never reserved")]
    NotReserved {
        /// The serial.
        serial: Serial,
    },
    /// The leaf would be signed by another issuer, or delivered with another trust bundle, than is in force: begin anew.
    #[error("leaves are issued under {issuer} with trust bundle {bundle} now")]
    OtherTerms {
        /// SHA-256 of the issuing certificate that is in force.
        issuer: Fingerprint,
        /// Number of the trust bundle that is in force.
        bundle: u64,
    },
    /// Another request with the same token and key was reserved a moment ago and may still be signed: ask again.
    #[error("enrolment token {id} is just being answered")]
    TokenInUse {
        /// Which token.
        id: TokenId,
    },
    /// The serial is taken: draw another.
    #[error("serial {serial} is taken")]
    SerialTaken {
        /// The serial.
        serial: Serial,
    },
    /// The token is expired, revoked or not known, or was spent on another key.
    #[error("enrolment token {id}: {reason}")]
    TokenRefused {
        /// Which token.
        id: TokenId,
        /// Why, for the log only.
        reason: &'static str,
    },
    /// The store cannot be read or written now. It recovers by itself when the cause goes away.
    #[error("the ledger is not available: {reason}")]
    Unavailable {
        /// The cause.
        reason: String,
    },
    /// The row is of a shape or size that the store does not take.
    #[error("the row cannot be stored: {reason}")]
    Unstorable {
        /// What is expected and what was seen.
        reason: String,
    },
}
