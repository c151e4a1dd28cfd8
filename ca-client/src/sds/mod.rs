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

use tokio::sync::watch;

pub(crate) use gate::Gate;
pub use report::SdsStatus;

use crate::agent::Status;
use crate::clock::Clock;
use crate::offer::Offers;
use crate::socket;
use crate::socket::LocalSocket;
use host::Host;
use report::Report;
use streams::Streams;

/// The server, with nothing open yet.
#[derive(Debug)]
pub(crate) struct Server {
    socket: LocalSocket,
    offers: Offers,
    streams: Arc<Streams>,
}

impl Server {
    /// A server at `socket` of what is offered, and the gate that waits for its readers.
    pub(crate) fn new(
        socket: LocalSocket,
        offers: Offers,
        status: Arc<watch::Sender<Status>>,
        clock: Arc<dyn Clock>,
    ) -> (Self, Gate) {
        let streams = Arc::new(Streams::new(Report::new(status, clock)));
        let gate = Gate::new(offers.clone(), Arc::clone(&streams));
        let server = Self {
            socket,
            offers,
            streams,
        };
        (server, gate)
    }

    /// Never ends by itself.
    pub(crate) async fn run(self) {
        tokio::select! {
            () = stage::run(self.offers, &self.streams) => {}
            () = listen(&self.socket, &self.streams) => {}
        }
        std::future::pending::<()>().await;
    }
}

/// Opens the socket once there is something to be had.
async fn listen(socket: &LocalSocket, streams: &Arc<Streams>) {
    if streams.shelf().wait_for(Option::is_some).await.is_ok() {
        socket::run(socket, &Host::new(Arc::clone(streams))).await;
    }
}
