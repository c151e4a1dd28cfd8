//! What does one call hold? Its place, and room for the one answer that is on its way, until h2 is done with that.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::oneshot;

use crate::roster::Grants;
use crate::socket::HangUp;
use crate::socket::Party;
use crate::socket::Peer;
use crate::socket::Place;
use crate::socket::Room;

/// An open stream or fetch.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) peer: Peer,
    /// What it may have.
    pub(super) grants: Grants,
    party: Party,
    #[expect(dead_code, reason = "given back when dropped")]
    place: Place,
    unsent: Arc<Room>,
    hang_up: HangUp,
    patience: Duration,
    turn: Arc<Semaphore>,
    load: Mutex<Option<Load>>,
}

impl Call {
    pub(super) fn new(
        (peer, grants): (Peer, Grants),
        place: (Party, Place),
        unsent: Arc<Room>,
        hang_up: HangUp,
        patience: Duration,
    ) -> Self {
        let (party, place) = place;
        Self {
            peer,
            grants,
            party,
            place,
            unsent,
            hang_up,
            patience,
            turn: Arc::new(Semaphore::new(1)),
            load: Mutex::default(),
        }
    }

    /// Ends when the last answer has left us, and there is room for another of about this size. Whoever does not take
    /// that in time is hung up on.
    pub(super) async fn room_for(&self, octets: usize) {
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else {
            return;
        };
        let place = self.unsent.wait_for(self.party, octets).await;
        let (mut held, load) = oneshot::channel();
        let (hang_up, patience) = (self.hang_up.clone(), self.patience);
        tokio::spawn(async move {
            if tokio::time::timeout(patience, held.closed()).await.is_err() {
                hang_up.now();
            }
        });
        *self.load.lock().unwrap_or_else(PoisonError::into_inner) = Some(Load {
            turn,
            place,
            held: load,
        });
    }

    /// The answer, which gives back its room when it is gone.
    pub(super) fn loaded(&self, answer: Bytes) -> Bytes {
        let load = self
            .load
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match load {
            Some(load) => Bytes::from_owner(Loaded { answer, load }),
            None => answer,
        }
    }
}

/// What an answer takes.
#[derive(Debug)]
#[expect(dead_code, reason = "given back when dropped")]
struct Load {
    turn: OwnedSemaphorePermit,
    place: Place,
    held: oneshot::Receiver<()>,
}

/// An answer on its way.
struct Loaded {
    answer: Bytes,
    #[expect(dead_code, reason = "given back when dropped")]
    load: Load,
}

impl AsRef<[u8]> for Loaded {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}
