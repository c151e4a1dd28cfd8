//! What does one row of the ledger prove? Which bundle its holder uses, and what its leaf needs to be accepted.

use std::time::SystemTime;

use proto::certificate::Fingerprint;

use super::Clause;
use super::Clauses;
use super::Evidence;
use super::Obstacle;
use super::Record;
use super::Signer;
use crate::ledger::Acknowledgement;
use crate::ledger::Holder;
use crate::ledger::Holding;
use crate::rotation::obstacle::HolderName;

/// The holdings of which a leaf may be alive.
pub(super) fn live<'a>(
    evidence: &'a Evidence<'_>,
    clauses: Clauses,
) -> impl Iterator<Item = &'a Holding> {
    let is_live = move |holding: &&Holding| {
        clauses.hold(Clause::Margin) || evidence.now <= holding.last_second
    };
    evidence.live_holdings().filter(is_live)
}

/// What the holder said, if it can be believed: it speaks for itself, and it alone is called so.
pub(super) fn word_of(holder: &Holder, clauses: Clauses) -> Option<&Acknowledgement> {
    let said = holder.acknowledged.as_ref()?;
    let by_itself = said.instance == holder.instance && said.spiffe_id == holder.spiffe_id;
    let by_itself = by_itself || !clauses.hold(Clause::AcknowledgedByHolder);
    let alone = !said.shared || !clauses.hold(Clause::AcknowledgedByOne);
    (by_itself && alone).then_some(said)
}

/// Whether the leaves of `holding` are used with bundle `needed` or a later one. They came with one, or else their
/// holder says so: its last word counts, not the highest.
pub(super) fn is_at(holding: &Holding, needed: u64, clauses: Clauses) -> bool {
    let holder = holding.holder.as_ref();
    let said = holder.and_then(|holder| word_of(holder, clauses));
    holding.bundle >= needed || said.is_some_and(|said| said.bundle >= needed)
}

/// The roots under which the leaves of `holding` verify.
fn anchors(holding: &Holding, record: &Record) -> Vec<Fingerprint> {
    let signer = record.signer(&holding.issuer);
    let others = signer.into_iter().flat_map(Signer::anchors);
    std::iter::once(holding.root).chain(others).collect()
}

/// Whether the holder serves another leaf instead: the last one that was recorded for it, which needs none of
/// `leaving`.
pub(super) fn is_replaced(holding: &Holding, leaving: &[Fingerprint], clauses: Clauses) -> bool {
    let Some(holder) = &holding.holder else {
        return false;
    };
    let serves = word_of(holder, clauses).and_then(|said| said.serial);
    let (Some(serves), Some((newest, root))) = (serves, holder.newest) else {
        return false;
    };
    (serves == newest || !clauses.hold(Clause::GoneByNewest))
        && (!leaving.contains(&root) || !clauses.hold(Clause::GoneByOtherRoot))
}

/// Whether the holder serves a leaf of another issuer instead, as far as that can be told: the newest leaf is known by
/// its root alone, so that it may be of the same issuer where the root is the same.
pub(super) fn is_replaced_for_good(holding: &Holding, signer: &Signer, clauses: Clauses) -> bool {
    is_replaced(holding, &[signer.root, holding.root], clauses)
}

/// Whether leaves of `holding` need one of `leaving` and would have none of `remaining`.
pub(super) fn is_stranded(
    holding: &Holding,
    record: &Record,
    (leaving, remaining): (&[Fingerprint], &[Fingerprint]),
) -> bool {
    let anchors = anchors(holding, record);
    let by = |roots: &[Fingerprint]| anchors.iter().any(|anchor| roots.contains(anchor));
    by(leaving) && !by(remaining)
}

/// The obstacle that a live leaf is.
pub(super) fn live_leaf(holding: &Holding, evidence: &Evidence<'_>) -> Obstacle {
    Obstacle::Live {
        issuer: holding.issuer,
        root: holding.root,
        holder: HolderName::of(holding),
        until: evidence.gone_at(holding.last_second),
    }
}

/// Until when there may be leaves of `signer` that no ledger has, because it came from elsewhere. None outlives the
/// chain, and slow clocks accept them for longer, as they do any other; a lifetime of zero says that there are none.
pub(super) fn foreign_until(signer: &Signer, evidence: &Evidence<'_>) -> Option<SystemTime> {
    let unrecorded_ttl = evidence.limits.unrecorded_ttl;
    let last_second = signer.first_loaded + unrecorded_ttl;
    let until = evidence.gone_at(last_second.min(signer.not_after));
    let may_live = !unrecorded_ttl.is_zero() && evidence.now < until;
    (may_live && signer.may_have_unrecorded_leaves()).then_some(until)
}

/// Until when there may be leaves of `signer` that a ledger lost.
pub(super) fn lost_until(signer: &Signer, evidence: &Evidence<'_>) -> Option<SystemTime> {
    let last_second = evidence.unrecorded_until?.min(signer.not_after);
    let until = evidence.gone_at(last_second);
    (signer.has_signed && evidence.now < until).then_some(until)
}

/// What leaves of `signer` that the ledger does not have stand against.
pub(super) fn unrecorded<'a>(
    signer: &'a Signer,
    evidence: &Evidence<'_>,
) -> impl Iterator<Item = Obstacle> + use<'a> {
    let foreign = foreign_until(signer, evidence).map(|until| Obstacle::Unrecorded {
        issuer: Some(signer.issuer),
        until,
    });
    let lost = lost_until(signer, evidence).map(|until| Obstacle::Unrecorded {
        issuer: None,
        until,
    });
    foreign.into_iter().chain(lost)
}
