//! Who is here? Each with a place in a [`Room`], as one whom the rule names or as one of the refused.

use std::sync::Arc;

use super::allow::AllowRule;
use super::report::Report;
use crate::socket::Limits;
use crate::socket::Party;
use crate::socket::Peer;
use crate::socket::Place;
use crate::socket::Room;

/// All connections and calls.
#[derive(Debug)]
pub(super) struct Visitors {
    allow: AllowRule,
    pub(super) report: Arc<Report>,
    connections: Arc<Room>,
    calls: Arc<Room>,
}

impl Visitors {
    pub(super) fn new(allow: AllowRule, report: Arc<Report>) -> Self {
        let told = Arc::clone(&report);
        let calls = Room::counted(CALLS, move |taken| told.streams(taken));
        Self {
            allow,
            report,
            connections: Arc::new(Room::new(CONNECTIONS)),
            calls: Arc::new(calls),
        }
    }

    pub(super) fn is_allowed(&self, peer: &Peer) -> bool {
        self.allow.allows(peer)
    }

    /// A place for a connection; `None` where the peer has too many.
    pub(super) fn connect(&self, peer: &Peer) -> Option<Place> {
        let party = self.party(peer);
        match party {
            Party::Refused => self.report.refused(peer),
            Party::Process(_) | Party::User(_) => self.report.admitted(peer),
        }
        self.connections.take(party)
    }

    /// A place for a call; `None` where the peer has too many, or all have.
    pub(super) fn call(&self, peer: &Peer) -> Option<Place> {
        self.calls.take(self.party(peer))
    }

    fn party(&self, peer: &Peer) -> Party {
        match self.is_allowed(peer) {
            true => Party::of(peer),
            false => Party::Refused,
        }
    }
}

const CONNECTIONS: Limits = Limits {
    all: crate::socket::MOST_CONNECTIONS,
    of_a_party: crate::socket::MOST_CONNECTIONS - 100,
    of_the_refused: 50,
};
const CALLS: Limits = Limits {
    all: 2000,
    of_a_party: MOST_CALLS,
    of_the_refused: 50,
};
/// Of one process, also over one connection.
pub(super) const MOST_CALLS: usize = 1000;
