//! In what order do readers get what is new? Where roots and certificate change together, the roots first: a peer that
//! has the new certificate must not meet one that lacks the roots for it.

use std::sync::Arc;
use std::time::Duration;

use super::catalogue::Catalogue;
use super::streams::Streams;
use crate::offer::Offers;

/// Puts what is offered on the shelf, until nothing more can be.
pub(super) async fn run(mut offers: Offers, streams: &Streams) {
    let mut shown = Arc::new(Catalogue::default());
    loop {
        let next = Arc::new(Catalogue::new(&offers.borrow_and_update(), &shown));
        let (first, mut places) = shown.roots_first(&next);
        // A CA's roots are the same for all workloads, which must not wait for them one after the other.
        places.retain(|place| !shown.has_roots_like(&first, *place));
        if !places.is_empty() {
            let first = Arc::new(first);
            streams.show(Arc::clone(&first));
            // One that never answers must not keep the others from their certificate.
            drop(tokio::time::timeout(HEAD_START, streams.have_roots(&first, &places)).await);
        }
        streams.show(Arc::clone(&next));
        shown = next;
        if offers.changed().await.is_err() {
            return;
        }
        // Of many workloads that change at once, readers are told once.
        tokio::time::sleep(BREATH).await;
    }
}

/// How long a certificate waits for its roots to be acknowledged.
const HEAD_START: Duration = Duration::from_millis(500);
/// Between two looks at what is offered.
const BREATH: Duration = Duration::from_millis(2);
