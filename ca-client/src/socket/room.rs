//! How much of a room does each take? No process, no user, and nobody who is refused, can take it all. What a room has may be
//! places, or octets.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::watch;

use super::peer::Peer;

/// Those who share a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    Refused,
    /// By its user and its number; those without one are outside our namespace, and not to be told apart.
    Process(u32, Option<i32>),
}

impl Party {
    pub(crate) fn of(peer: &Peer, is_allowed: bool) -> Self {
        match is_allowed {
            true => Self::Process(peer.uid, peer.pid),
            false => Self::Refused,
        }
    }

    /// Whose processes share another limit, so that no workload takes what is others'.
    fn is_of_same_user(self, other: Self) -> bool {
        match (self, other) {
            (Self::Process(one, _), Self::Process(other, _)) => one == other,
            (one, other) => one == other,
        }
    }
}

/// Places, and who has them.
pub(crate) struct Room {
    limits: Limits,
    taken: Mutex<BTreeMap<Party, usize>>,
    tell: Box<dyn Fn(usize) + Send + Sync>,
    freed: watch::Sender<()>,
}

/// How much there is in all, for each party, and for all parties of one user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) all: usize,
    pub(crate) of_a_party: usize,
    pub(crate) of_a_user: usize,
    pub(crate) of_the_refused: usize,
}

impl Room {
    pub(crate) fn new(limits: Limits) -> Self {
        Self::counted(limits, |_taken| {})
    }

    /// One that tells how much is taken whenever that changes.
    pub(crate) fn counted(limits: Limits, tell: impl Fn(usize) + Send + Sync + 'static) -> Self {
        Self {
            limits,
            taken: Mutex::default(),
            tell: Box::new(tell),
            freed: watch::Sender::new(()),
        }
    }

    /// A place; `None` where the party has too many, or all have.
    pub(crate) fn take(self: &Arc<Self>, party: Party) -> Option<Place> {
        self.take_many(party, 1)
    }

    /// As many at once.
    pub(crate) fn take_many(self: &Arc<Self>, party: Party, amount: usize) -> Option<Place> {
        let mut place = Place {
            room: Arc::clone(self),
            party,
            amount: 0,
        };
        place.resize(amount).then_some(place)
    }

    /// As many at once, as soon as there are; who wants more than its share gets that.
    pub(crate) async fn wait_for(self: &Arc<Self>, party: Party, amount: usize) -> Place {
        let amount = amount.min(self.limit(party));
        let mut freed = self.freed.subscribe();
        loop {
            if let Some(place) = self.take_many(party, amount) {
                return place;
            }
            // The sender is ours, and so is there.
            drop(freed.changed().await);
        }
    }

    fn limit(&self, party: Party) -> usize {
        match party {
            Party::Refused => self.limits.of_the_refused,
            Party::Process(..) => self.limits.of_a_party,
        }
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<Party, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("limits", &self.limits)
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

/// One place or many, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    room: Arc<Room>,
    party: Party,
    amount: usize,
}

impl Place {
    /// Whether it is of this size from now on; else it is as it was.
    pub(crate) fn resize(&mut self, amount: usize) -> bool {
        let mut taken = self.room.taken();
        let of_it = taken.get(&self.party).copied().unwrap_or(0);
        let of_others = taken.values().sum::<usize>() - of_it;
        let same_user = taken
            .iter()
            .filter(|(party, _)| party.is_of_same_user(self.party));
        let of_the_user = same_user.map(|(_, taken)| taken).sum::<usize>() - of_it;
        let of_it = of_it - self.amount + amount;
        let limits = &self.room.limits;
        let is_too_much = of_it > self.room.limit(self.party)
            || of_it + of_the_user > limits.of_a_user
            || of_it + of_others > limits.all;
        if amount > self.amount && is_too_much {
            return false;
        }
        match of_it {
            0 => taken.remove(&self.party),
            _ => taken.insert(self.party, of_it),
        };
        (self.room.tell)(of_it + of_others);
        drop(taken);
        if amount < self.amount {
            self.room.freed.send_replace(());
        }
        self.amount = amount;
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.resize(0);
    }
}
