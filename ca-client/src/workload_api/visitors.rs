//! Who is here? Each with a place in a [`Room`], as one whom the rule names or as one of the refused.

use std::sync::Arc;

use super::report::Report;
use crate::roster::Roster;
use crate::socket::Limits;
use crate::socket::Party;
use crate::socket::Peer;
use crate::socket::Place;
use crate::socket::Room;

/// All connections and calls.
#[derive(Debug)]
pub(super) struct Visitors {
    roster: Roster,
    pub(super) report: Arc<Report>,
    connections: Arc<Room>,
    calls: Arc<Room>,
}

impl Visitors {
    pub(super) fn new(roster: Roster, report: Arc<Report>) -> Self {
        let told = Arc::clone(&report);
        let calls = Room::counted(CALLS, move |taken| told.streams(taken));
        Self {
            roster,
            report,
            connections: Arc::new(Room::new(CONNECTIONS)),
            calls: Arc::new(calls),
        }
    }

    pub(super) fn is_allowed(&self, peer: &Peer) -> bool {
        !self.roster.grants(peer).is_empty()
    }

    /// A place for a connection; `None` where the peer has too many.
    pub(super) fn connect(&self, peer: &Peer) -> Option<Place> {
        let party = self.party(peer);
        match party {
            Party::Refused => self.report.refused(peer),
            Party::Process(..) => self.report.admitted(peer),
        }
        self.connections.take(party)
    }

    /// A place for a call; `None` where the peer has too many, or all have.
    pub(super) fn call(&self, peer: &Peer) -> Option<Place> {
        self.calls.take(self.party(peer))
    }

    fn party(&self, peer: &Peer) -> Party {
        Party::of(peer, self.is_allowed(peer))
    }
}

const CONNECTIONS: Limits = Limits {
    all: crate::socket::MOST_CONNECTIONS,
    of_a_party: crate::socket::MOST_CONNECTIONS / 2,
    of_a_user: crate::socket::MOST_CONNECTIONS / 5 * 4,
    of_the_refused: 50,
};
const CALLS: Limits = Limits {
    all: 2000,
    of_a_party: MOST_CALLS,
    of_a_user: 1600,
    of_the_refused: 50,
};
/// Of one process, also over one connection.
pub(super) const MOST_CALLS: usize = 1000;
