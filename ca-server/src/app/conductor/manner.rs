//! How does a rotation go on once it began? By itself, or as an operator wants it.

use std::time::Duration;
use std::time::SystemTime;

use crate::rotation::Record;
use crate::rotation::Refusal;

/// How the steps of a rotation are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    /// Each step follows as soon as its gate opens; else the first one is taken, and no other.
    pub(super) auto: bool,
    /// How soon after activation agents renew.
    pub(super) renew_within: Option<Duration>,
}

impl Manner {
    /// As nobody said otherwise.
    pub(super) const BY_ITSELF: Self = Self {
        auto: true,
        renew_within: None,
    };

    /// The record after the first step of a rotation that is to go on like that.
    pub(super) fn begin(self, record: Record, now: SystemTime) -> Result<Record, Refusal> {
        let is_waiting = record.next_signer().is_some_and(|next| !next.published);
        let record = match is_waiting && !self.auto {
            true => record.distribute(now)?,
            false => record,
        };
        Ok(match self.renew_within {
            Some(within) if record.next.is_some() => record.hasten(within, now),
            _ => record,
        })
    }
}

/// What an operator wants of what is in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// How the record would remember what is there: for other files nobody wanted anything.
    pub(super) mark: String,
    pub(super) manner: Manner,
}
