//! How much may the readers cost in all? Places for connections and calls, streams and fetches together, and octets for
//! what is half said and half sent. With what h2 needs for each of them, that is well below 64 MiB.

use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::streams::Streams;
use crate::roster::Grants;
use crate::roster::Roster;
use crate::socket::HangUp;
use crate::socket::Limits;
use crate::socket::MOST_CONNECTIONS;
use crate::socket::Party;
use crate::socket::Peer;
use crate::socket::Place;
use crate::socket::Room;

/// Everything that there is to be had.
#[derive(Debug)]
pub(super) struct Rooms {
    roster: Roster,
    streams: Arc<Streams>,
    connections: Arc<Room>,
    calls: Arc<Room>,
    unread: Arc<Room>,
    unsent: Arc<Room>,
}

impl Rooms {
    /// Those of `streams`, whose report is told how many there are.
    pub(super) fn new(streams: &Arc<Streams>, roster: Roster) -> Self {
        let told = Arc::clone(streams);
        let calls = Room::counted(CALLS, move |taken| told.report.streams(taken));
        Self {
            roster,
            streams: Arc::clone(streams),
            connections: Arc::new(Room::new(CONNECTIONS)),
            calls: Arc::new(calls),
            unread: Arc::new(Room::new(OCTETS)),
            unsent: Arc::new(Room::new(OCTETS)),
        }
    }

    /// A place for a connection; `None` where the peer has too many.
    pub(super) fn connect(&self, peer: &Peer) -> Option<Place> {
        let party = Party::of(peer, !self.grants(peer).is_empty());
        if party == Party::Refused {
            self.streams.report.turned_away(peer);
        }
        self.connections.take(party)
    }

    /// What a peer may have.
    pub(super) fn grants(&self, peer: &Peer) -> Grants {
        self.roster.grants(peer)
    }

    /// A call, and the place of what it has begun to say; `None` where the peer has too many, or all have.
    pub(super) fn call(
        &self,
        peer: Peer,
        grants: Grants,
        hang_up: HangUp,
    ) -> Option<(Call, Place)> {
        let party = Party::of(&peer, !grants.is_empty());
        let place = self.calls.take(party)?;
        let unread = self.unread.take_many(party, 0)?;
        let call = Call::new(
            (peer, grants),
            (party, place),
            Arc::clone(&self.unsent),
            hang_up,
            PATIENCE,
        );
        Some((call, unread))
    }
}

const CONNECTIONS: Limits = Limits {
    all: MOST_CONNECTIONS,
    of_a_party: MOST_CONNECTIONS / 5,
    of_a_user: MOST_CONNECTIONS / 5 * 4,
    of_the_refused: 50,
};
/// An Envoy has a stream for each name. Each costs some 50 KiB in buffers of tonic and h2, a connection half of that.
const CALLS: Limits = Limits {
    all: 500,
    of_a_party: 230,
    of_a_user: 400,
    of_the_refused: 50,
};
/// Either way. An Envoy begins with 60 KiB on itself; a revocation list may be as large.
const OCTETS: Limits = Limits {
    all: 4 * 1024 * 1024,
    of_a_party: 1024 * 1024,
    of_a_user: 3 * 1024 * 1024,
    of_the_refused: 256 * 1024,
};
/// For an answer to be taken, as for one to a ping.
const PATIENCE: Duration = Duration::from_secs(30);
