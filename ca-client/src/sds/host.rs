//! What is an Envoy given on the socket? The one service, once there is a place, with requests made [`Slim`].

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_server::SecretDiscoveryServiceServer;
use http::Request;
use http::Response;
use hyper::body::Bytes;
use hyper::body::Frame;
use hyper::body::Incoming;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::ServiceExt as _;

use super::call::Call;
use super::rooms::Rooms;
use super::service::Service;
use super::slim::Slim;
use super::slim::Speech;
use super::streams::Streams;
use crate::roster::Roster;
use crate::socket;
use crate::socket::HangUp;
use crate::socket::Peer;
use crate::socket::Place;

/// Everything for all connections.
#[derive(Clone, Debug)]
pub(super) struct Host {
    streams: Arc<Streams>,
    rooms: Arc<Rooms>,
    routes: Routes,
}

impl Host {
    pub(super) fn new(streams: Arc<Streams>, roster: Roster) -> Self {
        let service = SecretDiscoveryServiceServer::new(Service {
            streams: Arc::clone(&streams),
        });
        let routes = Routes::new(service.max_decoding_message_size(MAX_MESSAGE)).prepare();
        let rooms = Arc::new(Rooms::new(&streams, roster));
        Self {
            streams,
            rooms,
            routes,
        }
    }
}

impl socket::Host for Host {
    type Visit = Place;

    /// h2 keeps some KiB for each, also where there is no place; an Envoy opens another connection for more.
    const MOST_STREAMS: u32 = 32;

    fn listening(&self, path: &Path) {
        self.streams.report.listening(path);
    }

    fn not_listening(&self, why: String) {
        self.streams.report.not_listening(why);
    }

    /// Of those whom nobody's rule names, some: to be told so.
    fn visit(&self, peer: &Peer) -> Option<Place> {
        self.rooms.connect(peer)
    }

    async fn answer(&self, peer: Peer, mut request: Request<Incoming>) -> Response<Body> {
        let hang_up = request
            .extensions_mut()
            .remove::<HangUp>()
            .unwrap_or_default();
        let grants = self.rooms.grants(&peer);
        if grants.is_empty() {
            return Status::permission_denied(format!(
                "no identity issued: {peer} is not among those whom the agent serves"
            ))
            .into_http();
        }
        let Some((call, unread)) = self.rooms.call(peer, grants, hang_up) else {
            tracing::debug!(%peer, "too many SDS streams");
            return Status::resource_exhausted(
                "too many streams at once, of this process or of all; close some",
            )
            .into_http();
        };
        let call = Arc::new(call);
        request.extensions_mut().insert(Arc::clone(&call));
        let speech = Speech::of(request.uri().path());
        let request = request.map(|body| Body::new(Slim::new(body, speech, unread, PATIENCE)));
        let answered = self.routes.clone().oneshot(request).await;
        let answer = answered.unwrap_or_else(|never| match never {});
        answer.map(|body| Body::new(Answered { body, call }))
    }
}

/// What is said to a call, which keeps its place as long as that lasts.
struct Answered {
    body: Body,
    call: Arc<Call>,
}

impl hyper::body::Body for Answered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        let load = |frame: Frame<Bytes>| frame.map_data(|data| self.call.loaded(data));
        Poll::Ready(frame.map(|frame| frame.map(load)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

/// From the first octet of a message to its last, and from the beginning of a call to that.
const PATIENCE: Duration = Duration::from_secs(10);
/// A request with an Envoy's node, which names all its extensions and the mesh's labels.
pub(super) const MAX_MESSAGE: usize = 256 * 1024;
