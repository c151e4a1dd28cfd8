//! Who gets in, and for how long? The accept loop of the socket: ours, so that every peer has a deadline and a limit,
//! and bytes can be looked at before HTTP/2 does.

use std::fmt;
use std::io;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_server::SecretDiscoveryServiceServer;
use hyper::server::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::UCred;
use tokio::task::JoinSet;
use tonic::service::Routes;
use tower::ServiceExt as _;

use super::service::Service;
use super::slim::Slim;
use super::socket::Bound;
use super::socket::SdsSocket;
use super::streams::MOST_STREAMS;
use super::streams::Streams;
use crate::agent::one_line;

/// Who connected, by the system's word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(Option<UCred>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(cred) => write!(f, "uid {}, pid {}", cred.uid(), cred.pid().unwrap_or(0)),
            None => f.write_str("somebody"),
        }
    }
}

/// Opens the socket once there is something to be had, and again whenever it is lost. Connections outlive it.
pub(super) async fn run(socket: &SdsSocket, streams: &Arc<Streams>) {
    if streams.shelf().wait_for(Option::is_some).await.is_err() {
        return;
    }
    let service = SecretDiscoveryServiceServer::new(Service {
        streams: Arc::clone(streams),
    })
    .max_decoding_message_size(MAX_MESSAGE);
    let routes = Routes::new(service).prepare();
    let mut connections = JoinSet::new();
    loop {
        match socket.bind().await {
            Ok(bound) => {
                streams.report.listening(socket.path());
                accept(&bound, &routes, &mut connections).await;
                streams
                    .report
                    .not_listening("the file was taken away".to_owned());
            }
            Err(error) => {
                streams.report.not_listening(one_line(&error));
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// Until the socket's file is somebody else's, or nobody's.
async fn accept(bound: &Bound, routes: &Routes, connections: &mut JoinSet<()>) {
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            accepted = bound.listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < MOST_CONNECTIONS => {
                    connections.spawn(serve(stream, routes.clone()));
                }
                Ok(_) => tracing::debug!(limit = MOST_CONNECTIONS, "too many SDS connections"),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an SDS connection");
                    tokio::time::sleep(BREATH).await;
                }
            },
            Some(_ended) = connections.join_next() => {}
            _ = look.tick() => {
                if !bound.is_there() {
                    return;
                }
            }
        }
    }
}

/// Speaks HTTP/2 with one peer until it leaves.
async fn serve(stream: UnixStream, routes: Routes) {
    let peer = Peer(stream.peer_cred().ok());
    let Ok(Ok(stream)) = tokio::time::timeout(FIRST_WORD, prefaced(stream)).await else {
        tracing::debug!(%peer, "no HTTP/2 on the SDS socket");
        return;
    };
    let service = routes.map_request(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        let is_delta = request.uri().path().ends_with("/DeltaSecrets");
        request.map(|body| tonic::body::Body::new(Slim::new(body, is_delta)))
    });
    let served = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(u32::try_from(MOST_STREAMS).unwrap_or(u32::MAX))
        .max_header_list_size(MAX_HEADERS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .await;
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "an SDS connection ended");
    }
}

/// The stream with its HTTP/2 preface (RFC 9113 section 3.4) read, and to be read again: hyper waits for that for ever.
async fn prefaced(
    stream: UnixStream,
) -> io::Result<impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> {
    let (mut reader, writer) = stream.into_split();
    let mut preface = [0; PREFACE.len()];
    reader.read_exact(&mut preface).await?;
    match preface == *PREFACE {
        true => Ok(tokio::io::join(PREFACE.chain(reader), writer)),
        false => Err(ErrorKind::InvalidData.into()),
    }
}

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Connections at once; more are closed on arrival.
const MOST_CONNECTIONS: usize = 500;
/// From connecting to the end of the preface.
const FIRST_WORD: Duration = Duration::from_secs(10);
/// Between pings, and for the answer to one: a peer that is frozen does not hold its place for ever.
const PING: Duration = Duration::from_secs(30);
const MAX_HEADERS: u32 = 16 * 1024;
/// A request with an Envoy's node, which names all its extensions and the mesh's labels.
pub(super) const MAX_MESSAGE: usize = 256 * 1024;
/// What a peer may send ahead.
const WINDOW: u32 = 64 * 1024;
const SEND_BUFFER: usize = 64 * 1024;
const LOOK: Duration = Duration::from_secs(1);
const BREATH: Duration = Duration::from_millis(100);
