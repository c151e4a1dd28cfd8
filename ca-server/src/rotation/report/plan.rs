//! What is to be expected of a rotation that begins now, or goes on? Dates at the latest: nobody acknowledges anything.

use std::time::Duration;
use std::time::SystemTime;

use super::Evidence;
use super::Obstacle;
use super::Record;
use super::gates;

/// The dates of a rotation, as if nobody acknowledged anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// When it was made.
    pub now: SystemTime,
    /// When the last leaf is dead that came without the next signer's root; `None` when somebody has to do something
    /// before, or the next signer signs already.
    pub activate_at: Option<SystemTime>,
    /// When the last leaf of those that go is dead, as far as they exist today.
    pub last_leaf_gone: Option<SystemTime>,
    /// Until when issuer, chain and root of the active signer are valid.
    pub issuer_ends: SystemTime,
    /// From then on the next signer signs whatever stands against it, since waiting breaks more.
    pub last_moment: SystemTime,
    /// The longest lifetime of a leaf meanwhile.
    pub longest_ttl: Duration,
    /// What is added to a leaf's last second until it is dead on every clock.
    margin: Duration,
}

impl Plan {
    pub(super) fn of(record: &Record, evidence: &Evidence<'_>, longest_ttl: Duration) -> Self {
        let active = record.active_signer();
        let issuer_ends = active.map_or(evidence.now, |active| active.not_after);
        let drains = record.draining().next().is_some() && record.next.is_none();
        let leaves = evidence
            .live_holdings()
            .filter(|holding| !drains || holding.issuer != record.active);
        let gone = leaves.map(|holding| evidence.gone_at(holding.last_second));
        Self {
            now: evidence.now,
            activate_at: match drains {
                true => None,
                false => activate_at(record, evidence),
            },
            last_leaf_gone: gone.max(),
            issuer_ends,
            last_moment: active.map_or(issuer_ends, |active| gates::last_moment(active, evidence)),
            longest_ttl,
            margin: Duration::from_secs(1) + evidence.limits.backdating,
        }
    }

    /// The same when leaves live no longer than `renew_within`.
    #[must_use]
    pub fn within(self, renew_within: Duration) -> Self {
        Self {
            longest_ttl: self.longest_ttl.min(renew_within),
            ..self
        }
    }

    /// When the signer that goes can retire at the latest.
    #[must_use]
    pub fn retire_at(&self) -> Option<SystemTime> {
        let Some(activation) = self.activation() else {
            return self.last_leaf_gone;
        };
        // Up to the last moment before, the old one signs leaves of full length, but none outlives its chain.
        let last = activation + self.longest_ttl + self.margin;
        let last = last.min(self.issuer_ends + self.margin);
        Some(self.last_leaf_gone.map_or(last, |gone| gone.max(last)))
    }

    /// When the next signer signs at the latest, one way or the other.
    #[must_use]
    pub fn activation(&self) -> Option<SystemTime> {
        self.activate_at
            .map(|at| at.min(self.last_moment).max(self.now))
    }

    /// Whether the active chain ends before everybody knows the next root.
    #[must_use]
    pub fn breaks(&self) -> bool {
        self.activate_at.is_some_and(|at| at > self.last_moment)
    }
}

fn activate_at(record: &Record, evidence: &Evidence<'_>) -> Option<SystemTime> {
    let is_published = record.next_signer().is_some_and(|next| next.published);
    if is_published {
        let obstacles = gates::activation_obstacles(record, evidence);
        let dates: Option<Vec<SystemTime>> = obstacles.iter().map(Obstacle::until).collect();
        return Some(dates?.into_iter().max().unwrap_or(evidence.now));
    }
    // Whatever is alive came without a root that is not published.
    let leaves = evidence
        .live_holdings()
        .map(|holding| evidence.gone_at(holding.last_second));
    let unknown = gates::unrecorded_leaves(record, evidence);
    let unknown = unknown.iter().filter_map(Obstacle::until);
    let dates = leaves.chain(unknown).chain(evidence.hints_until);
    Some(dates.max().unwrap_or(evidence.now))
}
