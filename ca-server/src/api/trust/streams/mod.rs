//! Which agents are connected, and does each speak for itself? One instance id on two streams is worth nothing: a disk was
//! copied, and one agent would speak for the other.
//!
//! An old stream that lingers when its agent has come back looks like a copy, but never gives a sign of life again. If it
//! does, there are two agents for certain, and then nothing that is said under the id counts for as long as a leaf may
//! live: a copy that is away for a moment is still out there.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::SystemTime;

use proto::spiffe::SpiffeId;

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
    pub(super) now: SystemTime,
    pub(super) longest_leaf: Duration,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    agents: HashMap<AgentKey, Agent>,
}

#[derive(Debug)]
struct Agent {
    streams: Vec<Stream>,
    /// The number of the stream that came last, and when.
    newest: u64,
    newest_since: SystemTime,
    /// What the newest said, when it has ended before an older one.
    left: Option<Acknowledgement>,
    /// There are several, or there were not long ago.
    copied_until: Option<SystemTime>,
}

#[derive(Debug)]
struct Stream {
    number: u64,
    said: Option<Acknowledgement>,
}

impl Streams {
    /// Adds a stream, and answers its number and what others under that id said, which counts no more.
    /// `copied_until` is what an earlier process knew.
    pub(super) fn join(
        &self,
        key: AgentKey,
        copied_until: Option<SystemTime>,
        at: Moment,
    ) -> (u64, Vec<Acknowledgement>) {
        let mut open = self.lock();
        open.last += 1;
        let number = open.last;
        let agent = open.agents.entry(key).or_insert_with(|| Agent {
            streams: Vec::new(),
            newest: number,
            newest_since: at.now,
            left: None,
            copied_until,
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
        if agent.streams.is_empty() {
            open.agents.remove(key);
        }
        again
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn is_copied(&self, now: SystemTime) -> bool {
        self.copied_until.is_some_and(|until| now < until)
    }

    fn speaks_for_itself(&self, number: u64, now: SystemTime) -> bool {
        self.streams.len() == 1 && number == self.newest && !self.is_copied(now)
    }

    fn remove(&mut self, number: u64, now: SystemTime) -> Option<(Acknowledgement, Option<u64>)> {
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

#[cfg(test)]
mod tests;
