//! How is each promise broken where something is left out? The shortest ways, as a search printed them.
//!
//! Walked with every test run; `SIGNET_MODEL_STATES` makes the tests search for them again. A way is the events as
//! `Debug` writes them.

use super::rules::Habit;
use super::rules::Omission;
use super::worlds;
use super::worlds::World;
use crate::rotation::gates::Clause;

/// What is left out, the world in which that breaks a promise, and how.
pub(super) const WAYS: &[(Omission, World, &str)] = &[
    (
        Omission::Activate(Clause::Published),
        worlds::BASE.promptly(),
        "Drop(1), Activate, WriteBundle, SetTerms, Swap, Push, Tick, Ask(0), Sign(0), Deliver(0), \
         ServeRoots(0), ServeLeaf(0)",
    ),
    (
        Omission::Activate(Clause::Delivered),
        worlds::BASE.promptly(),
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, Activate, SetTerms, Swap, Tick, Ask(0), \
         Sign(0), Deliver(0), ServeRoots(0), ServeLeaf(0)",
    ),
    (
        Omission::Activate(Clause::AcknowledgedByHolder),
        worlds::IMPERSONATED.promptly(),
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, Receive(0), ServeRoots(0), Acknowledge(0), \
         Activate, SetTerms, Swap, Tick, Ask(0), Sign(0), Deliver(0), ServeLeaf(0)",
    ),
    (
        Omission::Activate(Clause::AcknowledgedByOne),
        worlds::COPIED.promptly(),
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, Receive(0), ServeRoots(0), Acknowledge(0), \
         Activate, SetTerms, Swap, Tick, Ask(0), Sign(0), Deliver(0), ServeLeaf(0)",
    ),
    (
        Omission::Activate(Clause::Fresh),
        worlds::SLOW.promptly(),
        "Tick, Tick, Tick, Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, Activate, SetTerms, Swap, \
         Ask(0), Sign(0), Deliver(0), ServeRoots(0), ServeLeaf(0)",
    ),
    (
        Omission::Activate(Clause::Margin),
        worlds::SLOW.promptly(),
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, Tick, Tick, Activate, SetTerms, Swap, \
         Ask(0), Sign(0), Deliver(0), ServeRoots(0), ServeLeaf(0)",
    ),
    (
        Omission::Activate(Clause::NotOver),
        worlds::BRIEF.promptly(),
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, Tick, Tick, Activate",
    ),
    (
        Omission::Activate(Clause::Polled),
        worlds::POLLED.promptly(),
        "Drop(1), Poll, Tick, Poll, Distribute, WriteBundle, SetTerms, Swap, Push, Tick, Activate, SetTerms, \
         Swap, Ask(0), Sign(0), Deliver(0), ServeRoots(0), ServeLeaf(0)",
    ),
    (
        Omission::Activate(Clause::Covered),
        worlds::REVOKING.promptly(),
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, GiveCrls(Some(Set(1))), WriteBundle, \
         SetTerms, Swap, Push, Tick, Tick, Activate, SetTerms, Swap, Ask(0), Sign(0), Deliver(0), \
         ServeRoots(0), ServeLeaf(0)",
    ),
    (
        Omission::Activate(Clause::Unrecorded),
        worlds::LOST.promptly(),
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, Activate, SetTerms, Swap, Tick, Ask(0), \
         Sign(0), Deliver(0), ServeRoots(0), ServeLeaf(0)",
    ),
    (
        Omission::Activate(Clause::Unrecorded),
        worlds::ELSEWHERE.promptly(),
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, Activate, SetTerms, Swap, Tick, Ask(0), \
         Sign(0), Deliver(0), ServeRoots(0), ServeLeaf(0)",
    ),
    (
        Omission::Retire(Clause::NotInUse),
        worlds::BASE.promptly(),
        "Drop(1), Retire(1)",
    ),
    (
        Omission::Retire(Clause::NoLiveLeaf),
        worlds::BASE.promptly(),
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, Tick, Ask(0), Sign(0), Tick, Activate, \
         SetTerms, Swap, Retire(0)",
    ),
    (
        Omission::Retire(Clause::NoLeafOfItsOwn),
        worlds::REVOKING_SIBLINGS.promptly(),
        "Drop(1), Activate, SetTerms, Swap, GiveCrls(Some(Set(3))), WriteBundle, SetTerms, Swap, Push, \
         Retire(0), WriteBundle, SetTerms, Swap, Push, Tick, Ask(0), Sign(0), Deliver(0), ServeRoots(0)",
    ),
    (
        Omission::Retire(Clause::NoLeafOfItsOwn),
        worlds::TAINTED_SIBLING.promptly(),
        "Drop(1), Activate, SetTerms, Swap, Taint(0), Retire(0)",
    ),
    (
        Omission::Retire(Clause::Margin),
        worlds::SLOW.promptly(),
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, Tick, Ask(0), Sign(0), Tick, Tick, Activate, \
         SetTerms, Swap, Retire(0)",
    ),
    (
        Omission::Retire(Clause::NotListed),
        worlds::LISTED.promptly(),
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, Tick, Tick, Activate, SetTerms, Swap, \
         Retire(0), WriteBundle",
    ),
    (
        Omission::Retire(Clause::Unrecorded),
        worlds::SAME_ROOT.promptly(),
        "Drop(1), Activate, SetTerms, Swap, Retire(0), Drop(2), Distribute, WriteBundle, SetTerms, Swap, \
         Push, Activate, SetTerms, Swap, Retire(1)",
    ),
    (
        Omission::Retire(Clause::GoneByNewest),
        worlds::HASTY.promptly(),
        "Acknowledge(0), Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, Hasten, Tick, Ask(0), \
         Sign(0), Deliver(0), Tick, Activate, SetTerms, Swap, Ask(0), Sign(0), Retire(0)",
    ),
    (
        Omission::Retire(Clause::GoneByOtherRoot),
        worlds::HASTY.promptly(),
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, Hasten, Tick, Ask(0), Sign(0), Deliver(0), \
         ServeRoots(0), ServeLeaf(0), Acknowledge(0), Tick, Activate, SetTerms, Swap, Retire(0)",
    ),
    (
        Omission::Publish(Clause::NoLiveLeaf),
        worlds::TRIMMED.promptly(),
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, Tick, Ask(0), Sign(0), Tick, Activate, \
         SetTerms, Swap, Retire(0), Trim(1), WriteBundle",
    ),
    (
        Omission::Publish(Clause::Anchored),
        worlds::TRIMMED.promptly(),
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, Tick, Tick, Activate, SetTerms, Swap, \
         Trim(0), WriteBundle, SetTerms, Swap, Push, Ask(0), Sign(0)",
    ),
    (
        Omission::Publish(Clause::Covered),
        worlds::REVOKING.promptly(),
        "GiveCrls(Some(Set(2))), WriteBundle, SetTerms, Swap, Push, Tick, Ask(0), Sign(0), Deliver(0), \
         ServeRoots(0)",
    ),
    (
        Omission::Habit(Habit::TermsAreChecked),
        worlds::BASE,
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Tick, Ask(0), Tick, Activate, SetTerms, Swap, \
         Retire(0), WriteBundle, Sign(0)",
    ),
    (
        Omission::Habit(Habit::NeverAnOlderBundle),
        worlds::BASE,
        "Drop(1), Distribute, WriteBundle, Tick, Ask(0), Sign(0), SetTerms, Swap, Push, Receive(0), \
         ServeRoots(0), Deliver(0), Acknowledge(0), ServeRoots(0), ServeLeaf(0), Tick, Activate, SetTerms, \
         Swap, Ask(1), Sign(1), Deliver(1), ServeRoots(1), ServeLeaf(1)",
    ),
    (
        Omission::Habit(Habit::RootsBeforeLeaves),
        worlds::BASE.promptly(),
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Push, Tick, Tick, Activate, SetTerms, Swap, \
         Ask(0), Sign(0), Deliver(0), ServeLeaf(0)",
    ),
    (
        Omission::Habit(Habit::PersistedFirst),
        worlds::KILLED_AND_BACK,
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Tick, Tick, Activate, SetTerms, Swap, Ask(0), \
         Sign(0), Kill, Drop(1)",
    ),
    (
        Omission::Habit(Habit::AcknowledgedWhenServed),
        worlds::BASE,
        "Drop(1), Distribute, WriteBundle, Tick, Ask(0), Sign(0), SetTerms, Swap, Push, Deliver(0), \
         ServeLeaf(0), Receive(0), Acknowledge(0), Tick, Activate, SetTerms, Swap, Ask(1), Sign(1), \
         Deliver(1), ServeRoots(1), ServeLeaf(1)",
    ),
    (
        Omission::Publish(Clause::StillSigning),
        worlds::REVOKING,
        "Drop(1), Distribute, WriteBundle, SetTerms, Swap, Tick, Ask(0), Tick, Activate, \
         GiveCrls(Some(Set(2))), WriteBundle, Sign(0), SetTerms, Swap, Deliver(0), ServeRoots(0), \
         ServeLeaf(0), Ask(1), Sign(1), Deliver(1), ServeRoots(1), ServeLeaf(1)",
    ),
];
