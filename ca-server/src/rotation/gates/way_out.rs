//! May a signer go that agents may know alone? When everybody knows another one whose key is not stolen.

use super::Clause;
use super::Clauses;
use super::Evidence;
use super::Obstacle;
use super::Record;
use super::Signer;
use super::activate;

/// What stands against letting go of `signer`, which was the way out of a stolen key and was withdrawn.
pub(super) fn obstacles(
    record: &Record,
    signer: &Signer,
    evidence: &Evidence<'_>,
    clauses: Clauses,
) -> Vec<Obstacle> {
    if !signer.last_resort || !clauses.hold(Clause::WayOut) {
        return Vec::new();
    }
    let others = record
        .active_signer()
        .into_iter()
        .chain(record.next_signer());
    let mut usable = others.filter(|other| other.tainted.is_none());
    let Some(other) = usable.next() else {
        return vec![Obstacle::NothingPrepared];
    };
    let issuer = other.issuer;
    // By its own root: what a cross-certificate would do for leaves says nothing of the connection to the CA.
    let Some(needs) = evidence.since.get(&other.root).copied() else {
        let root = other.root;
        return vec![Obstacle::NotPublished { issuer, root }];
    };
    if evidence.now < other.not_before {
        let from = other.not_before;
        return vec![Obstacle::NotYetValid { issuer, from }];
    }
    activate::behind(needs, evidence, clauses)
}
