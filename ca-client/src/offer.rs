//! What do the agents of this process hold at one moment, for those who serve it to others? A place on one board for
//! each workload.

use std::sync::Arc;

use tokio::sync::watch;

use crate::bundle::Beyond;
use crate::svid::Svid;

/// The certificate with its roots, and what the CA told beside them.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) svid: Arc<Svid>,
    pub(crate) beyond: Arc<Beyond>,
    pub(crate) age: BundleAge,
}

impl Offer {
    /// Whether nothing at all differs.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.svid, &other.svid)
            && Arc::ptr_eq(&self.beyond, &other.beyond)
            && self.age == other.age
    }
}

/// Which of two trust bundles of one CA is newer? The greater one: what is beside the roots counts first, so that nobody
/// is sent a state without revocation lists by a workload that has not been told of them yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BundleAge {
    /// The number that came with what is beside the roots; none where nothing was told of that.
    pub(crate) told: Option<u64>,
    /// Of the roots; none of a CA that does not count them.
    pub(crate) number: Option<u64>,
}

/// The newest of what several workloads of one CA know: they hear of new roots one after the other, and what one of them
/// knows is good for all. Of a CA that does not count its bundles, whoever was last there knows most.
pub(crate) fn newest<'a, T>(held: impl Iterator<Item = (T, &'a Offer)>) -> Option<(T, &'a Offer)> {
    let key = |offer: &Offer| (offer.age, offer.svid.not_before());
    held.reduce(|best, next| match key(next.1) > key(best.1) {
        true => next,
        false => best,
    })
}

/// What each workload's agent holds; `None` until it has a certificate.
#[derive(Clone, Debug)]
pub(crate) struct Board(Vec<Option<Offer>>);

impl Board {
    pub(crate) fn at(&self, place: usize) -> Option<&Offer> {
        self.0.get(place)?.as_ref()
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = Option<&Offer>> {
        self.0.iter().map(Option::as_ref)
    }
}

/// The latest of it.
pub(crate) type Offers = watch::Receiver<Board>;

/// Where one agent puts what it holds.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    board: Arc<watch::Sender<Board>>,
    index: usize,
}

impl Place {
    /// A board with that many places.
    pub(crate) fn all(count: usize) -> (Vec<Self>, Offers) {
        let board = Arc::new(watch::Sender::new(Board(vec![None; count])));
        let offers = board.subscribe();
        let place = |index| Self {
            board: Arc::clone(&board),
            index,
        };
        ((0..count).map(place).collect(), offers)
    }

    /// From now on this is held.
    pub(crate) fn offer(&self, offer: Offer) {
        self.board.send_modify(|board| {
            if let Some(place) = board.0.get_mut(self.index) {
                *place = Some(offer);
            }
        });
    }
}
