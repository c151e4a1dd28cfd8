//! What are the three calls? Two kinds of streams, and one answer for those who come to fetch.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryResponse;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse;
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_server::SecretDiscoveryService;
use ring::rand::SecureRandom as _;
use ring::rand::SystemRandom;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;

use super::stream::Stream;
use super::streams::Seat;
use super::streams::Streams;
use super::subscription::Form;
use super::subscription::Subscription;
use super::wire::Delta;
use super::wire::Dialect;
use super::wire::TYPE_URL;
use super::wire::Whole;
use crate::roster::Grants;
use crate::roster::Roster;
use crate::socket::Peer;

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) streams: Arc<Streams>,
    pub(super) roster: Roster,
}

type Answers<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl SecretDiscoveryService for Service {
    type DeltaSecretsStream = Answers<DeltaDiscoveryResponse>;
    type StreamSecretsStream = Answers<DiscoveryResponse>;

    async fn delta_secrets(
        &self,
        request: Request<Streaming<<Delta as Dialect>::Request>>,
    ) -> Result<Response<Self::DeltaSecretsStream>, Status> {
        self.open::<Delta>(request)
    }

    async fn stream_secrets(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamSecretsStream>, Status> {
        self.open::<Whole>(request)
    }

    /// Answers with those of the names that there are, and waits while there is none of them.
    async fn fetch_secrets(
        &self,
        request: Request<DiscoveryRequest>,
    ) -> Result<Response<DiscoveryResponse>, Status> {
        let (seat, grants) = self.seat(&request)?;
        let said = Whole::read(request.into_inner());
        if !said.type_url.is_empty() && said.type_url != TYPE_URL {
            return Err(Status::invalid_argument(format!(
                "expected the type {TYPE_URL}"
            )));
        }
        let mut shelf = seat.streams().shelf();
        let fetched = async {
            loop {
                let catalogue = Arc::clone(&shelf.borrow_and_update());
                let view = catalogue.seen_by(&grants);
                let mut subscription = Subscription::new(Form::Whole, nonce_prefix());
                let _asked = subscription.hear(said.request.clone(), view);
                if let Some(answer) = subscription.next(view) {
                    return Ok(Response::new(Whole::write(answer)));
                }
                let changed = shelf.changed().await;
                changed.map_err(|_gone| Status::unavailable("the agent is stopping"))?;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, fetched).await;
        waited.unwrap_or_else(|_elapsed| {
            Err(Status::deadline_exceeded(
                "nothing has any of these names; ask for default, ROOTCA or the workload's SPIFFE ID",
            ))
        })
    }
}

impl Service {
    fn open<D: Dialect>(
        &self,
        request: Request<Streaming<D::Request>>,
    ) -> Result<Response<Answers<D::Response>>, Status> {
        let (seat, grants) = self.seat(&request)?;
        let mut shelf = self.streams.shelf();
        let catalogue = Arc::clone(&shelf.borrow_and_update());
        let (answers, sent) = mpsc::channel(1);
        let stream = Stream::<D> {
            requests: request.into_inner(),
            answers,
            subscription: Subscription::new(D::FORM, nonce_prefix()),
            seat,
            grants,
            shelf,
            catalogue,
            is_named: false,
            is_due: false,
        };
        tokio::spawn(stream.run());
        Ok(Response::new(ReceiverStream::new(sent)))
    }

    /// A seat, and what may be had from it.
    fn seat<T>(&self, request: &Request<T>) -> Result<(Seat, Grants), Status> {
        let peer = request.extensions().get::<Peer>();
        let peer = peer.ok_or_else(|| Status::internal("nobody knows who asks"))?;
        let grants = self.roster.grants(peer);
        if grants.is_empty() {
            self.streams.report.turned_away(peer);
            return Err(Status::permission_denied(format!(
                "no identity issued: {peer} is not among those whom the agent serves"
            )));
        }
        let seat = self.streams.take_seat(peer.to_string(), grants.clone());
        let seat = seat.ok_or_else(|| {
            tracing::debug!("too many SDS streams");
            Status::resource_exhausted("too many streams; close some")
        })?;
        Ok((seat, grants))
    }
}

/// Readers come back with nonces of streams that are gone, which must not look like ours.
fn nonce_prefix() -> String {
    let mut bytes = [0; 8];
    // Without randomness, what is acknowledged is at worst taken for what it is not by a reader that is broken.
    let _unspecified = SystemRandom::new().fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How long a fetch waits for a name to mean something.
const PATIENCE: Duration = Duration::from_secs(60);
