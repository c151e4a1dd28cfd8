//! May the next signer sign? When everybody who serves a leaf accepts what it will sign.

use std::time::SystemTime;

use super::Clause;
use super::Clauses;
use super::Evidence;
use super::Obstacle;
use super::Opening;
use super::Record;
use super::Signer;
use super::has_come;
use super::is_known_to_holders_of;
use super::leaves;
use crate::rotation::obstacle::HolderName;

pub(super) fn obstacles(
    record: &Record,
    evidence: &Evidence<'_>,
    clauses: Clauses,
) -> Vec<Obstacle> {
    let Some(next) = record.next_signer() else {
        return vec![Obstacle::NothingPrepared];
    };
    let own = own_obstacles(next, evidence, clauses);
    let others = relying_obstacles(record, next, evidence, clauses);
    own.into_iter().chain(others).collect()
}

/// Why waiting breaks more than going on does.
pub(super) fn overruled(record: &Record, evidence: &Evidence<'_>) -> Option<Opening> {
    let active = record.active_signer()?;
    if has_come(active.deadline, evidence.now) {
        return Some(Opening::Deadline);
    }
    (evidence.now >= last_moment(active, evidence)).then_some(Opening::IssuerEnds)
}

/// Whether somebody accepts the next signer only by a certificate that it sends along.
pub(super) fn rests_on_cross_certificate(record: &Record, evidence: &Evidence<'_>) -> bool {
    let Some(next) = record.next_signer() else {
        return false;
    };
    let own = evidence.since.get(&next.root).copied();
    let knows_root = |holding| own.is_some_and(|own| leaves::is_at(holding, own, Clauses::ALL));
    evidence.live_holdings().any(|holding| !knows_root(holding))
}

/// What the signer itself lacks.
fn own_obstacles(next: &Signer, evidence: &Evidence<'_>, clauses: Clauses) -> Vec<Obstacle> {
    let issuer = next.issuer;
    let mut obstacles = Vec::new();
    if clauses.hold(Clause::KeyHere) && !evidence.next_is_here {
        obstacles.push(Obstacle::KeyGone { issuer });
    }
    if clauses.hold(Clause::Published) && !evidence.since.contains_key(&next.root) {
        obstacles.push(Obstacle::NotPublished {
            issuer,
            root: next.root,
        });
    }
    if clauses.hold(Clause::Covered) && evidence.passes_crls_since(&issuer).is_none() {
        obstacles.push(Obstacle::Uncovered { issuer });
    }
    if clauses.hold(Clause::NotOver) && next.is_over_at(evidence.now) {
        obstacles.push(Obstacle::Expired {
            issuer,
            at: next.not_after,
        });
    }
    if clauses.hold(Clause::Fresh) {
        obstacles.extend(youth(next, evidence));
    }
    obstacles
}

fn youth(next: &Signer, evidence: &Evidence<'_>) -> Option<Obstacle> {
    let until = next.not_before + evidence.limits.fresh_ca;
    if evidence.now < next.not_before {
        return Some(Obstacle::NotYetValid {
            issuer: next.issuer,
            from: next.not_before,
        });
    }
    (evidence.now < until).then_some(Obstacle::TooFresh { until })
}

/// Who may not accept it yet.
fn relying_obstacles(
    record: &Record,
    next: &Signer,
    evidence: &Evidence<'_>,
    clauses: Clauses,
) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    if let Some(needs) = needed(next, evidence)
        && clauses.hold(Clause::Delivered)
    {
        obstacles.extend(behind(needs, evidence, clauses));
    }
    if clauses.hold(Clause::Unrecorded) {
        let others = record.signers.iter();
        let others = others.filter(|signer| signer.issuer != next.issuer);
        let strangers = others.filter(|signer| !is_known_to_holders_of(next, signer));
        obstacles.extend(strangers.flat_map(|signer| leaves::unrecorded(signer, evidence)));
    }
    if let Some(until) = evidence.hints_until
        && clauses.hold(Clause::Polled)
        && evidence.now < until
        && !is_known_to_pollers(record, next)
    {
        obstacles.push(Obstacle::RefreshHints { until });
    }
    obstacles
}

/// Who uses no bundle of number `needs` or later, as far as can be told.
pub(super) fn behind(needs: u64, evidence: &Evidence<'_>, clauses: Clauses) -> Vec<Obstacle> {
    let live = leaves::live(evidence, clauses);
    let behind = live.filter(|holding| !leaves::is_at(holding, needs, clauses));
    behind
        .map(|holding| Obstacle::Behind {
            holder: HolderName::of(holding),
            bundle: holding.bundle,
            needs,
            until: evidence.gone_at(holding.last_second),
        })
        .collect()
}

/// The first number from which on every bundle accepts `next`; `None` when the one in force does not.
fn needed(next: &Signer, evidence: &Evidence<'_>) -> Option<u64> {
    let anchors = next.anchors();
    let since = anchors.filter_map(|anchor| evidence.since.get(&anchor).copied());
    let accepted = since.min()?;
    let passes = evidence.passes_crls_since(&next.issuer);
    Some(passes.map_or(accepted, |passes| passes.max(accepted)))
}

/// Who polls keeps what it learned for three refresh hints. It accepts what is accepted by the root that signed
/// meanwhile, and what was published before and never left.
fn is_known_to_pollers(record: &Record, next: &Signer) -> bool {
    let active = record.active_signer();
    next.has_signed || active.is_some_and(|active| is_known_to_holders_of(next, active))
}

/// From then on waiting breaks more: leaves get ever shorter, and end with the chain.
pub(super) fn last_moment(active: &Signer, evidence: &Evidence<'_>) -> SystemTime {
    let before = (evidence.limits.default_ttl / 10).min(LAST_HOUR);
    active
        .not_after
        .checked_sub(before)
        .unwrap_or(active.not_after)
}

const LAST_HOUR: std::time::Duration = std::time::Duration::from_secs(60 * 60);
