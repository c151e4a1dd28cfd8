//! May this bundle be published? When it rejects nothing that lives and is accepted now.

use proto::certificate::Fingerprint;

use super::Clause;
use super::Clauses;
use super::Evidence;
use super::Obstacle;
use super::Record;
use super::leaves;

/// A trust bundle that is to take the place of the one in force.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its roots, and no others.
    pub roots: &'a [Fingerprint],
    /// The issuers that its CRLs cover; `None` where it has no CRL.
    pub covered: Option<&'a [Fingerprint]>,
    /// Whom the ledger's terms let sign until the next swap; `None` while nobody is served.
    pub signing: Option<Fingerprint>,
}

pub(super) fn obstacles(
    record: &Record,
    candidate: &Candidate<'_>,
    evidence: &Evidence<'_>,
    clauses: Clauses,
) -> Vec<Obstacle> {
    // What a retirement let go went through a gate of its own, or somebody forced it.
    let in_force = evidence.since.keys().copied();
    let leaving: Vec<Fingerprint> = in_force
        .filter(|root| !candidate.roots.contains(root) && !record.dropped_roots.contains(root))
        .collect();
    let active = unanchored(record, candidate, clauses);
    let stranded = stranded(record, candidate, evidence, &leaving, clauses);
    let uncovered = uncovered(record, candidate, evidence, clauses);
    active
        .into_iter()
        .chain(stranded)
        .chain(uncovered)
        .collect()
}

/// Who signs, and who still does until the swap: between this and that a leaf may be made which no holding tells of.
fn signing(
    record: &Record,
    candidate: &Candidate<'_>,
    clauses: Clauses,
) -> impl Iterator<Item = Fingerprint> {
    let still = candidate
        .signing
        .filter(|still| *still != record.active && clauses.hold(Clause::StillSigning));
    std::iter::once(record.active).chain(still)
}

fn unanchored(record: &Record, candidate: &Candidate<'_>, clauses: Clauses) -> Vec<Obstacle> {
    if !clauses.hold(Clause::Anchored) {
        return Vec::new();
    }
    signing(record, candidate, clauses)
        .filter_map(|issuer| record.signer(&issuer))
        .filter(|signer| !signer.is_accepted_by(candidate.roots))
        .map(|signer| Obstacle::Unanchored {
            issuer: signer.issuer,
        })
        .collect()
}

fn stranded(
    record: &Record,
    candidate: &Candidate<'_>,
    evidence: &Evidence<'_>,
    leaving: &[Fingerprint],
    clauses: Clauses,
) -> Vec<Obstacle> {
    if !clauses.hold(Clause::NoLiveLeaf) {
        return Vec::new();
    }
    leaves::live(evidence, clauses)
        .filter(|holding| leaves::is_stranded(holding, record, (leaving, candidate.roots)))
        // Who says that it serves another leaf needs this one no more.
        .filter(|holding| !leaves::is_replaced(holding, leaving, clauses))
        .map(|holding| leaves::live_leaf(holding, evidence))
        .collect()
}

/// Who checks revocation refuses every chain of which it has no CRL, as soon as it has any.
fn uncovered(
    record: &Record,
    candidate: &Candidate<'_>,
    evidence: &Evidence<'_>,
    clauses: Clauses,
) -> Vec<Obstacle> {
    let Some(covered) = candidate.covered else {
        return Vec::new();
    };
    let mut needed: Vec<Fingerprint> = signing(record, candidate, clauses).collect();
    for holding in leaves::live(evidence, clauses) {
        if !needed.contains(&holding.issuer) && !record.has_let_go_of(&holding.issuer) {
            needed.push(holding.issuer);
        }
    }
    let was_covered = |issuer: &Fingerprint| evidence.passes_crls_since(issuer).is_some();
    let lost = needed
        .into_iter()
        .filter(|issuer| !covered.contains(issuer) && was_covered(issuer));
    lost.filter(|_issuer| clauses.hold(Clause::Covered))
        .map(|issuer| Obstacle::Uncovered { issuer })
        .collect()
}
