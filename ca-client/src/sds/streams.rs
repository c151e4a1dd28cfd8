//! Who reads, and who has acknowledged what? One seat for each open stream, around the catalogue of the moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::catalogue::Catalogue;
use super::catalogue::Found;
use super::report::Report;
use super::secrets::Kind;
use super::subscription::Confirmed;
use crate::roster::Grants;

/// The catalogue of the moment.
pub(super) type Shelf = watch::Receiver<Arc<Catalogue>>;

/// All streams.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) report: Report,
    shelf: watch::Sender<Arc<Catalogue>>,
    seats: Mutex<Seats>,
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Seats {
    last: u64,
    taken: BTreeMap<u64, Reader>,
    /// For each place, who left last without a word on what there was, and when.
    left: BTreeMap<usize, (String, Instant)>,
}

/// What one stream has.
#[derive(Debug)]
struct Reader {
    who: String,
    grants: Grants,
    confirmed: Confirmed,
}

impl Reader {
    /// Whether it wants something that is `meant`, and has not acknowledged what that is now.
    fn lacks(&self, catalogue: &Catalogue, meant: impl Fn(&Found<'_>) -> bool) -> bool {
        let view = catalogue.seen_by(&self.grants);
        self.confirmed.iter().any(|(name, version)| {
            let found = view.find(name).filter(&meant);
            found.is_some_and(|found| version.as_ref() != Some(&found.resource.version))
        })
    }

    fn lacks_of(&self, catalogue: &Catalogue, place: usize) -> bool {
        self.grants.has(place) && self.lacks(catalogue, |found| found.concerns(place, &self.grants))
    }
}

impl Streams {
    pub(super) fn new(report: Report) -> Self {
        Self {
            report,
            shelf: watch::Sender::default(),
            seats: Mutex::default(),
            changes: watch::Sender::new(()),
        }
    }

    /// There is something else to be had from now on.
    pub(super) fn show(&self, catalogue: Arc<Catalogue>) {
        self.shelf.send_replace(catalogue);
    }

    pub(super) fn shelf(&self) -> Shelf {
        self.shelf.subscribe()
    }

    /// For one more stream of `who`.
    pub(super) fn take_seat(self: &Arc<Self>, who: String, grants: Grants) -> Seat {
        let mut seats = self.seats();
        seats.last += 1;
        let id = seats.last;
        let reader = Reader {
            who,
            grants,
            confirmed: Confirmed::new(),
        };
        seats.taken.insert(id, reader);
        drop(seats);
        Seat {
            id,
            streams: Arc::clone(self),
        }
    }

    /// Those who have not acknowledged all that they want of `place`, some of them if they are many. Whoever left
    /// without that is given time to come back, and to say so.
    pub(super) fn behind(&self, catalogue: &Catalogue, place: usize) -> Vec<String> {
        let seats = self.seats();
        let behind = seats
            .taken
            .values()
            .filter(|it| it.lacks_of(catalogue, place));
        let left = seats
            .left
            .get(&place)
            .filter(|(_, at)| at.elapsed() < RETURN)
            .map(|(who, _)| format!("{who}, which has just left"));
        let behind = behind.map(|it| it.who.clone()).chain(left);
        behind.take(MOST_NAMED).collect()
    }

    /// Ends when every open stream that wants roots of one of `places` has acknowledged those of `catalogue`.
    pub(super) async fn have_roots(&self, catalogue: &Catalogue, places: &[usize]) {
        let mut changes = self.changes.subscribe();
        let lacks = |it: &Reader| {
            places.iter().any(|place| it.grants.has(*place))
                && it.lacks(catalogue, |found| found.resource.kind == Kind::Roots)
        };
        while self.seats().taken.values().any(lacks) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Changes whenever somebody says something or leaves.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream's place, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    id: u64,
    streams: Arc<Streams>,
}

impl Seat {
    /// Who sits here.
    pub(super) fn who(&self) -> String {
        let seats = self.streams.seats();
        seats
            .taken
            .get(&self.id)
            .map_or_else(String::new, |it| it.who.clone())
    }

    /// The reader says what it is called.
    pub(super) fn name(&self, node: &str) {
        let node: String = node.escape_debug().take(LONGEST_NODE).collect();
        if let Some(reader) = self.streams.seats().taken.get_mut(&self.id) {
            reader.who = format!("node '{node}' ({})", reader.who);
        }
    }

    /// What the reader has from now on, by its own word.
    pub(super) fn note(&self, confirmed: Confirmed) {
        let mut seats = self.streams.seats();
        let Some(reader) = seats.taken.get_mut(&self.id) else {
            return;
        };
        if reader.confirmed != confirmed {
            reader.confirmed = confirmed;
            drop(seats);
            self.streams.changes.send_replace(());
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let catalogue = Arc::clone(&self.streams.shelf.borrow());
        let mut seats = self.streams.seats();
        if let Some(reader) = seats.taken.remove(&self.id) {
            let now = Instant::now();
            let lacking = |place: &usize| reader.lacks_of(&catalogue, *place);
            let lacking: Vec<usize> = reader.grants.places().filter(lacking).collect();
            for place in lacking {
                seats.left.insert(place, (reader.who.clone(), now));
            }
        }
        drop(seats);
        self.streams.changes.send_replace(());
    }
}

/// Within which an Envoy whose stream broke has another.
const RETURN: Duration = Duration::from_secs(5);
/// Of those who are behind.
const MOST_NAMED: usize = 20;
/// Characters of a node's id.
const LONGEST_NODE: usize = 120;
