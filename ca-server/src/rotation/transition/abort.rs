//! The next signer is not to sign after all.

use std::time::SystemTime;

use super::Record;
use super::Refusal;

impl Record {
    /// The rotation that waits for activation ends (`abort`). A signer that never signed is forgotten and its roots leave the
    /// bundle; one that did drains on. `content_hash` is the hash of the operator's directory, which does not start
    /// it again.
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
        if let Some(next) = record.withdraw_next() {
            record.note(now, format!("the rotation to {next} was aborted"), None);
        }
        record.aborted = content_hash;
        record.phase_since = now;
        Ok(record)
    }
}
