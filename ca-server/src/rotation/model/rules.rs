//! What can be left out of the world? Each clause of each gate, and each habit of those who act on the gates.

use crate::rotation::gates::Clause;
use crate::rotation::gates::Clauses;

/// One thing that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Omission {
    Activate(Clause),
    Retire(Clause),
    Publish(Clause),
    Habit(Habit),
}

/// What everybody does besides asking gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// The ledger refuses an intent whose issuer or bundle is not current.
    TermsAreChecked,
    /// A client keeps the newest bundle that it ever got.
    NeverAnOlderBundle,
    /// Roots are served before leaves that need them.
    RootsBeforeLeaves,
    /// The record is on disk before anything is done.
    PersistedFirst,
    /// An agent acknowledges what is served, not what is written.
    AcknowledgedWhenServed,
}

/// The rules of a world.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    omission: Option<Omission>,
}

impl Rules {
    pub(super) const ALL: Self = Self { omission: None };

    pub(super) const fn without(omission: Omission) -> Self {
        Self {
            omission: Some(omission),
        }
    }

    pub(super) fn is_all(self) -> bool {
        self.omission.is_none()
    }

    pub(super) fn activate(self) -> Clauses {
        match self.omission {
            Some(Omission::Activate(clause)) => Clauses::without(clause),
            _ => Clauses::ALL,
        }
    }

    pub(super) fn retire(self) -> Clauses {
        match self.omission {
            Some(Omission::Retire(clause)) => Clauses::without(clause),
            _ => Clauses::ALL,
        }
    }

    pub(super) fn publish(self) -> Clauses {
        match self.omission {
            Some(Omission::Publish(clause)) => Clauses::without(clause),
            _ => Clauses::ALL,
        }
    }

    pub(super) fn keep(self, habit: Habit) -> bool {
        self.omission != Some(Omission::Habit(habit))
    }
}
