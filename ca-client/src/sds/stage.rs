//! In what order do readers get what is new? Where roots and certificate change together, the roots first: a peer that
//! has the new certificate must not meet one that lacks the roots for it.

use std::sync::Arc;
use std::time::Duration;

use super::catalogue::Catalogue;
use super::streams::Streams;
use crate::offer::Offers;

/// Puts what is offered on the shelf, until nothing more can be.
pub(super) async fn run(mut offers: Offers, streams: &Streams) {
    let mut shown: Option<Arc<Catalogue>> = None;
    loop {
        let offer = offers.borrow_and_update().clone();
        if let Some(offer) = offer {
            let next = Arc::new(Catalogue::new(offer));
            if let Some(before) = shown.filter(|before| next.changes_both(before)) {
                streams.show(Arc::new(before.with_roots_of(&next)));
                // One that never answers must not keep the others from their certificate.
                drop(tokio::time::timeout(HEAD_START, streams.have_roots(&next)).await);
            }
            streams.show(Arc::clone(&next));
            shown = Some(next);
        }
        if offers.changed().await.is_err() {
            return;
        }
    }
}

/// How long a certificate waits for its roots to be acknowledged.
const HEAD_START: Duration = Duration::from_millis(500);
