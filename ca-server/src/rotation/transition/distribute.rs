//! The next signer's roots go into the trust bundle.

use std::time::SystemTime;

use super::Record;
use super::Refusal;

impl Record {
    /// The next signer is to be trusted by everybody and does not sign yet (`distribute`).
    ///
    /// # Errors
    /// When there is no next signer, or that was done already.
    pub fn distribute(&self, now: SystemTime) -> Result<Self, Refusal> {
        let issuer = self.next.ok_or_else(|| self.already_active())?;
        let mut record = self.clone();
        let next = record
            .signer_mut(&issuer)
            .ok_or(Refusal::NotHeld { issuer })?;
        if next.published {
            return Err(Refusal::AlreadyDistributed {
                issuer,
                since: self.phase_since,
            });
        }
        next.published = true;
        record.phase_since = now;
        record.note(
            now,
            format!("the roots of {issuer} go into the trust bundle"),
            None,
        );
        Ok(record)
    }
}
