//! What is an Envoy given on the socket? The one service, with requests made [`Slim`].

use std::path::Path;
use std::sync::Arc;

use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_server::SecretDiscoveryServiceServer;
use http::Request;
use http::Response;
use hyper::body::Incoming;
use tonic::body::Body;
use tonic::service::Routes;
use tower::ServiceExt as _;

use super::service::Service;
use super::slim::Slim;
use super::streams::MOST_STREAMS;
use super::streams::Streams;
use crate::roster::Roster;
use crate::socket;
use crate::socket::Peer;

/// Everything for all connections.
#[derive(Clone, Debug)]
pub(super) struct Host {
    streams: Arc<Streams>,
    routes: Routes,
}

impl Host {
    pub(super) fn new(streams: Arc<Streams>, roster: Roster) -> Self {
        let service = SecretDiscoveryServiceServer::new(Service {
            streams: Arc::clone(&streams),
            roster,
        });
        let routes = Routes::new(service.max_decoding_message_size(MAX_MESSAGE)).prepare();
        Self { streams, routes }
    }
}

impl socket::Host for Host {
    type Visit = ();

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a thousand fits in any number"
    )]
    const MOST_STREAMS: u32 = MOST_STREAMS as u32;

    fn listening(&self, path: &Path) {
        self.streams.report.listening(path);
    }

    fn not_listening(&self, why: String) {
        self.streams.report.not_listening(why);
    }

    /// The mode of the socket says who may connect.
    fn visit(&self, _peer: &Peer) -> Option<()> {
        Some(())
    }

    async fn answer(&self, peer: Peer, mut request: Request<Incoming>) -> Response<Body> {
        request.extensions_mut().insert(peer);
        let is_delta = request.uri().path().ends_with("/DeltaSecrets");
        let request = request.map(|body| Body::new(Slim::new(body, is_delta)));
        let answered = self.routes.clone().oneshot(request).await;
        answered.unwrap_or_else(|never| match never {})
    }
}

/// A request with an Envoy's node, which names all its extensions and the mesh's labels.
pub(super) const MAX_MESSAGE: usize = 256 * 1024;
