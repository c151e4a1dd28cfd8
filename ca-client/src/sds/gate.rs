//! May the CA be told that what we hold is in use? When every open stream has acknowledged it. A stream that never
//! does holds that up: it may serve anything.

use std::sync::Arc;
use std::time::Duration;

use super::catalogue::Catalogue;
use super::streams::Streams;
use crate::offer::Offers;

/// Waits for the readers.
#[derive(Debug)]
pub(crate) struct Gate {
    offers: Offers,
    streams: Arc<Streams>,
}

impl Gate {
    pub(super) fn new(offers: Offers, streams: Arc<Streams>) -> Self {
        Self { offers, streams }
    }

    /// Ends when all that is held is acknowledged. Whoever leaves without a word is given time to come back.
    pub(crate) async fn passed(&self) {
        let mut changes = self.streams.changes();
        let mut shelf = self.streams.shelf();
        loop {
            let catalogue = shelf.borrow_and_update().clone();
            let whole = catalogue.filter(|it| self.is_latest(it));
            let behind = whole.as_ref().map(|it| self.streams.behind(it));
            if let Some(behind) = &behind {
                self.streams.report.waiting_for(behind);
                if behind.is_empty() {
                    return;
                }
            }
            tokio::select! {
                _ = changes.changed() => {}
                _ = shelf.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn is_latest(&self, catalogue: &Catalogue) -> bool {
        let offer = self.offers.borrow();
        offer.as_ref().is_some_and(|offer| catalogue.is_of(offer))
    }
}

/// The longest time between two looks at who is behind.
const LOOK: Duration = Duration::from_secs(1);
