//! The next signer signs.

use std::time::SystemTime;

use super::Evidence;
use super::Forced;
use super::Record;
use super::Refusal;
use crate::rotation::gates::Clauses;
use crate::rotation::gates::activate_by;

impl Record {
    /// The next signer signs, and the one before drains (`activate`).
    ///
    /// # Errors
    /// When there is no next signer, which is also what the second of two operators reads; when the gate is shut and
    /// nobody forces it, or it is of no use to; when another signer was named.
    pub fn activate(
        &self,
        evidence: &Evidence<'_>,
        force: Option<Forced>,
        now: SystemTime,
    ) -> Result<Self, Refusal> {
        self.activate_by(evidence, force, now, Clauses::ALL)
    }

    pub(in crate::rotation) fn activate_by(
        &self,
        evidence: &Evidence<'_>,
        force: Option<Forced>,
        now: SystemTime,
        clauses: Clauses,
    ) -> Result<Self, Refusal> {
        let issuer = self.next.ok_or_else(|| self.already_active())?;
        super::check_named(force.as_ref(), issuer)?;
        let gate = activate_by(self, evidence, clauses);
        let (because, forced) = super::pass(gate, force)?;
        let mut record = self.clone();
        record.next = None;
        record.hand_over_to(issuer, now);
        record.note(now, format!("{issuer} signs: {because}"), forced);
        Ok(record)
    }
}
