//! What do clients do? They ask, wait, write, serve and, where they can, acknowledge.

use super::rules::Habit;
use super::search::Event;
use super::search::Model;
use super::state::Client;
use super::state::Leaf;
use super::state::Request;
use super::state::Row;
use super::state::State;
use super::worlds::Kind;

impl Model {
    /// Everything that client `at` may do, or that may happen to its call.
    pub(super) fn client_events(&self, state: &State, at: u8, found: &mut Vec<(Event, State)>) {
        let client = &state.clients[usize::from(at)];
        let mut add = |event: Event, client: Client| {
            let mut next = *state;
            next.clients[usize::from(at)] = client;
            found.push((event, next));
        };
        match client.request {
            Request::None => {
                if let Some(asking) = self.ask(state, at) {
                    add(Event::Ask(at), asking);
                }
            }
            Request::Started { .. } => add(Event::Sign(at), self.sign(state, client)),
            Request::Answered { .. } => {
                add(Event::Deliver(at), self.deliver(client));
                add(
                    Event::Lose(at),
                    Client {
                        request: Request::None,
                        ..*client
                    },
                );
            }
        }
        if let Some(bundle) = state.pushed.filter(|_| self.watches(at))
            && bundle.number > client.written.number
        {
            add(
                Event::Receive(at),
                Client {
                    written: bundle,
                    ..*client
                },
            );
        }
        self.serve(client, at, &mut add);
        let said = self.word(client);
        if self.watches(at) && state.pushed.is_some() && client.said != Some(said) {
            add(
                Event::Acknowledge(at),
                Client {
                    said: Some(said),
                    ..*client
                },
            );
        }
    }

    fn watches(&self, at: u8) -> bool {
        matches!(
            self.world.clients[usize::from(at)],
            Kind::Agent | Kind::Copy
        )
    }

    fn serve(&self, client: &Client, at: u8, add: &mut impl FnMut(Event, Client)) {
        if client.served != client.written {
            add(
                Event::ServeRoots(at),
                Client {
                    served: client.written,
                    ..*client
                },
            );
        }
        let may = client.served == client.written || !self.rules.keep(Habit::RootsBeforeLeaves);
        if may && client.written_leaf.is_some() && client.served_leaf != client.written_leaf {
            add(
                Event::ServeLeaf(at),
                Client {
                    served_leaf: client.written_leaf,
                    ..*client
                },
            );
        }
    }

    /// At half of its leaf's life, without one, or early where it was told to.
    fn ask(&self, state: &State, at: u8) -> Option<Client> {
        let client = &state.clients[usize::from(at)];
        let serving = state
            .serving
            .filter(|serving| self.life_of_leaf(state, serving.issuer) > 0)?;
        let life = self.life_of_leaf(state, serving.issuer);
        let is_due = |left: i8| left <= 1 && left < life;
        let half = client.written_leaf.is_none_or(|leaf| is_due(leaf.left));
        let told = self.watches(at) && self.renewal_is_advised(state);
        let early = told
            && client
                .written_leaf
                .is_some_and(|leaf| leaf.issuer != serving.issuer);
        (half || early).then_some(Client {
            request: Request::Started {
                issuer: serving.issuer,
                bundle: serving.bundle,
            },
            ..*client
        })
    }

    fn renewal_is_advised(&self, state: &State) -> bool {
        state.pushed.is_some() && self.facts(state).renews
    }

    /// The intent becomes durable, and the leaf is signed; or the call is to be made again.
    fn sign(&self, state: &State, client: &Client) -> Client {
        let Request::Started { issuer, bundle } = client.request else {
            return *client;
        };
        let mut next = Client {
            request: Request::None,
            ..*client
        };
        let is_current = state.terms == Some((issuer, bundle.number));
        let left = self.life_of_leaf(state, issuer);
        let is_refused = !is_current && self.rules.keep(Habit::TermsAreChecked);
        if is_refused || left < 1 {
            return next;
        }
        let leaf = Leaf {
            issuer,
            serial: 15,
            left,
        };
        next.record(Row {
            issuer,
            bundle: bundle.number,
            left,
        });
        next.newest = Some((leaf.serial, issuer));
        next.request = Request::Answered { leaf, bundle };
        next
    }

    /// No leaf outlives its chain; who is over signs nothing.
    fn life_of_leaf(&self, state: &State, issuer: u8) -> i8 {
        if issuer == 1 && self.world.b_lives > 0 {
            state.b_left.min(2)
        } else {
            2
        }
    }

    fn deliver(&self, client: &Client) -> Client {
        let Request::Answered { leaf, bundle } = client.request else {
            return *client;
        };
        let is_newer = bundle.number > client.written.number;
        let takes = is_newer || !self.rules.keep(Habit::NeverAnOlderBundle);
        Client {
            written: if takes { bundle } else { client.written },
            written_leaf: Some(leaf),
            request: Request::None,
            ..*client
        }
    }

    fn word(&self, client: &Client) -> (u8, Option<u8>) {
        if self.rules.keep(Habit::AcknowledgedWhenServed) {
            (
                client.served.number,
                client.served_leaf.map(|leaf| leaf.serial),
            )
        } else {
            (
                client.written.number,
                client.written_leaf.map(|leaf| leaf.serial),
            )
        }
    }
}
