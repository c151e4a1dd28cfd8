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
use crate::roster::Grants;

/// An open stream.
#[derive(Debug)]
pub(super) struct Stream<D: Dialect> {
    pub(super) requests: Streaming<D::Request>,
    pub(super) answers: mpsc::Sender<Result<D::Response, Status>>,
    pub(super) subscription: Subscription,
    pub(super) seat: Seat,
    pub(super) grants: Grants,
    pub(super) shelf: Shelf,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) is_named: bool,
    /// Whether there is something to send.
    pub(super) is_due: bool,
}

impl<D: Dialect> Stream<D> {
    /// Until the reader leaves, or the agent ends.
    pub(super) async fn run(mut self) {
        let answers = self.answers.clone();
        loop {
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
                permit = answers.reserve(), if self.is_due => {
                    let Ok(permit) = permit else { return };
                    let view = self.catalogue.seen_by(&self.grants);
                    if let Some(answer) = self.subscription.next(view) {
                        permit.send(Ok(D::write(answer)));
                        self.seat.streams().report.pushed();
                    }
                    self.is_due = false;
                }
                changed = self.shelf.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.look();
                }
            }
        }
    }

    /// Takes in what there is now. With many workloads, most of what changes is of no interest here.
    fn look(&mut self) {
        let catalogue = Arc::clone(&self.shelf.borrow_and_update());
        let is_same = self.catalogue.is_same_for(&self.grants, &catalogue);
        self.catalogue = catalogue;
        if !is_same {
            self.is_due = self
                .subscription
                .is_due(self.catalogue.seen_by(&self.grants));
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
        let view = self.catalogue.seen_by(&self.grants);
        let heard = self.subscription.hear(said.request, view);
        self.is_due = self.subscription.is_due(view);
        self.seat.note(self.subscription.confirmed());
        let report = &self.seat.streams().report;
        match heard {
            Heard::Asked | Heard::Stale => {}
            Heard::Acknowledged => report.acknowledged(),
            Heard::Refused { names, why } => report.refused(&self.seat.who(), &names, &why),
        }
        Ok(())
    }
}
