//! How does the record change? One function for each step, from the record as it is to the record as it is to be
//! persisted, or a refusal.

mod abort;
mod activate;
mod distribute;
mod introduce;
mod retire;
mod taint;

use std::time::SystemTime;

use proto::certificate::Fingerprint;

use super::Evidence;
use super::Gate;
use super::JournalEntry;
use super::Obstacle;
use super::Opening;
use super::Record;
use super::Refusal;
use super::Signer;

/// A person's word that a step is to be taken although its gate is shut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forced {
    /// Whom it is about, so that it is not taken for somebody else's step.
    pub fingerprint: Fingerprint,
    /// Why, for the journal.
    pub reason: String,
}

impl Record {
    fn signer_mut(&mut self, issuer: &Fingerprint) -> Option<&mut Signer> {
        let mut signers = self.signers.iter_mut();
        signers.find(|signer| signer.issuer == *issuer)
    }

    fn note(&mut self, at: SystemTime, what: String, forced: Option<String>) {
        self.journal.push(JournalEntry { at, what, forced });
        let surplus = self.journal.len().saturating_sub(JOURNAL_LENGTH);
        self.journal.drain(..surplus);
    }

    /// The next signer steps back: it drains if it ever signed, else it is gone. Where it was the way out of a stolen
    /// key it drains too, for agents may have stopped trusting all others; it goes by its gate.
    fn withdraw_next(&mut self) -> Option<Fingerprint> {
        let next = self.next.take()?;
        let is_stolen = self.active_signer().is_some_and(|it| it.tainted.is_some());
        let signer = self.signer_mut(&next)?;
        if is_stolen && signer.published {
            signer.last_resort = true;
            signer.auto_retire = true;
        }
        if signer.has_signed || signer.last_resort {
            return Some(next);
        }
        let gone = signer.clone();
        self.signers.retain(|signer| signer.issuer != next);
        self.let_go_of_own_root(&gone);
        Some(next)
    }

    /// `issuer` signs from now on, and who did drains.
    fn hand_over_to(&mut self, issuer: Fingerprint, now: SystemTime) {
        let auto = self.auto;
        let old = self.active;
        if let Some(at) = self.signers.iter().position(|signer| signer.issuer == old) {
            let mut signer = self.signers.remove(at);
            signer.auto_retire = auto || signer.tainted.is_some();
            self.signers.push(signer);
        }
        if let Some(signer) = self.signer_mut(&issuer) {
            signer.published = true;
            signer.has_signed = true;
            signer.last_resort = false;
        }
        self.active = issuer;
        self.renewal_put_off = None;
        self.phase_since = now;
        self.advise_renewal(now);
    }

    /// Agents are told to renew when there is something to renew away from, and not before.
    fn advise_renewal(&mut self, now: SystemTime) {
        let is_reason = |signer: &Signer| {
            let is_asked_for = self.renew_within.is_some() || signer.tainted.is_some();
            signer.has_signed && is_asked_for
        };
        if self.draining().any(is_reason) {
            self.renew_since = Some(now);
        }
    }
}

/// Nobody was named, or the right one.
fn check_named(force: Option<&Forced>, expected: Fingerprint) -> Result<(), Refusal> {
    match force {
        Some(force) if force.fingerprint != expected => Err(Refusal::ForcedAnother {
            expected,
            named: force.fingerprint,
        }),
        _ => Ok(()),
    }
}

/// Passes through an open gate, or through what force can overrule. Answers with what to note.
fn pass(gate: Gate, force: Option<Forced>) -> Result<(String, Option<String>), Refusal> {
    let obstacles = match gate {
        Gate::Open { because } => return Ok((words(because).to_owned(), None)),
        Gate::Shut { obstacles } => obstacles,
    };
    match force {
        Some(force) if !obstacles.iter().any(Obstacle::is_absolute) => {
            let what = format!("forced against {} obstacles", obstacles.len());
            Ok((what, Some(force.reason)))
        }
        _ => Err(Refusal::GateShut { obstacles }),
    }
}

fn words(because: Opening) -> &'static str {
    match because {
        Opening::Evidence => "nothing stood against it",
        Opening::CrossSigned => "its chain carries a cross-certificate",
        Opening::IssuerEnds => "the chain of the signer before it ends",
        Opening::Deadline => "the deadline of a tainted signer came",
    }
}

const JOURNAL_LENGTH: usize = 100;

#[cfg(test)]
mod tests;
