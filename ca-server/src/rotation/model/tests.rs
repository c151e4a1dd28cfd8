//! The worlds that are searched with every test run, the omissions that each must catch, and the large ones by hand.

use std::time::Instant;

use super::rules::Habit;
use super::rules::Omission;
use super::rules::Rules;
use super::search::Model;
use super::search::Outcome;
use super::worlds::BASE;
use super::worlds::Kind;
use super::worlds::World;
use crate::rotation::gates::Clause;

const COPIED: World = World {
    name: "two agents on copies of one disk",
    clients: [Kind::Copy, Kind::Copy],
    ..BASE
};
const IMPERSONATED: World = World {
    name: "an agent that answers for another",
    clients: [Kind::Agent, Kind::Impersonated],
    ..BASE
};
const SLOW: World = World {
    name: "slow clocks",
    clients: [Kind::Plain, Kind::Plain],
    slow: 1,
    ..BASE
};
const BRIEF: World = World {
    name: "a new signer that soon ends",
    clients: [Kind::Plain, Kind::Plain],
    b_lives: 1,
    ..BASE
};
const POLLED: World = World {
    name: "a poller of the SPIFFE bundle",
    polled: true,
    ..BASE
};
const LOST: World = World {
    name: "a lost ledger",
    ledger_lost: true,
    ..BASE
};
const ELSEWHERE: World = World {
    name: "leaves of elsewhere",
    from_elsewhere: true,
    ..BASE
};
const SAME_ROOT: World = World {
    name: "a signer under the same root, leaves of elsewhere, and a third signer",
    clients: [Kind::Plain, Kind::Plain],
    roots: [0, 0, 2],
    droppable: &[1, 2],
    drops: 2,
    from_elsewhere: true,
    ..BASE
};
const LISTED: World = World {
    name: "an old root that stays listed",
    listed: true,
    ..BASE
};
const TRIMMED: World = World {
    name: "a list of roots that is trimmed",
    trims: 1,
    ..BASE
};
const REVOKING: World = World {
    name: "CRLs that come and go",
    clients: [Kind::Plain, Kind::Plain],
    crl_changes: 1,
    ..BASE
};
const HASTY: World = World {
    name: "agents that renew early",
    hastes: 1,
    ..BASE
};
const KILLED: World = World {
    name: "a server that is killed",
    kills: 1,
    ..BASE
};
const BACK: World = World {
    name: "there and back",
    droppable: &[0, 1],
    drops: 2,
    ..BASE
};
const KILLED_AND_BACK: World = World {
    name: "there and back with a server that is killed",
    kills: 1,
    ..BACK
};
const TAINTED: World = World {
    name: "a stolen key",
    taints: 1,
    ..BASE
};
const CHAINED: World = World {
    name: "a third signer",
    droppable: &[1, 2],
    drops: 2,
    ..BASE
};

const WORLDS: &[World] = &[
    SAME_ROOT,
    KILLED_AND_BACK,
    BASE,
    COPIED,
    IMPERSONATED,
    SLOW,
    BRIEF,
    POLLED,
    LOST,
    ELSEWHERE,
    LISTED,
    TRIMMED,
    REVOKING,
    HASTY,
    KILLED,
    BACK,
    TAINTED,
    CHAINED,
];

/// Each omission, and the world in which it breaks a promise.
const OMISSIONS: &[(Omission, World)] = &[
    (Omission::Activate(Clause::Published), BASE),
    (Omission::Activate(Clause::Delivered), BASE),
    (
        Omission::Activate(Clause::AcknowledgedByHolder),
        IMPERSONATED,
    ),
    (Omission::Activate(Clause::AcknowledgedByOne), COPIED),
    (Omission::Activate(Clause::Fresh), SLOW),
    (Omission::Activate(Clause::Margin), SLOW),
    (Omission::Activate(Clause::NotOver), BRIEF),
    (Omission::Activate(Clause::Polled), POLLED),
    (Omission::Activate(Clause::Covered), REVOKING),
    (Omission::Activate(Clause::Unrecorded), LOST),
    (Omission::Activate(Clause::Unrecorded), ELSEWHERE),
    (Omission::Retire(Clause::NotInUse), BASE),
    (Omission::Retire(Clause::NoLiveLeaf), BASE),
    (Omission::Retire(Clause::Margin), SLOW),
    (Omission::Retire(Clause::NotListed), LISTED),
    (Omission::Retire(Clause::Unrecorded), SAME_ROOT),
    (Omission::Retire(Clause::GoneByNewest), HASTY),
    (Omission::Retire(Clause::GoneByOtherRoot), HASTY),
    (Omission::Publish(Clause::NoLiveLeaf), TRIMMED),
    (Omission::Publish(Clause::Anchored), TRIMMED),
    (Omission::Publish(Clause::Covered), REVOKING),
    (Omission::Habit(Habit::TermsAreChecked), BASE),
    (Omission::Habit(Habit::NeverAnOlderBundle), BASE),
    (Omission::Habit(Habit::RootsBeforeLeaves), BASE),
    (Omission::Habit(Habit::PersistedFirst), KILLED_AND_BACK),
    (Omission::Habit(Habit::AcknowledgedWhenServed), BASE),
];

fn bound() -> usize {
    #[expect(
        clippy::disallowed_methods,
        reason = "how far to search is said by whoever runs the tests"
    )]
    let bound = std::env::var("SIGNET_MODEL_STATES").ok();
    bound.map_or(4_000, |bound| bound.parse().unwrap())
}

#[test]
fn every_world_keeps_its_promises() {
    for world in WORLDS {
        let began = Instant::now();
        let outcome = Model::new(*world, Rules::ALL).search(bound());
        println!("{}: {outcome:?} in {:?}", world.name, began.elapsed());
        assert!(
            !matches!(outcome, Outcome::Broken { .. }),
            "{}: {outcome:?}",
            world.name
        );
    }
}

#[test]
fn every_omission_breaks_a_promise() {
    for (omission, world) in OMISSIONS {
        let began = Instant::now();
        let outcome = Model::new(*world, Rules::without(*omission)).search(3_000_000);
        println!("{omission:?}: {outcome:?} in {:?}", began.elapsed());
        assert!(
            matches!(outcome, Outcome::Broken { .. }),
            "{omission:?}: {outcome:?}"
        );
    }
}
