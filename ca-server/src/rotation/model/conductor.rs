//! What does the server do? It brings files, ledger, generation and streams in line with its record, one after the
//! other, and takes steps when they are.

use std::rc::Rc;

use super::evidence::Shown;
use super::evidence::dated;
use super::records::Facts;
use super::records::now;
use super::rules::Habit;
use super::search::Event;
use super::search::Model;
use super::state::Budget;
use super::state::Bundle;
use super::state::Client;
use super::state::Generation;
use super::state::Request;
use super::state::Set;
use super::state::State;
use crate::rotation::Candidate;
use crate::rotation::Gate;
use crate::rotation::Obstacle;
use crate::rotation::Record;
use crate::rotation::Step;
use crate::rotation::due;
use crate::rotation::gates::publish_by;

/// What a gate can see of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Seen(State);

/// The steps that the gates let pass, with the records that they lead to, and the one that is due.
#[derive(Debug)]
pub(super) struct Verdict {
    steps: Vec<(Event, u16)>,
    due: Option<u16>,
}

impl Seen {
    fn of(state: &State) -> Self {
        let clients = state.clients.map(|client| Client {
            written: Bundle::default(),
            written_leaf: None,
            served: Bundle::default(),
            served_leaf: None,
            request: Request::None,
            ..client
        });
        Self(State {
            disk: 0,
            terms: None,
            serving: None,
            pushed: None,
            clients,
            poller: Set::default(),
            has_polled: false,
            budget: Budget::default(),
            ..*state
        })
    }
}

impl Model {
    /// The next thing that brings everything in line with the record: trust bundle, terms, swap, push.
    pub(super) fn bring_in_line(&self, state: &State) -> Option<(Event, State)> {
        let issuer = self.active(state);
        let (roots, crl) = self.publishable(state);
        if (roots, crl) != (state.bundle.roots, state.bundle.crl) {
            return Some((Event::WriteBundle, published(state, roots, crl)));
        }
        let mut next = *state;
        if state.terms != Some((issuer, state.bundle.number)) {
            next.terms = Some((issuer, state.bundle.number));
            return Some((Event::SetTerms, next));
        }
        let generation = Generation {
            issuer,
            bundle: state.bundle,
        };
        if state.serving != Some(generation) {
            let known = state.serving.map(|serving| serving.bundle);
            if self.world.polled && known != Some(state.bundle) {
                next.hint_left = 2;
            }
            next.serving = Some(generation);
            return Some((Event::Swap, next));
        }
        if state.pushed != Some(state.bundle) {
            next.pushed = Some(state.bundle);
            return Some((Event::Push, next));
        }
        if state.disk != state.record {
            next.disk = state.record;
            return Some((Event::PersistLate, next));
        }
        None
    }

    /// Every step that a person or the server itself may take now.
    pub(super) fn steps(&self, state: &State, found: &mut Vec<(Event, State)>) {
        if self.is_in_line(state) {
            let verdict = self.verdict(state);
            let next = verdict.steps.iter();
            found.extend(next.map(|(event, record)| (*event, self.with_number(state, *record))));
        }
    }

    /// The step that is due now.
    pub(super) fn step_due(&self, state: &State) -> Option<State> {
        let record = self.is_in_line(state).then(|| self.verdict(state).due)?;
        record.map(|record| self.with_number(state, record))
    }

    /// What the gates say; asked once for all states that look the same to them.
    fn verdict(&self, state: &State) -> Rc<Verdict> {
        let key = Seen::of(state);
        let known = self.verdicts.borrow().get(&key).cloned();
        known.unwrap_or_else(|| {
            let verdict = Rc::new(self.ask_gates(state));
            self.verdicts.borrow_mut().insert(key, Rc::clone(&verdict));
            verdict
        })
    }

    fn ask_gates(&self, state: &State) -> Verdict {
        let (record, shown) = self.look(state);
        let evidence = shown.evidence();
        let mut steps = Vec::new();
        if let Ok(after) = record.distribute(now()) {
            steps.push((Event::Distribute, self.number(after)));
        }
        if let Ok(after) = record.activate_by(&evidence, None, now(), self.rules.activate()) {
            steps.push((Event::Activate, self.number(after)));
        }
        for signer in &record.signers {
            let by = (now(), self.rules.retire());
            if let Ok(after) = record.retire_by(&signer.issuer, &evidence, None, by) {
                let which = self.records.borrow().which_issuer(&signer.issuer);
                steps.push((Event::Retire(which), self.number(after)));
            }
        }
        let due = due(&record, &evidence).map(|step| match step {
            Step::Distribute => record.distribute(now()),
            Step::Activate => record.activate(&evidence, None, now()),
            Step::Retire(issuer) => record.retire(&issuer, &evidence, None, now()),
        });
        let due = due.map(|after| self.number(after.expect("what is due is not refused")));
        Verdict { steps, due }
    }

    /// Whether bundle, ledger and generation are what the record says.
    pub(super) fn is_in_line(&self, state: &State) -> bool {
        let generation = Generation {
            issuer: self.active(state),
            bundle: state.bundle,
        };
        self.publishable(state) == (state.bundle.roots, state.bundle.crl)
            && state.terms == Some((generation.issuer, generation.bundle.number))
            && state.serving == Some(generation)
    }

    pub(super) fn look(&self, state: &State) -> (Record, Shown) {
        let records = self.records.borrow();
        (
            dated(state, &self.world, &records),
            Shown::of(state, &self.world, &records),
        )
    }

    /// The state with another record.
    pub(super) fn with_record(&self, state: &State, after: Record) -> State {
        self.with_number(state, self.number(after))
    }

    fn with_number(&self, state: &State, record: u16) -> State {
        let disk = if self.rules.keep(Habit::PersistedFirst) {
            record
        } else {
            state.disk
        };
        State {
            record,
            disk,
            ..*state
        }
    }

    /// Dates that move are no part of a record that is kept.
    fn number(&self, mut record: Record) -> u16 {
        let mut records = self.records.borrow_mut();
        for signer in &mut record.signers {
            let still = records.signer(records.which_issuer(&signer.issuer), &self.world);
            signer.not_before = still.not_before;
            signer.not_after = still.not_after;
            signer.issuer_not_before = still.issuer_not_before;
            signer.first_loaded = still.first_loaded;
        }
        records.number(record)
    }

    pub(super) fn facts(&self, state: &State) -> Facts {
        self.records.borrow().facts(state.record)
    }

    pub(super) fn active(&self, state: &State) -> u8 {
        self.facts(state).active
    }

    /// Whether nothing that the record asks for is withheld.
    pub(super) fn is_all_out(&self, state: &State) -> bool {
        self.wanted_bundle(state) == (state.bundle.roots, state.bundle.crl)
    }

    /// Roots of all signers that are published, and the lists that are of one of them.
    fn wanted_bundle(&self, state: &State) -> (Set, Option<Set>) {
        let facts = self.facts(state);
        let lists = state.crl_file.map(|file| file.and(facts.published));
        (facts.roots, lists)
    }

    /// The wanted bundle as far as it may go out: where it refuses somebody who lives, no root leaves but those that
    /// were let go, and no list is given out that covers too few.
    fn publishable(&self, state: &State) -> (Set, Option<Set>) {
        let (roots, crl) = self.wanted_bundle(state);
        if (roots, crl) == (state.bundle.roots, state.bundle.crl) {
            return (roots, crl);
        }
        let gate = self.ask_publish(state, (roots, crl));
        let is_of_lists = |obstacle: &Obstacle| matches!(obstacle, Obstacle::Uncovered { .. });
        let stay = match gate.obstacles().iter().all(is_of_lists) {
            true => Set::default(),
            false => state.bundle.roots.without(self.facts(state).dropped_roots),
        };
        let keeps_lists = !gate.obstacles().iter().any(is_of_lists);
        (roots.or(stay), crl.filter(|_lists| keeps_lists))
    }

    fn ask_publish(&self, state: &State, (roots, crl): (Set, Option<Set>)) -> Gate {
        let (record, shown) = self.look(state);
        let records = self.records.borrow();
        let names = |set: Set, of: &[_; 3]| {
            set.members()
                .map(|at| of[usize::from(at)])
                .collect::<Vec<_>>()
        };
        let covered = crl.map(|covered| names(covered, &records.issuers));
        let candidate = Candidate {
            roots: &names(roots, &records.roots),
            covered: covered.as_deref(),
            signing: state
                .terms
                .map(|terms| records.issuers[usize::from(terms.0)]),
        };
        publish_by(&record, &candidate, &shown.evidence(), self.rules.publish())
    }
}

/// The bundle's file after it was written, with the numbers that gates compare.
fn published(state: &State, roots: Set, crl: Option<Set>) -> State {
    let mut next = *state;
    let number = state.bundle.number + 1;
    next.bundle = Bundle { number, roots, crl };
    for root in 0..3 {
        let since = &mut next.since[usize::from(root)];
        *since = match (roots.has(root), *since) {
            (false, _) => 0,
            (true, 0) => number,
            (true, since) => since,
        };
    }
    match crl {
        Some(covered) => {
            next.crl_used = true;
            for issuer in 0..3 {
                let since = &mut next.crl_since[usize::from(issuer)];
                *since = match (covered.has(issuer), *since, state.crl_free_since) {
                    (false, ..) => 0,
                    (true, 0, 0) => number,
                    (true, 0, free) => free,
                    (true, since, _) => since,
                };
            }
            next.crl_free_since = 0;
        }
        None if state.crl_free_since == 0 => next.crl_free_since = number,
        None => {}
    }
    next
}
