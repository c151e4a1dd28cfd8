//! A signer comes. What it means depends on who it is: a new one, the next one again, one that drains, or the one
//! that signs.

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;

use super::Forced;
use super::Record;
use super::Refusal;
use super::Signer;

impl Record {
    /// `signer` is to sign next, trusted by nobody yet (`prepare`); `auto` lets each step follow as soon as its gate
    /// opens.
    ///
    /// It takes the place of another that waits, which is forgotten if it never signed. One that drains comes back
    /// with what the record knows of it. The active one's files again mean that a waiting rotation is aborted.
    ///
    /// # Errors
    /// When its key is tainted, it is over, or there is nothing to change.
    pub fn introduce(&self, signer: Signer, auto: bool, now: SystemTime) -> Result<Self, Refusal> {
        self.check_newcomer(&signer, now)?;
        if signer.issuer == self.active {
            return self.return_to_active(now);
        }
        if self.next == Some(signer.issuer) {
            return Err(Refusal::AlreadyNext {
                issuer: signer.issuer,
            });
        }
        let mut record = self.clone();
        let issuer = signer.issuer;
        let replaced = record.withdraw_next();
        record.take_back(&signer);
        match record.signer_mut(&issuer) {
            Some(known) => known.learn(signer),
            None => record.signers.push(Signer {
                published: false,
                has_signed: false,
                auto_retire: false,
                last_resort: false,
                tainted: None,
                deadline: None,
                ..signer
            }),
        }
        record.next = Some(issuer);
        record.auto = auto;
        record.aborted = None;
        record.phase_since = now;
        let instead = replaced.map_or_else(String::new, |old| format!(", instead of {old}"));
        record.note(now, format!("{issuer} is to sign next{instead}"), None);
        Ok(record)
    }

    /// What is known of `signer` changed, while issuer and key are the same: roots beside it, a root certified again,
    /// a cross-certificate.
    ///
    /// # Errors
    /// When no such signer is held.
    pub fn refresh(&self, signer: Signer, now: SystemTime) -> Result<Self, Refusal> {
        let issuer = signer.issuer;
        let mut record = self.clone();
        record.take_back(&signer);
        let known = record.signer_mut(&issuer);
        known.ok_or(Refusal::NotHeld { issuer })?.learn(signer);
        if record != *self {
            record.note(now, format!("the roots or dates of {issuer} changed"), None);
        }
        Ok(record)
    }

    /// `signer` signs at once, because the active one's key is not here any more. Who holds an older leaf breaks with
    /// whoever gets a new one, until it has the bundle that is published now.
    ///
    /// # Errors
    /// As [`Self::introduce`], and when it signs already.
    pub fn replace(&self, signer: Signer, force: Forced, now: SystemTime) -> Result<Self, Refusal> {
        super::check_named(Some(&force), signer.issuer)?;
        self.check_newcomer(&signer, now)?;
        let issuer = signer.issuer;
        if issuer == self.active {
            return Err(self.already_active());
        }
        let mut record = if self.next == Some(issuer) {
            self.clone()
        } else {
            self.introduce(signer, true, now)?
        };
        record.next = None;
        record.auto = true;
        record.hand_over_to(issuer, now);
        let what = format!("{issuer} signs, for the key of the one before is not here");
        record.note(now, what, Some(force.reason));
        Ok(record)
    }

    /// Agents renew within that time after the activation that is to come, or from now on where one was.
    #[must_use]
    pub fn hasten(&self, renew_within: Duration, now: SystemTime) -> Self {
        let mut record = self.clone();
        record.renew_within = Some(renew_within);
        record.advise_renewal(now);
        let within = humantime::format_duration(renew_within);
        record.note(now, format!("agents are to renew within {within}"), None);
        record
    }

    /// `roots` accept leaves of `issuer` beside its own root. Nothing was done, so nothing is noted.
    #[must_use]
    pub fn accepted_by(&self, issuer: &Fingerprint, roots: Vec<Fingerprint>) -> Self {
        let mut record = self.clone();
        if let Some(signer) = record.signer_mut(issuer) {
            signer.also_accepted_by = roots;
        }
        record
    }

    pub(super) fn already_active(&self) -> Refusal {
        Refusal::AlreadyActive {
            issuer: self.active,
            since: self.phase_since,
        }
    }

    fn check_newcomer(&self, signer: &Signer, now: SystemTime) -> Result<(), Refusal> {
        let issuer = signer.issuer;
        if self.tainted_keys.contains(&signer.key) {
            return Err(Refusal::Tainted { issuer });
        }
        if signer.is_over_at(now) {
            return Err(Refusal::Expired {
                issuer,
                at: signer.not_after,
            });
        }
        Ok(())
    }

    fn return_to_active(&self, now: SystemTime) -> Result<Self, Refusal> {
        let mut record = self.clone();
        let Some(next) = record.withdraw_next() else {
            return Err(self.already_active());
        };
        record.phase_since = now;
        let what = format!(
            "{next} is not to sign: the files of {} came back",
            self.active
        );
        record.note(now, what, None);
        Ok(record)
    }
}

impl Signer {
    /// Takes over what certificates say, and keeps what happened.
    fn learn(&mut self, newer: Self) {
        *self = Self {
            first_loaded: self.first_loaded,
            published: self.published,
            has_signed: self.has_signed,
            auto_retire: self.auto_retire,
            last_resort: self.last_resort,
            tainted: self.tainted,
            deadline: self.deadline,
            ..newer
        };
    }
}
