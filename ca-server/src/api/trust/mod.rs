//! `signet.v1.TrustService/WatchTrustBundle`: pushes who is to be trusted, and takes down what agents say they use.
//!
//! A stream is as good as the evidence it began with: that is looked at again with each word, and from time to time, so
//! that whoever is denied, or whose certificate is over, does not go on acknowledging.

mod crowd;
mod message;
mod speaker;
mod streams;
mod watcher;

use std::sync::Arc;
use std::time::Duration;

use proto::signet::TrustBundle;
use proto::signet::WatchTrustBundleRequest;
use proto::signet::trust_service_server::TrustService;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;
use tracing::warn;

use super::certificates::bearer_tokens;
use super::connection::Connection;
use super::status;
use crate::attest::Attestor;
use crate::attest::Caller;
use crate::attest::Presented;
use crate::authority::Authority;
use crate::clock::Clock;
use crate::ledger::Evidence;
use crate::ledger::Ledger;
use crate::telemetry::metrics::Metrics;

pub use crowd::Crowd;
pub use message::Bulletin;
pub use streams::Streams;

/// The service that agents follow.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Who is calling?
    pub attestor: Arc<Attestor>,
    /// Whose trust bundle is pushed.
    pub authority: Arc<Authority>,
    /// Where acknowledgements go.
    pub ledger: Arc<dyn Ledger>,
    /// What time is it?
    pub clock: Arc<dyn Clock>,
    /// The longest that a leaf may live.
    pub longest_leaf: Duration,
    /// Tells of every change of what is in force.
    pub changes: watch::Receiver<u64>,
    /// What is pushed.
    pub bulletin: Bulletin,
    /// Who is connected.
    pub streams: Streams,
    /// How many are connected.
    pub crowd: Crowd,
    /// Counts.
    pub metrics: Metrics,
    /// Cancelled when the drain starts.
    pub stop: CancellationToken,
}

#[tonic::async_trait]
impl TrustService for Trust {
    type WatchTrustBundleStream = ReceiverStream<Result<TrustBundle, Status>>;

    async fn watch_trust_bundle(
        &self,
        request: Request<Streaming<WatchTrustBundleRequest>>,
    ) -> Result<Response<Self::WatchTrustBundleStream>, Status> {
        let peer = Connection::of(request.extensions());
        let (metadata, _, said) = request.into_parts();
        let shown = Shown {
            tokens: bearer_tokens(&metadata)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            peer,
        };
        let caller = self.attest(&shown).await?;
        let place = self
            .crowd
            .enter(shown.peer_addr(), caller.spiffe_id().clone())
            .map_err(|error| {
                warn!(spiffe_id = %caller.spiffe_id(), %error, "watcher turned away");
                Status::resource_exhausted(error.to_string())
            })?;
        let (pushed, answers) = mpsc::channel(1);
        let watcher = watcher::Watcher::new(self.clone(), shown, caller, pushed, place);
        tokio::spawn(watcher.follow(said));
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

impl Trust {
    async fn attest(&self, shown: &Shown) -> Result<Caller, Status> {
        let tokens: Vec<&str> = shown.tokens.iter().map(String::as_str).collect();
        let presented = Presented {
            bearer_tokens: &tokens,
            client_chain: shown.peer.as_ref().map_or(&[], |peer| peer.client_chain()),
        };
        let generation = self.authority.current();
        let attested = self
            .attestor
            .attest(presented, generation.roots(), self.clock.now())
            .await;
        let caller = attested.map_err(|error| {
            warn!(reason = %error, peer_addr = shown.peer_addr(), "watcher not recognised");
            self.metrics.attest_failures.inc();
            if let Some(denial) = error.denial() {
                let kind = denial.target.kind();
                self.metrics.denied.with_label_values(&[kind]).inc();
            }
            status::not_attested(&error)
        })?;
        match caller.evidence() {
            Evidence::EnrolmentToken(_) => Err(Status::unauthenticated(
                "an enrolment token is for one certificate: come with that",
            )),
            _ => Ok(caller),
        }
    }

    /// The same caller by the same evidence, at this moment.
    async fn attest_again(&self, shown: &Shown, caller: &Caller) -> Result<(), Status> {
        let now = self.attest(shown).await?;
        match now.spiffe_id() == caller.spiffe_id() {
            true => Ok(()),
            false => Err(Status::unauthenticated(
                "the certificate of this stream is over, and its bearer token names another",
            )),
        }
    }
}

/// How a watcher proved who it is.
struct Shown {
    tokens: Vec<String>,
    peer: Option<Arc<Connection>>,
}

impl Shown {
    fn peer_addr(&self) -> String {
        let peer = self.peer.as_ref();
        peer.map_or_else(String::new, |peer| peer.peer_addr())
    }
}
