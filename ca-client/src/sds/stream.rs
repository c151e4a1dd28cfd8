//! How is one stream served? Hears its reader and sends it the newest state, one answer at a time: who reads slowly
//! skips what was in between.

use std::sync::Arc;

use tokio::sync::mpsc;
use tonic::Status;
use tonic::Streaming;

use super::catalogue::Catalogue;
use super::streams::Seat;
use super::streams::Shelf;
use super::subscription::Heard;
use super::subscription::Subscription;
use super::wire::Dialect;
use super::wire::TYPE_URL;

/// An open stream.
#[derive(Debug)]
pub(super) struct Stream<D: Dialect> {
    pub(super) requests: Streaming<D::Request>,
    pub(super) answers: mpsc::Sender<Result<D::Response, Status>>,
    pub(super) subscription: Subscription,
    pub(super) seat: Seat,
    pub(super) shelf: Shelf,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) is_named: bool,
}

impl<D: Dialect> Stream<D> {
    /// Until the reader leaves, or the agent ends.
    pub(super) async fn run(mut self) {
        let answers = self.answers.clone();
        loop {
            let is_due = self.subscription.is_due(&self.catalogue);
            tokio::select! {
                () = answers.closed() => return,
                request = self.requests.message() => {
                    let heard = match request {
                        Ok(None) => return,
                        Ok(Some(request)) => self.hear(request),
                        Err(unreadable) => Err(unreadable),
                    };
                    if let Err(status) = heard {
                        drop(answers.send(Err(status)).await);
                        return;
                    }
                }
                permit = answers.reserve(), if is_due => {
                    let Ok(permit) = permit else { return };
                    if let Some(answer) = self.subscription.next(&self.catalogue) {
                        permit.send(Ok(D::write(answer)));
                        self.seat.streams().report.pushed();
                    }
                }
                changed = self.shelf.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if let Some(catalogue) = self.shelf.borrow_and_update().clone() {
                        self.catalogue = catalogue;
                    }
                }
            }
        }
    }

    fn hear(&mut self, request: D::Request) -> Result<(), Status> {
        let said = D::read(request);
        if !said.type_url.is_empty() && said.type_url != TYPE_URL {
            return Err(Status::invalid_argument(format!(
                "expected the type {TYPE_URL}, seen another; this socket serves secrets only"
            )));
        }
        if let Some(node) = said.node.filter(|node| !node.is_empty() && !self.is_named) {
            self.is_named = true;
            self.seat.name(&node);
        }
        let heard = self.subscription.hear(said.request, &self.catalogue);
        self.seat.note(self.subscription.confirmed(&self.catalogue));
        let report = &self.seat.streams().report;
        match heard {
            Heard::Asked | Heard::Stale => {}
            Heard::Acknowledged => report.acknowledged(),
            Heard::Refused { names, why } => report.refused(&self.seat.who(), &names, &why),
        }
        Ok(())
    }
}
