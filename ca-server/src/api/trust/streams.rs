//! Which agents are connected, and under which instance ids? One id on two streams is worth nothing: a disk was copied,
//! and one agent would speak for the other.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::ledger::Acknowledgement;
use crate::ledger::InstanceId;

/// The open streams of all watchers.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    by_instance: HashMap<InstanceId, Vec<Stream>>,
}

#[derive(Debug)]
struct Stream {
    number: u64,
    said: Option<Acknowledgement>,
}

impl Streams {
    /// Adds a stream under `instance`, and answers its number and what the others under that id said, which counts no
    /// more.
    pub(super) fn join(&self, instance: InstanceId) -> (u64, Vec<Acknowledgement>) {
        let mut open = self.lock();
        open.last += 1;
        let number = open.last;
        let streams = open.by_instance.entry(instance).or_default();
        let others = streams.iter().filter_map(|stream| stream.said.clone());
        let others = others.map(|said| shared(said, true)).collect();
        streams.push(Stream { number, said: None });
        (number, others)
    }

    /// Notes what was said on a stream, and answers it with whether it counts.
    pub(super) fn note(&self, number: u64, said: Acknowledgement) -> Acknowledgement {
        let mut open = self.lock();
        let Some(streams) = open.by_instance.get_mut(&said.instance) else {
            return shared(said, true);
        };
        let said = shared(said, streams.len() > 1);
        if let Some(stream) = streams.iter_mut().find(|stream| stream.number == number) {
            stream.said = Some(said.clone());
        }
        said
    }

    /// Removes a stream, and answers what counts again because one other is left alone under the id.
    pub(super) fn leave(&self, instance: InstanceId, number: u64) -> Option<Acknowledgement> {
        let mut open = self.lock();
        let streams = open.by_instance.get_mut(&instance)?;
        streams.retain(|stream| stream.number != number);
        let again = match streams.as_mut_slice() {
            [alone] => alone.said.take().map(|said| shared(said, false)),
            _ => None,
        };
        if let Some(alone) = streams.first_mut() {
            alone.said.clone_from(&again);
        } else {
            open.by_instance.remove(&instance);
        }
        again
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shared(said: Acknowledgement, shared: bool) -> Acknowledgement {
    Acknowledgement { shared, ..said }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn said(bundle: u64) -> Acknowledgement {
        Acknowledgement {
            instance: InstanceId::from([7; 16]),
            spiffe_id: "spiffe://cluster.local/ns/a/sa/b".parse().unwrap(),
            bundle,
            serial: None,
            at: UNIX_EPOCH,
            shared: false,
        }
    }

    #[test]
    fn one_id_on_two_streams_counts_for_nothing_until_one_of_them_ends() {
        let (streams, id) = (Streams::default(), InstanceId::from([7; 16]));
        let (first, others) = streams.join(id);
        assert_eq!(others, []);
        assert_eq!(streams.note(first, said(1)), said(1));
        let (second, others) = streams.join(id);
        assert_eq!(others, [shared(said(1), true)]);
        assert_eq!(streams.note(second, said(2)), shared(said(2), true));
        assert_eq!(streams.note(first, said(2)), shared(said(2), true));
        assert_eq!(streams.leave(id, first), Some(said(2)));
        assert_eq!(streams.note(second, said(3)), said(3));
        assert_eq!(streams.leave(id, second), None);
        assert!(streams.lock().by_instance.is_empty());
    }

    #[test]
    fn agents_with_ids_of_their_own_do_not_disturb_each_other() {
        let streams = Streams::default();
        let other = InstanceId::from([8; 16]);
        let (mine, _) = streams.join(InstanceId::from([7; 16]));
        let (theirs, others) = streams.join(other);
        assert_eq!(others, []);
        assert_eq!(streams.note(mine, said(1)), said(1));
        assert_eq!(streams.leave(other, theirs), None);
        assert_eq!(streams.note(mine, said(2)), said(2));
    }
}
