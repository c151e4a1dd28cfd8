//! The next signer is not to sign after all.

use std::time::SystemTime;

use super::Record;
use super::Refusal;
use super::Signer;
use crate::rotation::Origin;

impl Record {
    /// The rotation that waits for activation ends (`abort`). A signer that never signed is forgotten and its roots leave the
    /// bundle; one that did drains on. `content_hash` is the hash of the operator's directory, which does not start
    /// it again. Where our own signer was to be renewed, that comes again when half of what it has left is over.
    ///
    /// # Errors
    /// When nothing waits, or the one that signs is tainted, so that staying with it is no way out.
    pub fn abort(&self, content_hash: Option<String>, now: SystemTime) -> Result<Self, Refusal> {
        let active = self.active;
        if self.next.is_none() {
            return Err(Refusal::NothingToAbort { active });
        }
        let is_tainted = |record: &Self| record.active_signer()?.tainted;
        if is_tainted(self).is_some() {
            return Err(Refusal::Tainted { issuer: active });
        }
        let mut record = self.clone();
        if self.is_renewal() {
            record.renewal_put_off = self.active_signer().map(|active| active.halfway_from(now));
        }
        if let Some(next) = record.withdraw_next() {
            record.note(now, format!("the rotation to {next} was aborted"), None);
        }
        record.aborted = content_hash;
        record.phase_since = now;
        Ok(record)
    }

    fn is_renewal(&self) -> bool {
        let both = [self.active_signer(), self.next_signer()];
        let is_ours = |signer: &Signer| signer.origin == Origin::SelfSigned;
        both.iter().all(|signer| signer.is_some_and(is_ours))
    }
}

impl Signer {
    /// The middle of what is left of its life.
    fn halfway_from(&self, now: SystemTime) -> SystemTime {
        let left = self.not_after.duration_since(now);
        now + left.unwrap_or_default() / 2
    }
}
