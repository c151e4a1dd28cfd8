//! What is to be done now without anybody asking? At most one step; whoever takes it asks again.

use proto::certificate::Fingerprint;

use super::Evidence;
use super::Gate;
use super::Record;
use super::gates::Clauses;
use super::gates::activate_by;
use super::gates::retire_by;

/// A step of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Publish the next signer's roots.
    Distribute,
    /// Sign with the next signer.
    Activate,
    /// Let this signer go.
    Retire(Fingerprint),
}

/// The step to take now: each of an automatic rotation as soon as its gate opens, and in every rotation what a
/// deadline or the end of the active chain asks for.
#[must_use]
pub fn due(record: &Record, evidence: &Evidence<'_>) -> Option<Step> {
    due_by(record, evidence, Clauses::ALL)
}

pub(super) fn due_by(record: &Record, evidence: &Evidence<'_>, clauses: Clauses) -> Option<Step> {
    step_of_next(record, evidence, clauses).or_else(|| {
        let mut draining = record.draining();
        let over = draining.find(|signer| {
            let gate = retire_by(record, &signer.issuer, evidence, clauses);
            is_taken(&gate, signer.auto_retire)
        });
        over.map(|signer| Step::Retire(signer.issuer))
    })
}

fn step_of_next(record: &Record, evidence: &Evidence<'_>, clauses: Clauses) -> Option<Step> {
    let next = record.next_signer()?;
    if next.published {
        let gate = activate_by(record, evidence, clauses);
        return is_taken(&gate, record.auto).then_some(Step::Activate);
    }
    // Trusting more harms nobody; what may have to be activated in a hurry is published before.
    let urgent = super::gates::is_activation_urgent(record, evidence);
    (record.auto || urgent).then_some(Step::Distribute)
}

fn is_taken(gate: &Gate, auto: bool) -> bool {
    match gate {
        Gate::Open { because } => auto || because.is_urgent(),
        Gate::Shut { .. } => false,
    }
}

#[cfg(test)]
mod tests;
