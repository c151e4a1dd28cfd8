//! May the CA be told that what we hold is in use? When every open stream has acknowledged it. A stream that never
//! does holds that up: it may serve anything.

use std::sync::Arc;
use std::time::Duration;

use super::catalogue::Catalogue;
use super::streams::Streams;
use crate::offer::Offers;

/// Waits for the readers of one workload.
#[derive(Debug)]
pub(crate) struct Gate {
    place: usize,
    offers: Offers,
    streams: Arc<Streams>,
}

impl Gate {
    pub(super) fn new(place: usize, offers: Offers, streams: Arc<Streams>) -> Self {
        Self {
            place,
            offers,
            streams,
        }
    }

    /// Ends when all that is held is acknowledged. Whoever leaves without a word is given time to come back.
    pub(crate) async fn passed(&self) {
        let mut changes = self.streams.changes();
        let mut shelf = self.streams.shelf();
        loop {
            let catalogue = Arc::clone(&shelf.borrow_and_update());
            if self.is_latest(&catalogue) {
                let behind = self.streams.behind(&catalogue, self.place);
                self.streams.report.waiting_for(self.place, &behind);
                if behind.is_empty() {
                    return;
                }
            }
            tokio::select! {
                _ = changes.changed() => {}
                _ = shelf.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            tokio::time::sleep(PACE).await;
        }
    }

    fn is_latest(&self, catalogue: &Catalogue) -> bool {
        let board = self.offers.borrow();
        board
            .at(self.place)
            .is_some_and(|offer| catalogue.has(self.place, offer))
    }
}

/// The longest time between two looks at who is behind.
const LOOK: Duration = Duration::from_secs(1);
/// The shortest: many readers say much, and many workloads wait for them.
const PACE: Duration = Duration::from_millis(50);
