//! Who is here, and how much of the room does each take? No process, and nobody who is refused, can take it all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use super::report::Report;
use crate::roster::Roster;
use crate::socket::Peer;

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
        Self {
            roster,
            report,
            connections: Arc::new(Room::new(CONNECTIONS)),
            calls: Arc::new(Room::new(CALLS)),
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
            Party::Process(_) => self.report.admitted(peer),
        }
        self.connections.take(party, None)
    }

    /// A place for a call; `None` where the peer has too many, or all have.
    pub(super) fn call(&self, peer: &Peer) -> Option<Place> {
        let report = Arc::clone(&self.report);
        self.calls.take(self.party(peer), Some(report))
    }

    fn party(&self, peer: &Peer) -> Party {
        match self.is_allowed(peer) {
            true => Party::Process(peer.pid),
            false => Party::Refused,
        }
    }
}

/// Those who share a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Party {
    Refused,
    Process(Option<i32>),
}

#[derive(Debug)]
struct Room {
    limits: Limits,
    taken: Mutex<BTreeMap<Party, usize>>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    all: usize,
    of_a_process: usize,
    of_the_refused: usize,
}

impl Room {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            taken: Mutex::default(),
        }
    }

    fn take(self: &Arc<Self>, party: Party, report: Option<Arc<Report>>) -> Option<Place> {
        let mut taken = self.taken();
        let limit = match party {
            Party::Refused => self.limits.of_the_refused,
            Party::Process(_) => self.limits.of_a_process,
        };
        let all: usize = taken.values().sum();
        let of_it = taken.get(&party).copied().unwrap_or(0);
        if all >= self.limits.all || of_it >= limit {
            return None;
        }
        taken.insert(party, of_it + 1);
        if let Some(report) = &report {
            report.streams(all + 1);
        }
        drop(taken);
        Some(Place {
            room: Arc::clone(self),
            party,
            report,
        })
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<Party, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    party: Party,
    report: Option<Arc<Report>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        match taken.get_mut(&self.party) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.party)),
        }
        if let Some(report) = &self.report {
            report.streams(taken.values().sum());
        }
    }
}

const CONNECTIONS: Limits = Limits {
    all: crate::socket::MOST_CONNECTIONS,
    of_a_process: crate::socket::MOST_CONNECTIONS - 100,
    of_the_refused: 50,
};
const CALLS: Limits = Limits {
    all: 2000,
    of_a_process: MOST_CALLS,
    of_the_refused: 50,
};
/// Of one process, also over one connection.
pub(super) const MOST_CALLS: usize = 1000;
