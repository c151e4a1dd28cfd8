//! How do Envoys get what the agent holds? An SDS v3 server on a unix socket: `default` is the certificate with its
//! key, `ROOTCA` what others are judged by; whatever changes is pushed.
//!
//! It changes nothing of what the agent holds. What Envoys acknowledge is kept in `streams`, and `Gate` says when
//! all of them have the latest.

mod catalogue;
mod gate;
mod listener;
mod report;
mod service;
mod slim;
mod socket;
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
pub use socket::SdsSocket;
pub use socket::SdsSocketError;

use crate::agent::Status;
use crate::bundle::Beyond;
use crate::clock::Clock;
use crate::svid::Svid;
use report::Report;
use streams::Streams;

/// What the agent holds at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) svid: Arc<Svid>,
    pub(crate) beyond: Arc<Beyond>,
}

/// The latest of it; `None` until there is a certificate.
pub(crate) type Offers = watch::Receiver<Option<Offer>>;

/// The server, with nothing open yet.
#[derive(Debug)]
pub(crate) struct Server {
    socket: SdsSocket,
    offers: Offers,
    streams: Arc<Streams>,
}

impl Server {
    /// A server at `socket` of what is offered, and the gate that waits for its readers.
    pub(crate) fn new(
        socket: SdsSocket,
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
            () = listener::run(&self.socket, &self.streams) => {}
        }
        std::future::pending::<()>().await;
    }
}
