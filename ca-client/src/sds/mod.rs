//! How do Envoys get what the agent holds? An SDS v3 server on a unix socket: `default` is the certificate with its
//! key, `ROOTCA` what others are judged by; whatever changes is pushed.
//!
//! It changes nothing of what the agent holds. What Envoys acknowledge is kept in `streams`, and `Gate` says when
//! all of them have the latest.

mod call;
mod catalogue;
mod gate;
mod host;
mod report;
mod rooms;
mod secrets;
mod service;
mod slim;
mod stage;
mod stream;
mod streams;
mod subscription;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

pub(crate) use gate::Gate;
pub use report::SdsStatus;

use crate::clock::Clock;
use crate::offer::Offers;
use crate::readers::Statuses;
use crate::roster::Roster;
use crate::socket;
use crate::socket::LocalSocket;
use host::Host;
use report::Report;
use streams::Streams;

/// The server, with nothing open yet.
#[derive(Debug)]
pub(crate) struct Server {
    socket: LocalSocket,
    roster: Roster,
    offers: Offers,
    streams: Arc<Streams>,
}

impl Server {
    /// A server at `socket` of what is offered, to those whom `roster` names.
    pub(crate) fn new(
        socket: LocalSocket,
        roster: Roster,
        offers: Offers,
        statuses: Statuses,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let report = Report::new(statuses, roster.clone(), clock);
        Self {
            socket,
            roster,
            offers,
            streams: Arc::new(Streams::new(report)),
        }
    }

    /// The gate that waits for readers of the workload at `place`.
    pub(crate) fn gate(&self, place: usize) -> Gate {
        Gate::new(place, self.offers.clone(), Arc::clone(&self.streams))
    }

    /// Never ends by itself.
    pub(crate) async fn run(self) {
        tokio::select! {
            () = stage::run(self.offers, &self.streams) => {}
            () = listen(&self.socket, &self.streams, self.roster) => {}
        }
        std::future::pending::<()>().await;
    }
}

/// Opens the socket once there is something to be had.
async fn listen(socket: &LocalSocket, streams: &Arc<Streams>, roster: Roster) {
    let mut shelf = streams.shelf();
    let is_there = shelf.wait_for(|catalogue| !catalogue.is_empty());
    if is_there.await.is_ok() {
        socket::run(socket, &Host::new(Arc::clone(streams), roster)).await;
    }
}
