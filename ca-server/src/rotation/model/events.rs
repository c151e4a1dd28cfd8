//! What happens from outside? Time, operators, and the end of processes.

use std::time::Duration;

use super::records::now;
use super::search::Event;
use super::search::Model;
use super::state::Request;
use super::state::Set;
use super::state::State;
use crate::rotation::Record;
use crate::rotation::Signer;

impl Model {
    /// Everything that may happen now.
    pub(super) fn events(&self, state: &State) -> Vec<(Event, State)> {
        let mut found = Vec::new();
        found.extend(self.bring_in_line(state));
        if self.world.prompt && !found.is_empty() {
            return found;
        }
        self.steps(state, &mut found);
        for at in 0..2 {
            // What answers a call dies with the server.
            let waits = matches!(
                state.clients[usize::from(at)].request,
                Request::Started { .. }
            );
            if !(waits && state.serving.is_none()) {
                self.client_events(state, at, &mut found);
            }
        }
        self.operator_events(state, &mut found);
        self.nature(state, &mut found);
        found
    }

    pub(super) fn tick(&self, state: &State) -> Option<State> {
        if self.world.polled && !state.has_polled && state.serving.is_some() {
            return None;
        }
        let mut next = *state;
        next.clients
            .iter_mut()
            .for_each(|client| client.grow_older());
        for left in [
            &mut next.hint_left,
            &mut next.unknown_left,
            &mut next.b_left,
        ] {
            *left = (*left - 1).max(0);
        }
        next.ages = next.ages.map(|age| (age + 1).min(2));
        next.has_polled = false;
        Some(next)
    }

    pub(super) fn poll(&self, state: &State) -> Option<State> {
        let serving = state.serving.filter(|_| self.world.polled)?;
        let next = State {
            poller: serving.bundle.roots,
            has_polled: true,
            ..*state
        };
        (next != *state).then_some(next)
    }

    /// The operator puts right what keeps a rotation from its end.
    pub(super) fn put_right(&self, state: &State) -> Option<State> {
        if state.listed {
            return Some(State {
                listed: false,
                ..*state
            });
        }
        if state.crl_file.is_some_and(|file| file != Set(7)) {
            return Some(State {
                crl_file: Some(Set(7)),
                ..*state
            });
        }
        let facts = self.facts(state);
        if facts.next == Some(1) && self.world.b_lives > 0 && state.b_left == 0 {
            return self.introduce(state, facts.active);
        }
        let fixed = self.refreshed(state, &[1])?;
        Some(self.with_record(state, fixed)).filter(|next| next != state)
    }

    fn operator_events(&self, state: &State, found: &mut Vec<(Event, State)>) {
        let budget = state.budget;
        if budget.drops > 0 {
            for which in self.world.droppable {
                if let Some(mut next) = self.introduce(state, *which) {
                    next.budget.drops -= 1;
                    found.push((Event::Drop(*which), next));
                }
            }
        }
        if budget.taints + budget.hastes + budget.trims > 0
            || state.listed
            || budget.crl_changes > 0
        {
            self.commands(state, found);
        }
    }

    fn commands(&self, state: &State, found: &mut Vec<(Event, State)>) {
        let budget = state.budget;
        let record = self.records.borrow().record(state.record).clone();
        if budget.taints > 0 {
            let loaded = self.records.borrow().issuers;
            for signer in &record.signers {
                if let Ok(after) = record.taint(&signer.issuer, (None, None), &loaded, now()) {
                    let which = self.records.borrow().which_issuer(&signer.issuer);
                    let mut next = self.with_record(state, after);
                    next.budget.taints -= 1;
                    found.push((Event::Taint(which), next));
                }
            }
        }
        if budget.hastes > 0 {
            let mut next = self.with_record(state, record.hasten(Duration::from_secs(1), now()));
            next.budget.hastes -= 1;
            found.push((Event::Hasten, next));
        }
        self.edits(state, found);
    }

    /// Changes of the operator's files that start no rotation.
    fn edits(&self, state: &State, found: &mut Vec<(Event, State)>) {
        if state.listed {
            found.push((
                Event::Unlist,
                State {
                    listed: false,
                    ..*state
                },
            ));
        }
        if state.budget.trims > 0 {
            for roots in [&[1], &[0]] {
                let after = self.refreshed(state, roots);
                if let Some(after) = after {
                    let mut next = self.with_record(state, after);
                    next.budget.trims -= 1;
                    found.push((Event::Trim(roots[0]), next));
                }
            }
        }
        if state.budget.crl_changes > 0 {
            for file in [None, Some(Set(1)), Some(Set(2)), Some(Set(3))] {
                if file != state.crl_file {
                    let mut next = State {
                        crl_file: file,
                        ..*state
                    };
                    next.budget.crl_changes -= 1;
                    found.push((Event::GiveCrls(file), next));
                }
            }
        }
    }

    fn nature(&self, state: &State, found: &mut Vec<(Event, State)>) {
        found.extend(self.tick(state).map(|next| (Event::Tick, next)));
        found.extend(self.poll(state).map(|next| (Event::Poll, next)));
        if state.budget.kills > 0 && state.terms.is_some() {
            let mut next = State {
                record: state.disk,
                terms: None,
                serving: None,
                pushed: None,
                ..*state
            };
            for client in &mut next.clients {
                if matches!(client.request, Request::Started { .. }) {
                    client.request = Request::None;
                }
            }
            next.budget.kills -= 1;
            found.push((Event::Kill, next));
        }
    }

    fn introduce(&self, state: &State, which: u8) -> Option<State> {
        let records = self.records.borrow();
        let record = records.record(state.record);
        let signer = records.signer(which, &self.world);
        let is_new = record.signer(&signer.issuer).is_none();
        let after = record.introduce(signer, true, now()).ok();
        drop(records);
        let mut next = self.with_record(state, after?);
        if is_new && self.world.slow > 0 && which > 0 {
            next.ages[usize::from(which)] = 0;
        }
        if is_new && which == 1 {
            next.b_left = self.world.b_lives;
        }
        Some(next)
    }

    /// B's files come with these roots.
    fn refreshed(&self, state: &State, roots: &[u8]) -> Option<Record> {
        if self.world.trims == 0 {
            return None;
        }
        let records = self.records.borrow();
        let roots = roots.iter().map(|root| records.roots[usize::from(*root)]);
        let signer = Signer {
            roots: roots.collect(),
            ..records.signer(1, &self.world)
        };
        let record = records.record(state.record);
        record.refresh(signer, now()).ok()
    }
}
