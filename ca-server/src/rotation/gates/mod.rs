//! The three predicates that decide everything: may the next signer sign, may a signer go, may this bundle be published?
//!
//! They compare numbers of bundles, never contents, and go by the bundle that was delivered, not by when a leaf was
//! made. The clauses are named in `clause`.

mod activate;
mod clause;
mod leaves;
mod publish;
mod retire;
mod way_out;

use std::time::SystemTime;

use proto::certificate::Fingerprint;

use super::Evidence;
use super::Gate;
use super::Obstacle;
use super::Opening;
use super::Record;
use super::Signer;

pub use publish::Candidate;

pub(super) use clause::Clause;
pub(super) use clause::Clauses;

/// May the next signer sign?
#[must_use]
pub fn activate(record: &Record, evidence: &Evidence<'_>) -> Gate {
    activate_by(record, evidence, Clauses::ALL)
}

/// May `issuer` leave, with the roots that nobody else keeps?
#[must_use]
pub fn retire(record: &Record, issuer: &Fingerprint, evidence: &Evidence<'_>) -> Gate {
    retire_by(record, issuer, evidence, Clauses::ALL)
}

/// May this bundle take the place of the one in force? To be asked before every publication that neither a person nor
/// a deadline forced: a leaf that is rejected already does not stand against it.
#[must_use]
pub fn publish(record: &Record, candidate: &Candidate<'_>, evidence: &Evidence<'_>) -> Gate {
    publish_by(record, candidate, evidence, Clauses::ALL)
}

/// Everything that stands against activation, also when the gate is open all the same: who breaks.
#[must_use]
pub fn activation_obstacles(record: &Record, evidence: &Evidence<'_>) -> Vec<Obstacle> {
    activate::obstacles(record, evidence, Clauses::ALL)
}

/// Everything that stands against retirement, also when the gate is open all the same: who breaks.
#[must_use]
pub fn retirement_obstacles(
    record: &Record,
    issuer: &Fingerprint,
    evidence: &Evidence<'_>,
) -> Vec<Obstacle> {
    retire::obstacles(record, issuer, evidence, Clauses::ALL)
}

/// Who has a leaf of `signer`, unless it said that it serves another one instead.
pub(super) fn held_leaves(signer: &Signer, evidence: &Evidence<'_>) -> Vec<Obstacle> {
    let own = evidence
        .live_holdings()
        .filter(|holding| holding.issuer == signer.issuer);
    own.filter(|holding| !leaves::is_replaced_for_good(holding, signer, Clauses::ALL))
        .map(|holding| leaves::live_leaf(holding, evidence))
        .collect()
}

/// Leaves of any signer that the ledger may not have.
pub(super) fn unrecorded_leaves(record: &Record, evidence: &Evidence<'_>) -> Vec<Obstacle> {
    let signers = record.signers.iter();
    signers
        .flat_map(|signer| leaves::unrecorded(signer, evidence))
        .collect()
}

/// Whether leaves of `signer` keep it from retiring, whoever else keeps its root.
pub(super) fn outlives_its_leaves(signer: &Signer, evidence: &Evidence<'_>) -> bool {
    retire::outlives_its_leaves(signer, evidence)
}

/// From then on the next signer signs whatever stands against it.
pub(super) fn last_moment(active: &Signer, evidence: &Evidence<'_>) -> SystemTime {
    activate::last_moment(active, evidence)
}

/// Whether it is time to activate whatever stands against it.
pub(super) fn is_activation_urgent(record: &Record, evidence: &Evidence<'_>) -> bool {
    activate::overruled(record, evidence).is_some()
}

pub(super) fn activate_by(record: &Record, evidence: &Evidence<'_>, clauses: Clauses) -> Gate {
    let obstacles = activate::obstacles(record, evidence, clauses);
    let unobstructed = if activate::rests_on_cross_certificate(record, evidence) {
        Opening::CrossSigned
    } else {
        Opening::Evidence
    };
    Gate::of(
        obstacles,
        unobstructed,
        activate::overruled(record, evidence),
    )
}

pub(super) fn retire_by(
    record: &Record,
    issuer: &Fingerprint,
    evidence: &Evidence<'_>,
    clauses: Clauses,
) -> Gate {
    let obstacles = retire::obstacles(record, issuer, evidence, clauses);
    let deadline = record.signer(issuer).and_then(|signer| signer.deadline);
    let overruled = has_come(deadline, evidence.now).then_some(Opening::Deadline);
    Gate::of(obstacles, Opening::Evidence, overruled)
}

pub(super) fn publish_by(
    record: &Record,
    candidate: &Candidate<'_>,
    evidence: &Evidence<'_>,
    clauses: Clauses,
) -> Gate {
    let obstacles = publish::obstacles(record, candidate, evidence, clauses);
    Gate::of(obstacles, Opening::Evidence, None)
}

fn has_come(deadline: Option<SystemTime>, now: SystemTime) -> bool {
    deadline.is_some_and(|deadline| deadline <= now)
}

/// Whether `next` is accepted wherever leaves of `signer` are held, since those came with a bundle that has its root.
fn is_known_to_holders_of(next: &Signer, signer: &Signer) -> bool {
    next.is_accepted_by(&[signer.root])
}

#[cfg(test)]
mod tests;
