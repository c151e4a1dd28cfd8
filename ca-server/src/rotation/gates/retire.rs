//! May a signer go? When no live leaf needs the roots that go with it, nor what else does: its list, or our memory of
//! a stolen key.

use proto::certificate::Fingerprint;

use super::Clause;
use super::Clauses;
use super::Evidence;
use super::Obstacle;
use super::Record;
use super::Signer;
use super::leaves;
use super::way_out;
use crate::ledger::Holding;

pub(super) fn obstacles(
    record: &Record,
    issuer: &Fingerprint,
    evidence: &Evidence<'_>,
    clauses: Clauses,
) -> Vec<Obstacle> {
    let Some(signer) = record.signer(issuer) else {
        return vec![Obstacle::Unknown { issuer: *issuer }];
    };
    let is_in_use = record.active == *issuer || record.next == Some(*issuer);
    if is_in_use && clauses.hold(Clause::NotInUse) {
        return vec![Obstacle::InUse { issuer: *issuer }];
    }
    // Also where another signer keeps the root for now: when that goes, nobody remembers this one's strangers.
    let mut obstacles = Vec::new();
    if clauses.hold(Clause::Unrecorded) {
        obstacles.extend(leaves::unrecorded(signer, evidence));
    }
    obstacles.extend(way_out::obstacles(record, signer, evidence, clauses));
    let remaining = remaining(record, issuer);
    let mut leaving = signer.roots.clone();
    leaving.retain(|root| !remaining.contains(root));
    obstacles.extend(listed(&leaving, evidence, clauses));
    let roots = (leaving.as_slice(), remaining.as_slice());
    obstacles.extend(live(record, signer, evidence, roots, clauses));
    obstacles
}

/// Whether leaves of `signer` count whoever keeps its root. Its list goes with it, and who checks lists refuses whatever
/// none covers; and of a stolen key it must be known who still has leaves, who are to renew.
pub(super) fn outlives_its_leaves(signer: &Signer, evidence: &Evidence<'_>) -> bool {
    signer.tainted.is_some() || evidence.is_covered(&signer.issuer)
}

/// The roots that others keep in the bundle.
fn remaining(record: &Record, issuer: &Fingerprint) -> Vec<Fingerprint> {
    let others = record.signers.iter();
    let others = others.filter(|other| other.published && other.issuer != *issuer);
    others
        .flat_map(|other| other.roots.iter().copied())
        .collect()
}

fn listed(leaving: &[Fingerprint], evidence: &Evidence<'_>, clauses: Clauses) -> Vec<Obstacle> {
    let is_listed = |root: &&Fingerprint| evidence.listed_roots.contains(root);
    let listed = leaving.iter().filter(is_listed);
    let listed = listed.filter(|_root| clauses.hold(Clause::NotListed));
    listed
        .map(|root| Obstacle::Listed { root: *root })
        .collect()
}

fn live(
    record: &Record,
    signer: &Signer,
    evidence: &Evidence<'_>,
    roots: (&[Fingerprint], &[Fingerprint]),
    clauses: Clauses,
) -> Vec<Obstacle> {
    // Only who was told to renew replaces its leaf for this; else it lives for its time.
    let hastened = signer.tainted.is_some() || record.renew_since.is_some();
    let all_count = clauses.hold(Clause::NoLeafOfItsOwn) && outlives_its_leaves(signer, evidence);
    let is_own = |holding: &Holding| {
        let counts = all_count && holding.issuer == signer.issuer;
        counts && !(hastened && leaves::is_replaced_for_good(holding, signer, clauses))
    };
    let is_stranded = |holding: &Holding| {
        let counts =
            clauses.hold(Clause::NoLiveLeaf) && leaves::is_stranded(holding, record, roots);
        counts && !(hastened && leaves::is_replaced(holding, roots.0, clauses))
    };
    leaves::live(evidence, clauses)
        .filter(|holding| is_own(holding) || is_stranded(holding))
        .map(|holding| leaves::live_leaf(holding, evidence))
        .collect()
}
