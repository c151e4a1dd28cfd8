//! Each clause of each gate, once: what it stops, and that it alone stops it.

use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::ledger::InstanceId;
use crate::rotation::Origin;
use crate::rotation::fixtures::*;

type Change = fn(&mut Record, &mut World);
type Refused = (&'static str, Change, &'static str, Clause);
type Opened = (&'static str, Change, Opening);

fn next(record: &mut Record) -> &mut Signer {
    record
        .signers
        .iter_mut()
        .find(|s| s.issuer == issuer('B'))
        .unwrap()
}

fn first(record: &mut Record) -> &mut Signer {
    record
        .signers
        .iter_mut()
        .find(|s| s.issuer == issuer('A'))
        .unwrap()
}

/// B keeps A's root, so that A takes none with it.
fn root_stays(record: &mut Record) {
    next(record).roots.push(root('A'));
}

fn lists_of(names: &[char]) -> Option<HashMap<Fingerprint, u64>> {
    Some(names.iter().map(|name| (issuer(*name), 5)).collect())
}

fn kind(obstacle: &Obstacle) -> String {
    let words = format!("{obstacle:?}");
    words.split([' ', '{']).next().unwrap().to_owned()
}

fn kinds(gate: &Gate) -> Vec<String> {
    gate.obstacles().iter().map(kind).collect()
}

/// `refusals` are told as `(what is changed, what stands against it, the clause that sees it)`.
fn each_clause_alone_refuses(
    start: fn() -> Record,
    gate: fn(&Record, &Evidence<'_>, Clauses) -> Gate,
    refusals: &[Refused],
) {
    for (name, change, expected, clause) in refusals {
        let (mut record, mut world) = (start(), World::default());
        change(&mut record, &mut world);
        let seen = gate(&record, &world.evidence(), Clauses::ALL);
        assert_eq!(kinds(&seen), [*expected], "{name}");
        let without = gate(&record, &world.evidence(), Clauses::without(*clause));
        assert!(without.is_open(), "{name}: {without:?}");
    }
}

fn open_after(
    start: fn() -> Record,
    gate: impl Fn(&Record, &Evidence<'_>) -> Gate,
    changes: &[Opened],
) {
    for (name, change, because) in changes {
        let (mut record, mut world) = (start(), World::default());
        change(&mut record, &mut world);
        let seen = gate(&record, &world.evidence());
        assert_eq!(seen, Gate::Open { because: *because }, "{name}");
    }
}

const ACTIVATION_REFUSED: &[Refused] = &[
    (
        "the root is not in the bundle",
        |_, w| {
            w.since.remove(&root('B'));
        },
        "NotPublished",
        Clause::Published,
    ),
    (
        "a leaf came with an older bundle",
        |_, w| w.holdings.push(leaf('A', 6, at(2 * HOUR))),
        "Behind",
        Clause::Delivered,
    ),
    (
        "a leaf is dead here and alive on a slow clock",
        |_, w| w.holdings.push(leaf('A', 6, at(HOUR - 120))),
        "Behind",
        Clause::Margin,
    ),
    (
        "its holder uses an older bundle too",
        |_, w| {
            w.holdings
                .push(held(leaf('A', 6, at(2 * HOUR)), (1, 'A'), Some(says(6, 1))));
        },
        "Behind",
        Clause::Delivered,
    ),
    (
        "its holder never answered",
        |_, w| {
            w.holdings
                .push(held(leaf('A', 6, at(2 * HOUR)), (1, 'A'), None));
        },
        "Behind",
        Clause::Delivered,
    ),
    (
        "two agents have the id",
        |_, w| {
            let mut said = says(7, 1);
            said.shared = true;
            w.holdings
                .push(held(leaf('A', 6, at(2 * HOUR)), (1, 'A'), Some(said)));
        },
        "Behind",
        Clause::AcknowledgedByOne,
    ),
    (
        "another instance answered",
        |_, w| {
            let mut said = says(7, 1);
            said.instance = InstanceId::from([2; 16]);
            w.holdings
                .push(held(leaf('A', 6, at(2 * HOUR)), (1, 'A'), Some(said)));
        },
        "Behind",
        Clause::AcknowledgedByHolder,
    ),
    (
        "another name answered",
        |_, w| {
            let mut said = says(7, 1);
            said.spiffe_id = "spiffe://a.example/admin".parse().unwrap();
            w.holdings
                .push(held(leaf('A', 6, at(2 * HOUR)), (1, 'A'), Some(said)));
        },
        "Behind",
        Clause::AcknowledgedByHolder,
    ),
    (
        "it became valid 119 s ago",
        |r, _| next(r).not_before = at(HOUR - 119),
        "TooFresh",
        Clause::Fresh,
    ),
    (
        "it will be valid in two minutes",
        |r, _| next(r).not_before = at(HOUR + 120),
        "NotYetValid",
        Clause::Fresh,
    ),
    (
        "it is over",
        |r, _| next(r).not_after = at(HOUR - 1),
        "Expired",
        Clause::NotOver,
    ),
    (
        "a poller has the bundle before",
        |_, w| w.hints_until = Some(at(HOUR + 1)),
        "RefreshHints",
        Clause::Polled,
    ),
    (
        "no CRL covers it",
        |_, w| w.crl_since = Some(HashMap::from([(issuer('A'), 5)])),
        "Uncovered",
        Clause::Covered,
    ),
    (
        "the ledger was lost, and what it knew may live on a slow clock",
        |_, w| w.unrecorded_until = Some(at(HOUR - 120)),
        "Unrecorded",
        Clause::Unrecorded,
    ),
    (
        "the one before was in use elsewhere",
        |r, _| first(r).issuer_not_before = at(0) - Duration::from_secs(HOUR + 1),
        "Unrecorded",
        Clause::Unrecorded,
    ),
    (
        "leaves of elsewhere are dead here and alive on a slow clock",
        |r, w| {
            first(r).issuer_not_before = at(0) - Duration::from_secs(HOUR + 1);
            w.now = at(24 * HOUR + 120);
        },
        "Unrecorded",
        Clause::Unrecorded,
    ),
];

#[test]
fn nothing_activates_without_its_key_and_others_retire_meanwhile() {
    let mut world = World {
        next_is_here: false,
        ..World::default()
    };
    let mut ending = distributed();
    first(&mut ending).not_after = at(1);
    for record in [distributed(), ending] {
        let gate = activate_by(&record, &world.evidence(), Clauses::ALL);
        assert_eq!(kinds(&gate), ["KeyGone"]);
        assert!(
            activate_by(
                &record,
                &world.evidence(),
                Clauses::without(Clause::KeyHere)
            )
            .is_open()
        );
        assert_eq!(crate::rotation::due(&record, &world.evidence()), None);
    }
    world.since.insert(root('C'), 7);
    let record = draining().introduce(signer('C'), true, at(0)).unwrap();
    let record = record.distribute(at(0)).unwrap();
    let due = crate::rotation::due(&record, &world.evidence());
    assert_eq!(due, Some(crate::rotation::Step::Retire(issuer('A'))));
}

#[test]
fn activation_waits_for_everything_that_would_break() {
    each_clause_alone_refuses(distributed, activate_by, ACTIVATION_REFUSED);
}

const ACTIVATION_OPEN: &[Opened] = &[
    ("nobody has a leaf", |_, _| {}, Opening::Evidence),
    (
        "the leaf came with the bundle",
        |_, w| w.holdings.push(leaf('A', 7, at(2 * HOUR))),
        Opening::Evidence,
    ),
    (
        "the leaf is dead on slow clocks",
        |_, w| w.holdings.push(leaf('A', 6, at(HOUR - 121))),
        Opening::Evidence,
    ),
    (
        "the holder uses the bundle",
        |_, w| {
            w.holdings
                .push(held(leaf('A', 6, at(2 * HOUR)), (2, 'A'), Some(says(7, 1))));
        },
        Opening::Evidence,
    ),
    (
        "it is two minutes old",
        |r, _| next(r).not_before = at(HOUR - 120),
        Opening::Evidence,
    ),
    (
        "pollers know it",
        |_, w| w.hints_until = Some(at(HOUR)),
        Opening::Evidence,
    ),
    (
        "a CRL covers it",
        |_, w| w.crl_since = Some(HashMap::from([(issuer('B'), 7)])),
        Opening::Evidence,
    ),
    (
        "this server made the one before",
        |r, _| {
            first(r).issuer_not_before = at(0) - Duration::from_secs(HOUR + 1);
            first(r).origin = Origin::SelfSigned;
        },
        Opening::Evidence,
    ),
    (
        "leaves of elsewhere are dead on slow clocks",
        |r, w| {
            first(r).issuer_not_before = at(0) - Duration::from_secs(HOUR + 1);
            w.now = at(24 * HOUR + 121);
        },
        Opening::Evidence,
    ),
    (
        "lost leaves are dead on slow clocks",
        |_, w| w.unrecorded_until = Some(at(HOUR - 121)),
        Opening::Evidence,
    ),
    (
        "it is under the same root",
        |r, w| {
            next(r).root = root('A');
            w.hints_until = Some(at(2 * HOUR));
            w.unrecorded_until = Some(at(2 * HOUR));
            w.holdings.push(leaf('A', 5, at(2 * HOUR)));
        },
        Opening::Evidence,
    ),
    (
        "it is signed across",
        |r, w| {
            next(r).also_accepted_by.push(root('A'));
            w.holdings.push(leaf('A', 5, at(2 * HOUR)));
        },
        Opening::CrossSigned,
    ),
    (
        "the one before ends in an hour",
        |r, w| {
            first(r).not_after = at(2 * HOUR);
            w.holdings.push(leaf('A', 6, at(2 * HOUR)));
        },
        Opening::IssuerEnds,
    ),
    (
        "the one before was to be gone by now",
        |r, w| {
            first(r).deadline = Some(at(HOUR));
            w.holdings.push(leaf('A', 6, at(2 * HOUR)));
        },
        Opening::Deadline,
    ),
];

#[test]
fn activation_waits_for_nothing_else() {
    open_after(distributed, activate, ACTIVATION_OPEN);
}

#[test]
fn leaves_of_elsewhere_are_not_waited_for_where_there_are_none() {
    let world = World {
        now: at(0),
        ..World::default()
    };
    let mut record = draining();
    first(&mut record).issuer_not_before = at(0) - Duration::from_secs(HOUR + 1);
    let mut evidence = world.evidence();
    assert!(!retire(&record, &issuer('A'), &evidence).is_open());
    evidence.limits.unrecorded_ttl = Duration::ZERO;
    assert!(retire(&record, &issuer('A'), &evidence).is_open());
}

#[test]
fn a_crl_is_distributed_before_its_issuer_signs() {
    let mut world = World {
        crl_since: Some(HashMap::from([(issuer('B'), 8)])),
        ..World::default()
    };
    world.holdings.push(leaf('A', 7, at(2 * HOUR)));
    let gate = activate(&distributed(), &world.evidence());
    assert_eq!(kinds(&gate), ["Behind"]);
}

#[test]
fn a_crl_that_went_is_still_checked_by_who_has_an_older_bundle() {
    let mut world = World {
        crl_since: Some(HashMap::new()),
        crl_free_since: Some(8),
        ..World::default()
    };
    world.holdings.push(leaf('A', 7, at(2 * HOUR)));
    let gate = activate(&distributed(), &world.evidence());
    assert_eq!(kinds(&gate), ["Behind"]);
    world.holdings[0].bundle = 8;
    assert!(activate(&distributed(), &world.evidence()).is_open());
}

#[test]
fn a_signer_is_remembered_as_long_as_its_leaves_of_elsewhere_live() {
    let mut record = draining();
    next(&mut record).roots.push(root('A'));
    first(&mut record).issuer_not_before = at(0) - Duration::from_secs(HOUR + 1);
    let gate = retire(&record, &issuer('A'), &World::default().evidence());
    assert_eq!(kinds(&gate), ["Unrecorded"]);
}

#[test]
fn the_end_of_the_chain_overrules_no_root_that_is_missing_and_no_date_to_come() {
    let mut world = World::default();
    let mut record = distributed();
    first(&mut record).not_after = at(HOUR);
    next(&mut record).not_before = at(2 * HOUR);
    world.since.remove(&root('B'));
    world.holdings.push(leaf('A', 6, at(2 * HOUR)));
    let gate = activate(&record, &world.evidence());
    assert_eq!(kinds(&gate), ["NotPublished", "NotYetValid"]);
}

#[test]
fn waiting_ends_an_hour_or_a_tenth_of_a_lifetime_before_the_chain() {
    for (ttl, before, open) in [
        (24, HOUR, true),
        (24, HOUR + 1, false),
        (5, HOUR / 2, true),
        (5, HOUR / 2 + 1, false),
    ] {
        let mut world = World::default();
        world.holdings.push(leaf('A', 6, at(2 * HOUR)));
        let mut record = distributed();
        first(&mut record).not_after = at(HOUR + before);
        let mut evidence = world.evidence();
        evidence.limits.default_ttl = Duration::from_secs(ttl * HOUR);
        assert_eq!(
            activate(&record, &evidence).is_open(),
            open,
            "{ttl} {before}"
        );
    }
}

#[test]
fn nothing_activates_without_a_next_signer() {
    let world = World::default();
    assert_eq!(
        activate(&steady(), &world.evidence()).obstacles(),
        [Obstacle::NothingPrepared]
    );
}

fn retire_first(record: &Record, evidence: &Evidence<'_>, clauses: Clauses) -> Gate {
    retire_by(record, &issuer('A'), evidence, clauses)
}

const RETIREMENT_REFUSED: &[Refused] = &[
    (
        "a leaf lives",
        |_, w| w.holdings.push(leaf('A', 7, at(2 * HOUR))),
        "Live",
        Clause::NoLiveLeaf,
    ),
    (
        "a leaf is dead here and alive on a slow clock",
        |_, w| w.holdings.push(leaf('A', 7, at(HOUR - 120))),
        "Live",
        Clause::Margin,
    ),
    (
        "the operator lists the root",
        |_, w| w.listed.push(root('A')),
        "Listed",
        Clause::NotListed,
    ),
    (
        "the ledger was lost, and what it knew may live on a slow clock",
        |_, w| w.unrecorded_until = Some(at(HOUR - 120)),
        "Unrecorded",
        Clause::Unrecorded,
    ),
    (
        "it was in use elsewhere",
        |r, _| first(r).issuer_not_before = at(0) - Duration::from_secs(HOUR + 1),
        "Unrecorded",
        Clause::Unrecorded,
    ),
    (
        "another's leaf needs its root",
        |_, w| {
            let mut other = leaf('C', 7, at(2 * HOUR));
            other.root = root('A');
            w.holdings.push(other);
        },
        "Live",
        Clause::NoLiveLeaf,
    ),
    (
        "its list goes, and a leaf of it lives under a root that stays",
        |r, w| {
            root_stays(r);
            w.crl_since = lists_of(&['A', 'B']);
            w.holdings.push(leaf('A', 7, at(2 * HOUR)));
        },
        "Live",
        Clause::NoLeafOfItsOwn,
    ),
    (
        "its key is stolen, and a leaf of it lives under a root that stays",
        |r, w| {
            root_stays(r);
            first(r).tainted = Some(at(HOUR));
            w.holdings.push(leaf('A', 7, at(2 * HOUR)));
        },
        "Live",
        Clause::NoLeafOfItsOwn,
    ),
    (
        "its key is stolen, and the newer leaf under the same root may be of it too",
        |r, w| {
            root_stays(r);
            first(r).tainted = Some(at(HOUR));
            w.holdings
                .push(held(leaf('A', 7, at(2 * HOUR)), (2, 'A'), Some(says(7, 2))));
        },
        "Live",
        Clause::NoLeafOfItsOwn,
    ),
    (
        "its list goes, and nobody was told to renew",
        |r, w| {
            root_stays(r);
            w.crl_since = lists_of(&['A', 'B']);
            w.holdings
                .push(held(leaf('A', 7, at(2 * HOUR)), (2, 'B'), Some(says(7, 2))));
        },
        "Live",
        Clause::NoLeafOfItsOwn,
    ),
    (
        "it is to sign again",
        |r, _| r.next = Some(issuer('A')),
        "InUse",
        Clause::NotInUse,
    ),
    (
        "who renewed in time has a newer one",
        |r, w| {
            r.renew_since = Some(at(HOUR));
            w.holdings
                .push(held(leaf('A', 7, at(2 * HOUR)), (3, 'B'), Some(says(7, 2))));
        },
        "Live",
        Clause::GoneByNewest,
    ),
    (
        "who renewed in time has one of it again",
        |r, w| {
            r.renew_since = Some(at(HOUR));
            w.holdings
                .push(held(leaf('A', 7, at(2 * HOUR)), (2, 'A'), Some(says(7, 2))));
        },
        "Live",
        Clause::GoneByOtherRoot,
    ),
    (
        "who renewed in time shares its id",
        |r, w| {
            r.renew_since = Some(at(HOUR));
            let mut said = says(7, 2);
            said.shared = true;
            w.holdings
                .push(held(leaf('A', 7, at(2 * HOUR)), (2, 'B'), Some(said)));
        },
        "Live",
        Clause::AcknowledgedByOne,
    ),
    (
        "somebody else renewed in time",
        |r, w| {
            r.renew_since = Some(at(HOUR));
            let mut said = says(7, 2);
            said.instance = InstanceId::from([2; 16]);
            w.holdings
                .push(held(leaf('A', 7, at(2 * HOUR)), (2, 'B'), Some(said)));
        },
        "Live",
        Clause::AcknowledgedByHolder,
    ),
    (
        "nobody was told to renew",
        |_, w| {
            w.holdings
                .push(held(leaf('A', 7, at(2 * HOUR)), (2, 'B'), Some(says(7, 2))));
        },
        "Live",
        Clause::NoLiveLeaf,
    ),
];

#[test]
fn retirement_waits_for_everything_that_would_break() {
    each_clause_alone_refuses(draining, retire_first, RETIREMENT_REFUSED);
}

const WAY_OUT_REFUSED: &[Refused] = &[
    (
        "somebody may know only the way out",
        |_, w| {
            w.holdings
                .push(held(leaf('B', 6, at(2 * HOUR)), (1, 'B'), Some(says(6, 1))));
        },
        "Behind",
        Clause::WayOut,
    ),
    (
        "the one that signs is stolen too",
        |r, _| next(r).tainted = Some(at(0)),
        "NothingPrepared",
        Clause::WayOut,
    ),
    (
        "the other root is not out",
        |_, w| w.since.retain(|known, _| *known != root('B')),
        "NotPublished",
        Clause::WayOut,
    ),
    (
        "the other one is not valid yet",
        |r, _| next(r).not_before = at(2 * HOUR),
        "NotYetValid",
        Clause::WayOut,
    ),
];

/// B signs, and A never did: it was a way out.
fn withdrawn() -> Record {
    let mut record = draining();
    let first = first(&mut record);
    (first.has_signed, first.last_resort) = (false, true);
    record
}

#[test]
fn a_way_out_stays_until_all_know_another_one() {
    each_clause_alone_refuses(withdrawn, retire_first, WAY_OUT_REFUSED);
    open_after(
        withdrawn,
        |record, evidence| retire_first(record, evidence, Clauses::ALL),
        &[(
            "all know the other",
            |_, w| {
                w.holdings
                    .push(held(leaf('B', 6, at(2 * HOUR)), (1, 'B'), Some(says(7, 1))));
            },
            Opening::Evidence,
        )],
    );
}

#[test]
fn no_deadline_takes_the_only_way_out() {
    let mut record = withdrawn();
    next(&mut record).tainted = Some(at(0));
    (first(&mut record).tainted, first(&mut record).deadline) = (Some(at(0)), Some(at(1)));
    let gate = retire_first(&record, &World::default().evidence(), Clauses::ALL);
    assert_eq!(kinds(&gate), ["NothingPrepared"]);
}

const RETIREMENT_OPEN: &[Opened] = &[
    ("nobody has a leaf", |_, _| {}, Opening::Evidence),
    (
        "leaves are of the new one",
        |_, w| w.holdings.push(leaf('B', 7, at(2 * HOUR))),
        Opening::Evidence,
    ),
    (
        "its leaf is dead on slow clocks",
        |_, w| w.holdings.push(leaf('A', 7, at(HOUR - 121))),
        Opening::Evidence,
    ),
    (
        "who was told to renew has",
        |r, w| {
            r.renew_since = Some(at(HOUR));
            w.holdings
                .push(held(leaf('A', 7, at(2 * HOUR)), (2, 'B'), Some(says(7, 2))));
        },
        Opening::Evidence,
    ),
    (
        "who has a tainted leaf has renewed",
        |r, w| {
            first(r).tainted = Some(at(HOUR));
            w.holdings
                .push(held(leaf('A', 7, at(2 * HOUR)), (2, 'B'), Some(says(7, 2))));
        },
        Opening::Evidence,
    ),
    (
        "the other one brings its root too",
        |r, w| {
            next(r).roots.push(root('A'));
            w.listed.push(root('A'));
            w.holdings.push(leaf('A', 7, at(2 * HOUR)));
        },
        Opening::Evidence,
    ),
    (
        "no list is out any more",
        |r, w| {
            root_stays(r);
            w.crl_since = lists_of(&['A', 'B']);
            w.crl_free_since = Some(7);
            w.holdings.push(leaf('A', 7, at(2 * HOUR)));
        },
        Opening::Evidence,
    ),
    (
        "lists refuse its leaves already",
        |r, w| {
            root_stays(r);
            w.crl_since = lists_of(&['B']);
            w.holdings.push(leaf('A', 7, at(2 * HOUR)));
        },
        Opening::Evidence,
    ),
    (
        "who has a tainted leaf has one under another root, and its own stays",
        |r, w| {
            root_stays(r);
            first(r).tainted = Some(at(HOUR));
            w.holdings
                .push(held(leaf('A', 7, at(2 * HOUR)), (2, 'B'), Some(says(7, 2))));
        },
        Opening::Evidence,
    ),
    (
        "it was to be gone by now, whoever has a leaf of it",
        |r, w| {
            root_stays(r);
            first(r).tainted = Some(at(0));
            first(r).deadline = Some(at(HOUR));
            w.crl_since = lists_of(&['A', 'B']);
            w.holdings.push(leaf('A', 7, at(2 * HOUR)));
        },
        Opening::Deadline,
    ),
    (
        "its root was certified again",
        |r, w| {
            first(r).also_accepted_by.push(root('B'));
            w.holdings.push(leaf('A', 7, at(2 * HOUR)));
        },
        Opening::Evidence,
    ),
    (
        "it expired before lost leaves could",
        |r, w| {
            first(r).not_after = at(HOUR - 121);
            w.unrecorded_until = Some(at(2 * HOUR));
        },
        Opening::Evidence,
    ),
    (
        "it was to be gone by now",
        |r, w| {
            first(r).deadline = Some(at(HOUR));
            w.holdings.push(leaf('A', 7, at(2 * HOUR)));
        },
        Opening::Deadline,
    ),
];

#[test]
fn retirement_waits_for_nothing_else() {
    open_after(
        draining,
        |record, evidence| retire(record, &issuer('A'), evidence),
        RETIREMENT_OPEN,
    );
}

#[test]
fn no_deadline_retires_who_signs() {
    let mut record = draining();
    next(&mut record).deadline = Some(at(0));
    let world = World::default();
    let gate = retire(&record, &issuer('B'), &world.evidence());
    assert_eq!(
        gate.obstacles(),
        [Obstacle::InUse {
            issuer: issuer('B')
        }]
    );
    let gate = retire(&record, &issuer('C'), &world.evidence());
    assert_eq!(
        gate.obstacles(),
        [Obstacle::Unknown {
            issuer: issuer('C')
        }]
    );
}

fn publish_new_alone(record: &Record, evidence: &Evidence<'_>, clauses: Clauses) -> Gate {
    let candidate = Candidate {
        roots: &[root('B')],
        covered: None,
        signing: None,
    };
    publish_by(record, &candidate, evidence, clauses)
}

#[test]
fn no_bundle_is_published_that_rejects_what_lives() {
    let refusals: &[Refused] = &[
        (
            "a leaf lives",
            |_, w| w.holdings.push(leaf('A', 7, at(2 * HOUR))),
            "Live",
            Clause::NoLiveLeaf,
        ),
        (
            "A signs",
            |r, _| r.active = issuer('A'),
            "Unanchored",
            Clause::Anchored,
        ),
    ];
    each_clause_alone_refuses(draining, publish_new_alone, refusals);
    let openings: &[Opened] = &[
        (
            "the leaf is rejected already",
            |_, w| {
                w.since.remove(&root('A'));
                w.holdings.push(leaf('A', 7, at(2 * HOUR)));
            },
            Opening::Evidence,
        ),
        (
            "a retirement let the root go",
            |r, w| {
                r.dropped_roots.push(root('A'));
                w.holdings.push(leaf('A', 7, at(2 * HOUR)));
            },
            Opening::Evidence,
        ),
        (
            "the leaf is not served any more",
            |_, w| {
                w.holdings
                    .push(held(leaf('A', 7, at(2 * HOUR)), (2, 'B'), Some(says(7, 2))));
            },
            Opening::Evidence,
        ),
    ];
    open_after(
        draining,
        |record, evidence| publish_new_alone(record, evidence, Clauses::ALL),
        openings,
    );
}

#[test]
fn no_crl_is_published_that_leaves_a_living_issuer_out() {
    let mut world = World::default();
    world.holdings.push(leaf('A', 7, at(2 * HOUR)));
    let roots = [root('A'), root('B')];
    let uncovered = |issuer| Obstacle::Uncovered { issuer };
    for (covered, before, expected) in [
        (
            vec![],
            None,
            vec![uncovered(issuer('B')), uncovered(issuer('A'))],
        ),
        (vec![issuer('B')], None, vec![uncovered(issuer('A'))]),
        (vec![issuer('B')], Some(vec![issuer('B')]), vec![]),
        (vec![issuer('B'), issuer('A')], None, vec![]),
    ] {
        world.crl_since = before.map(|known| known.into_iter().map(|issuer| (issuer, 6)).collect());
        let candidate = Candidate {
            roots: &roots,
            covered: Some(&covered),
            signing: None,
        };
        let gate = publish(&draining(), &candidate, &world.evidence());
        assert_eq!(gate.obstacles(), expected, "{covered:?}");
        assert!(
            publish_by(
                &draining(),
                &candidate,
                &world.evidence(),
                Clauses::without(Clause::Covered)
            )
            .is_open()
        );
    }
}

#[test]
fn who_signs_until_the_swap_is_accepted_and_covered_too() {
    let world = World::default();
    let candidate = Candidate {
        roots: &[root('B')],
        covered: Some(&[issuer('B')]),
        signing: Some(issuer('A')),
    };
    let gate = |clauses| publish_by(&draining(), &candidate, &world.evidence(), clauses);
    assert_eq!(kinds(&gate(Clauses::ALL)), ["Unanchored", "Uncovered"]);
    assert!(gate(Clauses::without(Clause::StillSigning)).is_open());
}

#[test]
fn who_breaks_is_told_also_of_an_open_gate() {
    let mut world = World::default();
    world
        .holdings
        .push(held(leaf('A', 6, at(2 * HOUR)), (1, 'A'), Some(says(6, 1))));
    let mut record = distributed();
    first(&mut record).deadline = Some(at(0));
    assert!(activate(&record, &world.evidence()).is_open());
    let told = activation_obstacles(&record, &world.evidence());
    assert_eq!(told.len(), 1);
    let told = told[0].to_string();
    assert!(
        told.contains("spiffe://a.example/cart") && told.contains("uses 6"),
        "{told}"
    );
    let record = record.activate(&world.evidence(), None, at(HOUR)).unwrap();
    assert_eq!(
        retirement_obstacles(&record, &issuer('A'), &world.evidence()).len(),
        1
    );
}
