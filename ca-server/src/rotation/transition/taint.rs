//! A key is compromised.

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;

use super::Record;
use super::Refusal;
use super::Signer;

impl Record {
    /// The key of `issuer` counts as compromised from now on, and is never loaded again. At `deadline` its roots go,
    /// whoever still needs them.
    ///
    /// One that waits to sign does not. One that signs gives way at once to the one before, where that has not retired
    /// and is among those `loaded`, whose keys are here; else the rotation away from it goes on by itself, and without
    /// one the caller introduces a signer.
    ///
    /// # Errors
    /// When no such signer is held.
    pub fn taint(
        &self,
        issuer: &Fingerprint,
        (deadline, renew_within): (Option<SystemTime>, Option<Duration>),
        loaded: &[Fingerprint],
        now: SystemTime,
    ) -> Result<Self, Refusal> {
        let mut record = self.clone();
        let signer = record
            .signer_mut(issuer)
            .ok_or(Refusal::NotHeld { issuer: *issuer })?;
        signer.tainted = Some(signer.tainted.unwrap_or(now));
        signer.deadline = deadline.or(signer.deadline);
        signer.auto_retire = true;
        let key = signer.key;
        if !record.tainted_keys.contains(&key) {
            record.tainted_keys.push(key);
        }
        record.renew_within = renew_within.or(record.renew_within);
        record.note(now, format!("{issuer} is tainted"), None);
        record.turn_away_from(issuer, loaded, now);
        Ok(record)
    }

    fn turn_away_from(&mut self, issuer: &Fingerprint, loaded: &[Fingerprint], now: SystemTime) {
        if self.next == Some(*issuer) {
            self.withdraw_next();
            self.phase_since = now;
            self.note(now, format!("the rotation to {issuer} was aborted"), None);
        } else if self.active == *issuer {
            self.auto = true;
            self.return_from(issuer, loaded, now);
        } else {
            self.advise_renewal(now);
        }
    }

    /// The one before never left the bundle, so everybody accepts it.
    fn return_from(&mut self, issuer: &Fingerprint, loaded: &[Fingerprint], now: SystemTime) {
        let is_usable = |signer: &&Signer| {
            let went_on = signer.has_signed && signer.published && signer.tainted.is_none();
            let can_sign = loaded.contains(&signer.issuer) && !signer.is_over_at(now);
            went_on && can_sign && signer.issuer != *issuer
        };
        let before = self.signers.iter().rev().find(is_usable);
        let Some(before) = before.map(|signer| signer.issuer) else {
            return;
        };
        self.next = self.next.filter(|next| *next != before);
        self.hand_over_to(before, now);
        let what = format!("{before} signs again, for {issuer} is tainted");
        self.note(now, what, None);
    }
}
