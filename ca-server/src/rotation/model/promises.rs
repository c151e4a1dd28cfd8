//! What must never be? And what must always be possible?

use super::search::Event;
use super::search::Model;
use super::state::Leaf;
use super::state::Request;
use super::state::Set;
use super::state::State;

/// What is promised, and whether it holds.
type Promise = (&'static str, fn(&Model, &State) -> bool);

impl Model {
    /// The promise that `state` breaks.
    pub(super) fn broken_promise(&self, state: &State) -> Option<&'static str> {
        let promises: [Promise; 6] = [
            ("the record is consistent", Self::is_consistent),
            (
                "two live workloads can always complete a handshake",
                Self::all_can_talk,
            ),
            (
                "every live leaf's root is in the trust bundle",
                Self::all_are_anchored,
            ),
            (
                "a slow clock accepts every leaf's CA",
                Self::none_is_too_young,
            ),
            (
                "who polls accepts every live leaf",
                Self::poller_accepts_all,
            ),
            (
                "a root that the operator lists is in the bundle",
                Self::lists_are_kept,
            ),
        ];
        promises
            .into_iter()
            .find(|(_, holds)| !holds(self, state))
            .map(|(name, _)| name)
    }

    /// The promise that `event` broke by leading to `state`.
    pub(super) fn broken_by(&self, event: Event, state: &State) -> Option<&'static str> {
        let facts = self.facts(state);
        match event {
            Event::Retire(which)
                if facts.tainted.has(which)
                    && live_leaves(state).any(|leaf| leaf.issuer == which) =>
            {
                Some("a stolen key is remembered while leaves of it live")
            }
            Event::Drop(_) | Event::Retire(_) | Event::Taint(_) => {
                // A root that is trimmed by mistake is withheld from leaving, which no retirement undoes.
                let withheld = match event {
                    Event::Retire(_) => state.bundle.roots.without(facts.dropped_roots),
                    _ => Set::default(),
                };
                let kept = |leaf: Leaf| facts.roots.or(withheld).has(self.root_of(leaf.issuer));
                (!live_leaves(state).all(kept))
                    .then_some("no signer is forgotten while a live leaf needs its root")
            }
            Event::Activate => {
                let is_over = facts.active == 1 && self.world.b_lives > 0 && state.b_left < 1;
                is_over.then_some("who is over does not begin to sign")
            }
            _ => None,
        }
    }

    /// Whether no rotation is going on and everything is as the record says.
    pub(super) fn is_steady(&self, state: &State) -> bool {
        self.facts(state).is_steady && self.is_in_line(state) && self.is_all_out(state)
    }

    fn is_consistent(&self, state: &State) -> bool {
        self.facts(state).is_consistent
    }

    fn all_can_talk(&self, state: &State) -> bool {
        let live = || {
            state
                .clients
                .iter()
                .filter_map(|client| Some((client, client.served_leaf?)))
        };
        live().all(|(_, leaf)| {
            live().all(|(peer, _)| {
                let passes = peer
                    .served
                    .crl
                    .is_none_or(|covered| covered.has(leaf.issuer));
                peer.served.roots.has(self.root_of(leaf.issuer)) && passes
            })
        })
    }

    fn all_are_anchored(&self, state: &State) -> bool {
        live_leaves(state).all(|leaf| state.bundle.roots.has(self.root_of(leaf.issuer)))
    }

    fn none_is_too_young(&self, state: &State) -> bool {
        let mut served = state.clients.iter().filter_map(|client| client.served_leaf);
        served.all(|leaf| state.ages[usize::from(leaf.issuer)] >= self.world.slow)
    }

    fn poller_accepts_all(&self, state: &State) -> bool {
        let mut served = state.clients.iter().filter_map(|client| client.served_leaf);
        served.all(|leaf| !self.world.polled || state.poller.has(self.root_of(leaf.issuer)))
    }

    fn lists_are_kept(&self, state: &State) -> bool {
        !state.listed || state.bundle.roots.has(0)
    }

    pub(super) fn root_of(&self, issuer: u8) -> u8 {
        self.world.roots[usize::from(issuer)]
    }
}

/// Every leaf that is or may come into use.
fn live_leaves(state: &State) -> impl Iterator<Item = Leaf> {
    let leaves = state.clients.iter().flat_map(|client| {
        let answered = match client.request {
            Request::Answered { leaf, .. } => Some(leaf),
            _ => None,
        };
        [client.written_leaf, client.served_leaf, answered]
    });
    leaves.flatten()
}
