//! A signer goes: its roots leave the trust bundle, its key is destroyed.

use std::time::SystemTime;

use proto::certificate::Fingerprint;

use super::Evidence;
use super::Forced;
use super::Record;
use super::Refusal;
use crate::rotation::gates::Clauses;
use crate::rotation::gates::outlives_its_leaves;
use crate::rotation::gates::retire_by;

impl Record {
    /// `issuer` is forgotten (`retire`). What it signed is refused once the bundle without its roots is out.
    ///
    /// # Errors
    /// When it is not held; when the gate is shut and nobody forces it, or it is in use; when another signer was named.
    pub fn retire(
        &self,
        issuer: &Fingerprint,
        evidence: &Evidence<'_>,
        force: Option<Forced>,
        now: SystemTime,
    ) -> Result<Self, Refusal> {
        self.retire_by(issuer, evidence, force, (now, Clauses::ALL))
    }

    pub(in crate::rotation) fn retire_by(
        &self,
        issuer: &Fingerprint,
        evidence: &Evidence<'_>,
        force: Option<Forced>,
        (now, clauses): (SystemTime, Clauses),
    ) -> Result<Self, Refusal> {
        let signer = self.signer(issuer);
        let signer = signer.ok_or(Refusal::NotHeld { issuer: *issuer })?;
        super::check_named(force.as_ref(), *issuer)?;
        let gate = retire_by(self, issuer, evidence, clauses);
        let (because, forced) = super::pass(gate, force)?;
        let mut record = self.clone();
        record.signers.retain(|signer| signer.issuer != *issuer);
        record.let_go_of_roots(self);
        let counted = outlives_its_leaves(signer, evidence).then_some(*issuer);
        record.let_go_of_issuer(counted, evidence);
        if record.draining().next().is_none() {
            record.renew_since = None;
            record.renew_within = record.renew_within.filter(|_wish| record.next.is_some());
            record.phase_since = match record.next {
                Some(_) => self.phase_since,
                None => now,
            };
        }
        record.note(now, format!("{issuer} retired: {because}"), forced);
        Ok(record)
    }
}
