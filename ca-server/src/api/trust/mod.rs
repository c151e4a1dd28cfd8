//! `signet.v1.TrustService/WatchTrustBundle`: pushes who is to be trusted, and takes down what agents say they use.
//!
//! A stream is as good as the evidence it began with: that is looked at again from time to time, so that whoever is
//! denied, or whose certificate is over, does not go on acknowledging.

mod message;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use proto::signet::InUse;
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
use tracing::debug;
use tracing::info;
use tracing::warn;

use super::certificates::bearer_tokens;
use super::connection::Connection;
use super::status;
use crate::attest::Attestor;
use crate::attest::Caller;
use crate::attest::Presented;
use crate::authority::Authority;
use crate::clock::Clock;
use crate::ledger::Acknowledgement;
use crate::ledger::Evidence;
use crate::ledger::InstanceId;
use crate::ledger::Ledger;
use crate::telemetry::metrics::Metrics;

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
    /// Tells of every change of what is in force.
    pub changes: watch::Receiver<u64>,
    /// Who is connected.
    pub streams: Streams,
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
        let evidence = Shown {
            tokens: bearer_tokens(&metadata)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            peer,
        };
        let caller = self.attest(&evidence).await?;
        let (pushed, answers) = mpsc::channel(1);
        let watcher = Watcher {
            trust: self.clone(),
            evidence,
            caller,
            said,
            pushed,
            instance: None,
        };
        tokio::spawn(watcher.follow());
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
            warn!(reason = %error, "watcher not recognised");
            status::not_attested(&error)
        })?;
        match caller.evidence() {
            Evidence::EnrolmentToken(_) => Err(Status::unauthenticated(
                "an enrolment token is for one certificate: come with that",
            )),
            _ => Ok(caller),
        }
    }
}

/// How a watcher proved who it is.
struct Shown {
    tokens: Vec<String>,
    peer: Option<Arc<Connection>>,
}

/// One stream.
struct Watcher {
    trust: Trust,
    evidence: Shown,
    caller: Caller,
    said: Streaming<WatchTrustBundleRequest>,
    pushed: mpsc::Sender<Result<TrustBundle, Status>>,
    instance: Option<(InstanceId, u64)>,
}

impl Watcher {
    /// Pushes and listens until one side ends it.
    async fn follow(mut self) {
        self.trust.metrics.watchers.inc();
        let ended = self.converse().await;
        self.trust.metrics.watchers.dec();
        if let Err(refused) = ended {
            debug!(spiffe_id = %self.caller.spiffe_id(), reason = refused.message(), "watcher sent away");
            // It may have gone by itself.
            drop(self.pushed.send(Err(refused)).await);
        }
        if let Some((instance, stream)) = self.instance.take() {
            self.leave(instance, stream).await;
        }
    }

    async fn converse(&mut self) -> Result<(), Status> {
        let mut changes = self.trust.changes.clone();
        changes.mark_unchanged();
        self.push().await?;
        let mut recheck = tokio::time::interval(RECHECK);
        recheck.tick().await;
        loop {
            let stop = self.trust.stop.clone();
            let pushed = self.pushed.clone();
            tokio::select! {
                () = stop.cancelled() => return Err(Status::unavailable("the server is stopping")),
                () = pushed.closed() => return Ok(()),
                changed = changes.changed() => match changed {
                    Ok(()) => self.push().await?,
                    Err(_nobody_changes_anything_any_more) => return Ok(()),
                },
                said = self.said.message() => match said? {
                    Some(said) => self.hear(said).await?,
                    None => return Ok(()),
                },
                _ = recheck.tick() => {
                    self.caller = self.trust.attest(&self.evidence).await?;
                }
            }
        }
    }

    async fn push(&self) -> Result<(), Status> {
        let trust_domain = self.caller.spiffe_id().trust_domain();
        let bundle = message::of(&self.trust.authority.current(), trust_domain.as_str());
        tokio::select! {
            () = self.trust.stop.cancelled() => Err(Status::unavailable("the server is stopping")),
            // A watcher that has gone is noticed by the loop.
            _sent = self.pushed.send(Ok(bundle)) => Ok(()),
        }
    }

    async fn hear(&mut self, said: WatchTrustBundleRequest) -> Result<(), Status> {
        let instance: InstanceId = said
            .instance
            .parse()
            .map_err(|error| Status::invalid_argument(format!("instance: {error}")))?;
        let stream = match self.instance {
            Some((known, stream)) if known == instance => stream,
            Some(_) => {
                return Err(Status::invalid_argument(
                    "instance: it changed in mid-stream",
                ));
            }
            None => self.join(instance).await?,
        };
        match said.in_use {
            Some(in_use) => self.acknowledge(instance, stream, &in_use).await,
            None => Ok(()),
        }
    }

    async fn join(&mut self, instance: InstanceId) -> Result<u64, Status> {
        let (stream, others) = self.trust.streams.join(instance);
        self.instance = Some((instance, stream));
        for acknowledged in others {
            warn!(%instance, spiffe_id = %acknowledged.spiffe_id, "two agents use one instance id: neither speaks for the other");
            self.write(acknowledged).await?;
        }
        Ok(stream)
    }

    async fn acknowledge(
        &self,
        instance: InstanceId,
        stream: u64,
        in_use: &InUse,
    ) -> Result<(), Status> {
        let current = self.trust.authority.current().bundle_number();
        if in_use.bundle > current {
            return Err(Status::invalid_argument(format!(
                "in_use: there is no trust bundle {} yet, the newest is {current}",
                in_use.bundle
            )));
        }
        let serial = Some(in_use.serial.as_str()).filter(|serial| !serial.is_empty());
        let serial = serial
            .map(str::parse)
            .transpose()
            .map_err(|error| Status::invalid_argument(format!("in_use: {error}")))?;
        let acknowledgement = Acknowledgement {
            instance,
            spiffe_id: self.caller.spiffe_id().clone(),
            bundle: in_use.bundle,
            serial,
            at: self.trust.clock.now(),
            shared: false,
        };
        let acknowledgement = self.trust.streams.note(stream, acknowledgement);
        info!(%instance, spiffe_id = %acknowledgement.spiffe_id, bundle = acknowledgement.bundle, shared = acknowledgement.shared, "trust bundle acknowledged");
        self.trust.metrics.acknowledgements.inc();
        self.write(acknowledgement).await
    }

    /// Whoever is left alone under the id speaks for it again.
    async fn leave(&self, instance: InstanceId, stream: u64) {
        if let Some(acknowledgement) = self.trust.streams.leave(instance, stream)
            && let Err(status) = self.write(acknowledgement).await
        {
            warn!(%instance, reason = status.message(), "an acknowledgement was not written");
        }
    }

    async fn write(&self, acknowledgement: Acknowledgement) -> Result<(), Status> {
        let written = self.trust.ledger.acknowledge(acknowledgement).await;
        written.map_err(|error| {
            warn!(%error, "an acknowledgement was not written");
            Status::unavailable("the ledger cannot be written now; come again")
        })
    }
}

/// How often the evidence is looked at again.
const RECHECK: Duration = Duration::from_secs(60);
