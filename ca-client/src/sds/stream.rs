//! How is one stream served? Hears its reader and sends it the newest state, one answer at a time: who reads slowly
//! skips what was in between.

use std::sync::Arc;

use tokio::sync::mpsc;
use tonic::Status;
use tonic::Streaming;

use super::call::Call;
use super::catalogue::Catalogue;
use super::streams::Seat;
use super::streams::Shelf;
use super::streams::Streams;
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
    pub(super) streams: Arc<Streams>,
    /// `None` of one that has said all that it ever will: it is given what there is, and nobody waits for its word.
    pub(super) seat: Option<Seat>,
    pub(super) call: Arc<Call>,
    pub(super) shelf: Shelf,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) is_named: bool,
    /// About how many octets there are to send, if there are any.
    pub(super) owed: Option<usize>,
}

impl<D: Dialect> Stream<D> {
    /// Until the reader leaves, or the agent ends.
    pub(super) async fn run(mut self) {
        let answers = self.answers.clone();
        loop {
            if self.owed.is_none() && self.seat.is_none() {
                return;
            }
            tokio::select! {
                () = answers.closed() => return,
                request = self.requests.message(), if self.seat.is_some() => {
                    let heard = match request {
                        Ok(None) => {
                            self.seat = None;
                            Ok(())
                        }
                        Ok(Some(request)) => self.hear(request),
                        Err(unreadable) => Err(unreadable),
                    };
                    if let Err(status) = heard {
                        // There is room for it beside the answer; if not, nobody reads.
                        drop(answers.try_send(Err(status)));
                        return;
                    }
                }
                () = self.call.room_for(self.owed.unwrap_or_default()), if self.owed.is_some() => {
                    let view = self.catalogue.seen_by(&self.call.grants);
                    if let Some(answer) = self.subscription.next(view) {
                        drop(answers.try_send(Ok(D::write(answer))));
                        self.streams.report.pushed();
                    }
                    self.owed = None;
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
        let is_same = self.catalogue.is_same_for(&self.call.grants, &catalogue);
        self.catalogue = catalogue;
        if !is_same {
            self.owed = self
                .subscription
                .owed(self.catalogue.seen_by(&self.call.grants));
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
            self.seat.as_ref().inspect(|seat| seat.name(&node));
        }
        let view = self.catalogue.seen_by(&self.call.grants);
        let heard = self.subscription.hear(said.request, view);
        self.owed = self.subscription.owed(view);
        let confirmed = self.subscription.confirmed();
        self.seat.as_ref().inspect(|seat| seat.note(confirmed));
        let report = &self.streams.report;
        match heard {
            Heard::Asked | Heard::Stale => {}
            Heard::Acknowledged => report.acknowledged(),
            Heard::Refused { names, why } => {
                let who = self.seat.as_ref().map(Seat::who).unwrap_or_default();
                report.refused(&who, &names, &why);
            }
        }
        Ok(())
    }
}
