//! Who may call what? The header that the standard demands, the rule for peers, a place for the call; then tonic. Health
//! and reflection are for everybody who can connect: they need no header, and tell nothing of us.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use http::HeaderMap;
use http::Request;
use http::Response;
use hyper::body::Bytes;
use hyper::body::Frame;
use hyper::body::Incoming;
use proto::workload_api::spiffe_workload_api_server::SpiffeWorkloadApiServer;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::health_server::HealthServer;
use tower::ServiceExt as _;

use super::SERVICE;
use super::service::Service;
use super::visitors::MOST_CALLS;
use super::visitors::Visitors;
use crate::socket;
use crate::socket::Peer;
use crate::socket::Place;

/// Everything for all connections.
#[derive(Clone, Debug)]
pub(super) struct Host {
    routes: Routes,
    visitors: Arc<Visitors>,
}

impl Host {
    pub(super) fn new(
        service: Service,
        health: HealthServer<impl Health>,
        visitors: Arc<Visitors>,
    ) -> Result<Self, tonic_reflection::server::Error> {
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .with_service_name(SERVICE)
                .with_service_name("grpc.health.v1.Health")
        };
        // Clients in the field still ask in the older version.
        let (reflection, older) = (reflection().build_v1()?, reflection().build_v1alpha()?);
        let service = SpiffeWorkloadApiServer::new(service).max_decoding_message_size(MAX_MESSAGE);
        let routes = Routes::new(service)
            .add_service(health.max_decoding_message_size(MAX_MESSAGE))
            .add_service(reflection.max_decoding_message_size(MAX_MESSAGE))
            .add_service(older.max_decoding_message_size(MAX_MESSAGE))
            .prepare();
        Ok(Self { routes, visitors })
    }

    fn admit(&self, peer: &Peer, path: &str, headers: &HeaderMap) -> Result<Place, Status> {
        if is_of_the_api(path) {
            if !has_the_header(headers) {
                return Err(Status::invalid_argument(
                    "expected the metadata 'workload.spiffe.io: true', once; without it, the request may have been \
                     made for somebody else",
                ));
            }
            if !self.visitors.is_allowed(peer) {
                return Err(Status::permission_denied(format!(
                    "no identity issued: {peer} is not among those whom the agent serves"
                )));
            }
        }
        let place = self.visitors.call(peer);
        place.ok_or_else(|| Status::unavailable("too many calls at once; close some"))
    }
}

impl socket::Host for Host {
    type Visit = Place;

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a thousand fits in any number"
    )]
    const MOST_STREAMS: u32 = MOST_CALLS as u32;

    fn listening(&self, path: &Path) {
        self.visitors.report.listening(path);
    }

    fn not_listening(&self, why: String) {
        self.visitors.report.not_listening(why);
    }

    fn visit(&self, peer: &Peer) -> Option<Place> {
        self.visitors.connect(peer)
    }

    async fn answer(&self, peer: Peer, request: Request<Incoming>) -> Response<Body> {
        let place = match self.admit(&peer, request.uri().path(), request.headers()) {
            Ok(place) => place,
            Err(status) => return status.into_http(),
        };
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        let answered = self.routes.clone().oneshot(request).await;
        let answer = answered.unwrap_or_else(|never| match never {});
        answer.map(|body| Body::new(Seated { body, place }))
    }
}

fn is_of_the_api(path: &str) -> bool {
    let rest = path.strip_prefix('/').unwrap_or(path);
    rest.strip_prefix(SERVICE)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Exactly one, and exactly that.
fn has_the_header(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all("workload.spiffe.io").iter();
    values.next().is_some_and(|value| value == "true") && values.next().is_none()
}

/// An answer that keeps its place as long as it lasts.
struct Seated {
    body: Body,
    #[expect(dead_code, reason = "given back when dropped")]
    place: Place,
}

impl hyper::body::Body for Seated {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

/// Requests are empty, or a name.
const MAX_MESSAGE: usize = 16 * 1024;
