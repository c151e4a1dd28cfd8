//! Which agents are connected, and does each speak for itself? One instance id on two streams is worth nothing: a disk was
//! copied, and one agent would speak for the other.
//!
//! An old stream that lingers when its agent has come back looks like a copy, but never gives a sign of life again. If it
//! does, there are two agents for certain, and then nothing that is said under the id counts for as long as a leaf may
//! live: a copy that is away for a moment is still out there. That is kept while nobody is connected, and measured by a
//! monotonic clock: one on the wall that is set accuses nobody and excuses nobody.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use proto::spiffe::SpiffeId;
use tokio::time::Instant;

use crate::ledger::Acknowledgement;
use crate::ledger::InstanceId;

/// The open streams of all agents that said who they are.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    open: Arc<Mutex<Open>>,
}

/// An agent: under another SPIFFE ID the same instance id is another's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AgentKey {
    pub(super) instance: InstanceId,
    pub(super) spiffe_id: SpiffeId,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The agent said so.
    InOrder,
    /// Nobody knows.
    Broken,
}

/// When something happens, and how long a leaf may live.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) longest_leaf: Duration,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    /// Who is connected, and who is not and has copies.
    agents: HashMap<AgentKey, Agent>,
    /// How many of them are not connected.
    absent: usize,
}

#[derive(Debug)]
struct Agent {
    streams: Vec<Stream>,
    /// The number of the stream that came last, and when.
    newest: u64,
    newest_since: Instant,
    /// What the newest said, when it has ended before an older one.
    left: Option<Acknowledgement>,
    /// There are several, or there were not long ago.
    copied_until: Option<Instant>,
}

#[derive(Debug)]
struct Stream {
    number: u64,
    said: Option<Acknowledgement>,
}

impl Streams {
    /// Adds a stream, and answers its number and what others under that id said, which counts no more.
    /// `copied_for` is what an earlier process knew: for how long from now on there may be copies.
    pub(super) fn join(
        &self,
        key: AgentKey,
        copied_for: Option<Duration>,
        at: Moment,
    ) -> (u64, Vec<Acknowledgement>) {
        let mut open = self.lock();
        open.last += 1;
        let number = open.last;
        if open
            .agents
            .get(&key)
            .is_some_and(|it| it.streams.is_empty())
        {
            open.absent -= 1;
        }
        let agent = open.agents.entry(key).or_insert_with(|| Agent {
            streams: Vec::new(),
            newest: number,
            newest_since: at.now,
            left: None,
            copied_until: copied_for.map(|left| at.now + left),
        });
        agent.look_for_survivors(at);
        let said = agent.streams.iter_mut().filter_map(|it| it.said.as_mut());
        let others = said.filter(|said| !said.shared).map(|said| {
            said.shared = true;
            said.clone()
        });
        let others = others.collect();
        agent.streams.push(Stream { number, said: None });
        (agent.newest, agent.newest_since, agent.left) = (number, at.now, None);
        (number, others)
    }

    /// Notes what was said on a stream, and answers it with whether it counts.
    pub(super) fn note(
        &self,
        key: &AgentKey,
        number: u64,
        said: Acknowledgement,
        at: Moment,
    ) -> Acknowledgement {
        let mut open = self.lock();
        let Some(agent) = open.agents.get_mut(key) else {
            return shared(said, true);
        };
        agent.saw_alive(number, at);
        let said = shared(said, !agent.speaks_for_itself(number, at.now));
        if let Some(stream) = agent.streams.iter_mut().find(|it| it.number == number) {
            stream.said = Some(said.clone());
        }
        said
    }

    /// What was said last on a stream, or on any, with whether it counts now.
    pub(super) fn word(&self, key: &AgentKey, number: Option<u64>) -> Option<Acknowledgement> {
        let open = self.lock();
        let streams = open.agents.get(key)?.streams.iter();
        let mut meant = streams.filter(|it| number.is_none_or(|number| number == it.number));
        meant.find_map(|stream| stream.said.clone())
    }

    /// Removes a stream, and answers what counts again, if something does, and who may say otherwise.
    pub(super) fn leave(
        &self,
        key: &AgentKey,
        number: u64,
        end: End,
        at: Moment,
    ) -> Option<(Acknowledgement, Option<u64>)> {
        let mut open = self.lock();
        let agent = open.agents.get_mut(key)?;
        match end {
            End::InOrder => agent.saw_alive(number, at),
            End::Broken => agent.look_for_survivors(at),
        }
        let again = agent.remove(number, at.now);
        if !agent.streams.is_empty() {
            return again;
        }
        let is_copied = agent.is_copied(at.now);
        match is_copied && open.has_room(at.now) {
            true => open.absent += 1,
            false => drop(open.agents.remove(key)),
        }
        again
    }

    /// How long ago two agents were seen for certain, as long as that counts.
    pub(super) fn since_last_sign(&self, key: &AgentKey, at: Moment) -> Option<Duration> {
        let open = self.lock();
        let until = open.agents.get(key)?.copied_until?;
        let left = until.checked_duration_since(at.now)?;
        Some(at.longest_leaf.saturating_sub(left))
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Whether one more that is not connected can be kept. The ledger has those for whom there is no room.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.absent >= MOST_ABSENT {
            self.agents
                .retain(|_key, agent| !agent.streams.is_empty() || agent.is_copied(now));
            let agents = self.agents.values();
            // The one that is asked for has no stream any more, and is not counted yet.
            let without = agents.filter(|agent| agent.streams.is_empty()).count();
            self.absent = without.saturating_sub(1);
        }
        self.absent < MOST_ABSENT
    }
}

impl Agent {
    /// A stream older than the newest that says something lives beside it.
    fn saw_alive(&mut self, number: u64, at: Moment) {
        self.look_for_survivors(at);
        if number != self.newest && at.now >= self.newest_since + LATE {
            self.copied_until = Some(at.now + at.longest_leaf);
        }
    }

    /// So does one that answered pings since.
    fn look_for_survivors(&mut self, at: Moment) {
        let is_known = self.streams.len() > 1 && self.is_copied(at.now);
        let older = self.streams.iter().any(|it| it.number != self.newest);
        if is_known || (older && at.now >= self.newest_since + SILENCE) {
            self.copied_until = Some(at.now + at.longest_leaf);
        }
    }

    fn is_copied(&self, now: Instant) -> bool {
        self.copied_until.is_some_and(|until| now < until)
    }

    fn speaks_for_itself(&self, number: u64, now: Instant) -> bool {
        self.streams.len() == 1 && number == self.newest && !self.is_copied(now)
    }

    fn remove(&mut self, number: u64, now: Instant) -> Option<(Acknowledgement, Option<u64>)> {
        let at = self.streams.iter().position(|it| it.number == number)?;
        let gone = self.streams.remove(at);
        if number == self.newest {
            self.left = gone.said;
        }
        if self.is_copied(now) {
            return None;
        }
        let newest = self.newest;
        match self.streams.as_mut_slice() {
            [] => Self::again(&mut self.left).map(|said| (said, None)),
            [alone] if alone.number == newest => {
                Self::again(&mut alone.said).map(|said| (said, Some(newest)))
            }
            _ => None,
        }
    }

    fn again(said: &mut Option<Acknowledgement>) -> Option<Acknowledgement> {
        let said = said.as_mut().filter(|said| said.shared)?;
        said.shared = false;
        Some(said.clone())
    }
}

fn shared(said: Acknowledgement, shared: bool) -> Acknowledgement {
    Acknowledgement { shared, ..said }
}

/// What was on its way when an agent came back is no sign of a second one.
const LATE: Duration = Duration::from_secs(5);
/// Longer than a dead connection goes unnoticed: a ping, the wait for its answer, and some more.
const SILENCE: Duration = Duration::from_secs(90);
/// Bounds the memory for copies that have gone.
const MOST_ABSENT: usize = 10_000;

#[cfg(test)]
mod tests;
