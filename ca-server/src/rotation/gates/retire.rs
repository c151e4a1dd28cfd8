//! May a signer go? When no live leaf needs the roots that go with it.

use proto::certificate::Fingerprint;

use super::Clause;
use super::Clauses;
use super::Evidence;
use super::Obstacle;
use super::Record;
use super::Signer;
use super::leaves;

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
    let remaining = remaining(record, issuer);
    let mut leaving = signer.roots.clone();
    leaving.retain(|root| !remaining.contains(root));
    obstacles.extend(listed(&leaving, evidence, clauses));
    let roots = (leaving.as_slice(), remaining.as_slice());
    obstacles.extend(live(record, signer, evidence, roots, clauses));
    obstacles
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
    if !clauses.hold(Clause::NoLiveLeaf) {
        return Vec::new();
    }
    // Only who was told to renew replaces its leaf for this; else it lives for its time.
    let hastened = signer.tainted.is_some() || record.renew_since.is_some();
    let stranded = leaves::stranded(record, evidence, roots, clauses);
    let stranded =
        stranded.filter(|holding| !(hastened && leaves::is_replaced(holding, roots.0, clauses)));
    stranded
        .map(|holding| leaves::live_leaf(holding, evidence))
        .collect()
}
