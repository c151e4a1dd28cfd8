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

use super::call::Call;
use super::catalogue::Catalogue;
use super::stream::Stream;
use super::streams::Shelf;
use super::streams::Streams;
use super::subscription::Form;
use super::subscription::Subscription;
use super::wire::Delta;
use super::wire::Dialect;
use super::wire::TYPE_URL;
use super::wire::Whole;

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) streams: Arc<Streams>,
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
        let call = call(&request)?;
        let grants = &call.grants;
        let said = Whole::read(request.into_inner());
        if !said.type_url.is_empty() && said.type_url != TYPE_URL {
            return Err(Status::invalid_argument(format!(
                "expected the type {TYPE_URL}"
            )));
        }
        let (mut shelf, mut catalogue) = self.look();
        let mut subscription = Subscription::new(Form::Whole, nonce_prefix());
        // From here on only the names are kept that a stream would keep.
        let _asked = subscription.hear(said.request, catalogue.seen_by(grants));
        let fetched = async {
            loop {
                let view = catalogue.seen_by(grants);
                if let Some(octets) = subscription.owed(view) {
                    call.room_for(octets).await;
                }
                if let Some(answer) = subscription.next(view) {
                    return Ok(Response::new(Whole::write(answer)));
                }
                let changed = shelf.changed().await;
                changed.map_err(|_gone| Status::unavailable("the agent is stopping"))?;
                catalogue = Arc::clone(&shelf.borrow_and_update());
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
        let call = call(&request)?;
        let seat = self
            .streams
            .take_seat(call.peer.to_string(), call.grants.clone());
        let (shelf, catalogue) = self.look();
        // One answer at a time, and the word that ends a stream.
        let (answers, sent) = mpsc::channel(2);
        let stream = Stream::<D> {
            requests: request.into_inner(),
            answers,
            subscription: Subscription::new(D::FORM, nonce_prefix()),
            streams: Arc::clone(&self.streams),
            seat: Some(seat),
            call,
            shelf,
            catalogue,
            is_named: false,
            owed: None,
        };
        tokio::spawn(stream.run());
        Ok(Response::new(ReceiverStream::new(sent)))
    }

    fn look(&self) -> (Shelf, Arc<Catalogue>) {
        let mut shelf = self.streams.shelf();
        let catalogue = Arc::clone(&shelf.borrow_and_update());
        (shelf, catalogue)
    }
}

/// What the host put beside the request.
fn call<T>(request: &Request<T>) -> Result<Arc<Call>, Status> {
    let call = request.extensions().get::<Arc<Call>>();
    call.cloned()
        .ok_or_else(|| Status::internal("a request without its place"))
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
