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
use super::catalogue::Kind;
use super::report::Report;
use super::subscription::Confirmed;

/// The catalogue of the moment.
pub(super) type Shelf = watch::Receiver<Option<Arc<Catalogue>>>;

/// All streams.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) report: Report,
    shelf: watch::Sender<Option<Arc<Catalogue>>>,
    seats: Mutex<Seats>,
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Seats {
    last: u64,
    taken: BTreeMap<u64, Reader>,
    /// Who left last without a word on what there was, and when.
    left: Option<(String, Instant)>,
}

/// What one stream has.
#[derive(Debug)]
struct Reader {
    who: String,
    confirmed: Confirmed,
}

impl Reader {
    fn has(&self, kind: Kind, catalogue: &Catalogue) -> bool {
        match self.confirmed.get(&kind) {
            None => true,
            Some(version) => version.as_ref() == Some(&catalogue.of_kind(kind).version),
        }
    }

    fn has_all(&self, catalogue: &Catalogue) -> bool {
        self.has(Kind::Roots, catalogue) && self.has(Kind::Leaf, catalogue)
    }
}

impl Streams {
    pub(super) fn new(report: Report) -> Self {
        Self {
            report,
            shelf: watch::Sender::new(None),
            seats: Mutex::default(),
            changes: watch::Sender::new(()),
        }
    }

    /// There is something else to be had from now on.
    pub(super) fn show(&self, catalogue: Arc<Catalogue>) {
        self.shelf.send_replace(Some(catalogue));
    }

    pub(super) fn shelf(&self) -> Shelf {
        self.shelf.subscribe()
    }

    /// For one more stream of `who`.
    pub(super) fn take_seat(self: &Arc<Self>, who: String) -> Seat {
        let mut seats = self.seats();
        seats.last += 1;
        let id = seats.last;
        let reader = Reader {
            who,
            confirmed: Confirmed::new(),
        };
        seats.taken.insert(id, reader);
        drop(seats);
        Seat {
            id,
            streams: Arc::clone(self),
        }
    }

    /// Those who have not acknowledged all that they want of `catalogue`. Whoever left without that is given time to
    /// come back, and to say so.
    pub(super) fn behind(&self, catalogue: &Catalogue) -> Vec<String> {
        let seats = self.seats();
        let behind = seats.taken.values().filter(|it| !it.has_all(catalogue));
        let left = seats
            .left
            .iter()
            .filter(|(_, at)| at.elapsed() < RETURN)
            .map(|(who, _)| format!("{who}, which has just left"));
        behind.map(|it| it.who.clone()).chain(left).collect()
    }

    /// Ends when every open stream that wants roots has acknowledged those of `catalogue`.
    pub(super) async fn have_roots(&self, catalogue: &Catalogue) {
        let mut changes = self.changes.subscribe();
        let has = |it: &Reader| it.has(Kind::Roots, catalogue);
        while !self.seats().taken.values().all(has) {
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
        let catalogue = self.streams.shelf.borrow().clone();
        let mut seats = self.streams.seats();
        let reader = seats.taken.remove(&self.id);
        if let (Some(reader), Some(catalogue)) = (reader, catalogue)
            && !reader.has_all(&catalogue)
        {
            seats.left = Some((reader.who, Instant::now()));
        }
        drop(seats);
        self.streams.changes.send_replace(());
    }
}

/// Within which an Envoy whose stream broke has another.
const RETURN: Duration = Duration::from_secs(5);
/// Characters of a node's id.
const LONGEST_NODE: usize = 120;
