//! Which workloads' identities may a peer have? The allow rules of all workloads, in the order in which they are listed.

use std::sync::Arc;

use crate::socket::Peer;
use crate::workload_api::AllowRule;

/// A rule and a name for each place on the board.
#[derive(Clone, Debug)]
pub(crate) struct Roster(Arc<[Entry]>);

#[derive(Debug)]
struct Entry {
    /// `None` where there is only one workload.
    name: Option<String>,
    allow: AllowRule,
}

/// The places whose identities a peer may have; the first is its default.
#[derive(Clone, Debug)]
pub(crate) struct Grants(Arc<[usize]>);

impl Roster {
    /// One workload without a name.
    pub(crate) fn of_one(allow: AllowRule) -> Self {
        Self(Arc::new([Entry { name: None, allow }]))
    }

    /// Several, by name.
    pub(crate) fn of(workloads: impl IntoIterator<Item = (String, AllowRule)>) -> Self {
        let entry = |(name, allow)| Entry {
            name: Some(name),
            allow,
        };
        Self(workloads.into_iter().map(entry).collect())
    }

    pub(crate) fn grants(&self, peer: &Peer) -> Grants {
        let is_allowed = |(_, entry): &(usize, &Entry)| entry.allow.allows(peer);
        let places = self.0.iter().enumerate().filter(is_allowed);
        Grants(places.map(|(place, _)| place).collect())
    }

    /// What the workload is called; nothing where there is only one.
    pub(crate) fn name(&self, place: usize) -> &str {
        let entry = self.0.get(place);
        entry
            .and_then(|entry| entry.name.as_deref())
            .unwrap_or_default()
    }
}

impl Grants {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose identity is a peer's if it asks for none by name.
    pub(crate) fn default_place(&self) -> Option<usize> {
        self.0.first().copied()
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = usize> {
        self.0.iter().copied()
    }

    pub(crate) fn has(&self, place: usize) -> bool {
        self.0.contains(&place)
    }

    #[cfg(test)]
    pub(crate) fn of(places: &[usize]) -> Self {
        Self(places.into())
    }
}
