//! How much of a room does each take? No process, and nobody who is refused, can take it all.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Those who share a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    Refused,
    Process(Option<i32>),
}

/// Places, and who has them.
pub(crate) struct Room {
    limits: Limits,
    taken: Mutex<BTreeMap<Party, usize>>,
    tell: Box<dyn Fn(usize) + Send + Sync>,
}

/// Places for all, and for each party.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) all: usize,
    pub(crate) of_a_process: usize,
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
        }
    }

    /// A place; `None` where the party has too many, or all have.
    pub(crate) fn take(self: &Arc<Self>, party: Party) -> Option<Place> {
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
        (self.tell)(all + 1);
        drop(taken);
        Some(Place {
            room: Arc::clone(self),
            party,
        })
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

/// Given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    room: Arc<Room>,
    party: Party,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        match taken.get_mut(&self.party) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.party)),
        }
        (self.room.tell)(taken.values().sum());
    }
}
