//! How is every state found? Breadth first, so that a counterexample is a shortest one; states are kept as hashes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::HashSet;
use std::fmt;
use std::hash::BuildHasher;
use std::hash::BuildHasherDefault;
use std::hash::DefaultHasher;
use std::rc::Rc;

use super::conductor::Seen;
use super::conductor::Verdict;
use super::records::Records;
use super::records::now;
use super::rules::Rules;
use super::state::Budget;
use super::state::Bundle;
use super::state::Client;
use super::state::Leaf;
use super::state::ROWS;
use super::state::Request;
use super::state::Row;
use super::state::Set;
use super::state::State;
use super::worlds::World;
use crate::rotation::Record;

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Acknowledge(u8),
    Activate,
    Ask(u8),
    Deliver(u8),
    Distribute,
    Drop(u8),
    GiveCrls(Option<Set>),
    Hasten,
    Kill,
    Lose(u8),
    PersistLate,
    Poll,
    Push,
    Receive(u8),
    Retire(u8),
    ServeLeaf(u8),
    ServeRoots(u8),
    SetTerms,
    Sign(u8),
    Swap,
    Taint(u8),
    Tick,
    Trim(u8),
    Unlist,
    WriteBundle,
}

/// A world and its rules.
pub(super) struct Model {
    pub(super) world: World,
    pub(super) rules: Rules,
    pub(super) records: RefCell<Records>,
    /// What the gates said already.
    pub(super) verdicts: RefCell<HashMap<Seen, Rc<Verdict>>>,
}

/// What a search found.
pub(super) enum Outcome {
    /// Every promise holds in every state.
    Kept { states: usize },
    /// The events of a shortest way to a state that breaks a promise.
    Broken {
        promise: &'static str,
        way: Vec<Event>,
    },
    /// There are more states than were to be looked at.
    Unfinished { states: usize },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept { states } => write!(f, "kept in all {states} states"),
            Self::Broken { promise, way } => write!(f, "broken: {promise}, by {way:?}"),
            Self::Unfinished { states } => write!(f, "kept in {states} states, and there are more"),
        }
    }
}

impl Model {
    pub(super) fn new(world: World, rules: Rules) -> Self {
        Self {
            world,
            rules,
            records: RefCell::new(Records::new()),
            verdicts: RefCell::default(),
        }
    }

    /// Looks at every state that can be reached, up to `bound` of them.
    pub(super) fn search(&self, bound: usize) -> Outcome {
        let start = self.start().canonical(&self.world);
        let mut parents: HashMap<u64, u64, Hashes> = HashMap::default();
        let mut endings: HashSet<u64, Hashes> = HashSet::default();
        parents.insert(hash(&start), 0);
        let mut layer = vec![start];
        while !layer.is_empty() {
            let mut next_layer = Vec::new();
            for state in &layer {
                let broken = self
                    .broken_promise(state)
                    .or_else(|| self.never_ends(state, &mut endings));
                if let Some(promise) = broken {
                    let way = self.way_to(hash(state), &parents);
                    return Outcome::Broken { promise, way };
                }
                for (event, next) in self.events(state) {
                    let next = next.canonical(&self.world);
                    if let Some(promise) = self.broken_by(event, &next) {
                        let mut way = self.way_to(hash(state), &parents);
                        way.push(event);
                        return Outcome::Broken { promise, way };
                    }
                    let key = hash(&next);
                    if let std::collections::hash_map::Entry::Vacant(vacant) = parents.entry(key) {
                        vacant.insert(hash(state));
                        next_layer.push(next);
                    }
                }
            }
            if parents.len() > bound {
                return Outcome::Unfinished {
                    states: parents.len(),
                };
            }
            layer = next_layer;
        }
        Outcome::Kept {
            states: parents.len(),
        }
    }

    /// Follows what happens when everybody does their part and nothing new comes from outside.
    fn never_ends(
        &self,
        state: &State,
        endings: &mut HashSet<u64, Hashes>,
    ) -> Option<&'static str> {
        if !self.rules.is_all() {
            return None;
        }
        let mut state = *state;
        let mut passed = Vec::new();
        for _ in 0..LONGEST_END {
            let key = hash(&state);
            if endings.contains(&key) || self.is_steady(&state) {
                endings.extend(passed);
                return None;
            }
            passed.push(key);
            let Some(next) = self.good_course(&state) else {
                break;
            };
            state = next.canonical(&self.world);
        }
        Some("it always can end")
    }

    fn good_course(&self, state: &State) -> Option<State> {
        if let Some((_, next)) = self.bring_in_line(state) {
            return Some(next);
        }
        if let Some(next) = self.put_right(state) {
            return Some(next);
        }
        if let Some(next) = self.step_due(state) {
            return Some(next);
        }
        for at in 0..2 {
            let mut found = Vec::new();
            self.client_events(state, at, &mut found);
            found.retain(|(event, _)| !matches!(event, Event::Lose(_)));
            if let Some((_, next)) = found.into_iter().next() {
                return Some(next);
            }
        }
        self.tick(state).or_else(|| self.poll(state))
    }

    fn way_to(&self, end: u64, parents: &HashMap<u64, u64, Hashes>) -> Vec<Event> {
        let mut hashes = vec![end];
        while let Some(parent) = hashes
            .last()
            .and_then(|last| parents.get(last))
            .filter(|parent| **parent != 0)
        {
            hashes.push(*parent);
        }
        hashes.pop();
        let mut state = self.start().canonical(&self.world);
        let mut way = Vec::new();
        for wanted in hashes.into_iter().rev() {
            let events = self.events(&state).into_iter();
            let mut events = events.map(|(event, next)| (event, next.canonical(&self.world)));
            let (event, next) = events
                .find(|(_, next)| hash(next) == wanted)
                .expect("the way is known");
            way.push(event);
            state = next;
        }
        way
    }

    /// A signs, everybody is well, nothing is going on.
    pub(super) fn start(&self) -> State {
        let mut records = self.records.borrow_mut();
        let signer = records.signer(0, &self.world);
        let record = records.number(Record::new(signer, now()));
        let bundle = Bundle {
            number: 1,
            roots: Set::default().with(0),
            crl: None,
        };
        let world = &self.world;
        let strangers = world.ledger_lost || world.from_elsewhere;
        State {
            record,
            disk: record,
            bundle,
            since: [1, 0, 0],
            crl_since: [0; 3],
            crl_free_since: 1,
            crl_file: None,
            crl_used: false,
            terms: Some((0, 1)),
            serving: Some(super::state::Generation { issuer: 0, bundle }),
            pushed: Some(bundle),
            clients: [start_of_client(bundle, strangers); 2],
            poller: bundle.roots,
            has_polled: false,
            hint_left: 0,
            unknown_left: if strangers { 2 } else { 0 },
            b_left: 0,
            ages: [2; 3],
            listed: world.listed,
            budget: Budget {
                drops: world.drops,
                taints: world.taints,
                hastes: world.hastes,
                kills: world.kills,
                trims: world.trims,
                crl_changes: world.crl_changes,
            },
        }
    }
}

fn start_of_client(bundle: Bundle, stranger: bool) -> Client {
    let leaf = Leaf {
        issuer: 0,
        serial: 1,
        left: 2,
    };
    let mut rows = [None; ROWS];
    if !stranger {
        rows[0] = Some(Row {
            issuer: 0,
            bundle: 1,
            left: 2,
        });
    }
    Client {
        written: bundle,
        written_leaf: Some(leaf),
        served: bundle,
        served_leaf: Some(leaf),
        request: Request::None,
        said: None,
        newest: Some((1, 0)).filter(|_| !stranger),
        rows,
    }
}

fn hash(state: &State) -> u64 {
    // Zero is what the first state's parent is called.
    BuildHasherDefault::<DefaultHasher>::default()
        .hash_one(state)
        .max(1)
}

/// The keys are hashes already.
type Hashes = BuildHasherDefault<DefaultHasher>;

const LONGEST_END: usize = 200;
