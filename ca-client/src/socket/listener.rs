//! Who gets in, and for how long? The accept loop of a socket: ours, so that every peer has a deadline and a limit,
//! and bytes can be looked at before HTTP/2 does.

use std::future::Future;
use std::io;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use http::Request;
use http::Response;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tonic::body::Body;

use super::authority::WithAuthority;
use super::hang_up::HangUp;
use super::peer::Peer;
use super::place::Bound;
use super::place::LocalSocket;
use crate::agent::one_line;

/// Who answers on a socket.
pub(crate) trait Host: Clone + Send + Sync + 'static {
    /// What is held for as long as a peer is connected.
    type Visit: Send + Sync + 'static;

    /// Streams of one connection at once.
    const MOST_STREAMS: u32;

    /// The socket is there.
    fn listening(&self, path: &Path);

    /// The socket is not there, and it is tried again.
    fn not_listening(&self, why: String);

    /// Somebody connected; `None` turns it away.
    fn visit(&self, peer: &Peer) -> Option<Self::Visit>;

    /// One request.
    fn answer(
        &self,
        peer: Peer,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// Opens the socket, and again whenever it is lost. Connections outlive it.
pub(crate) async fn run<H: Host>(socket: &LocalSocket, host: &H) {
    let mut connections = JoinSet::new();
    loop {
        match socket.bind().await {
            Ok(bound) => {
                host.listening(socket.path());
                accept(&bound, host, &mut connections).await;
                host.not_listening("the file was taken away".to_owned());
            }
            Err(error) => {
                host.not_listening(one_line(&error));
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// Until the socket's file is somebody else's, or nobody's.
async fn accept<H: Host>(bound: &Bound, host: &H, connections: &mut JoinSet<()>) {
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            accepted = bound.listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < MOST_CONNECTIONS => {
                    if let Some((peer, visit)) = meet(&stream, host) {
                        connections.spawn(serve(stream, peer, visit, host.clone()));
                    }
                }
                Ok(_) => tracing::debug!(limit = MOST_CONNECTIONS, "too many connections to a unix socket"),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection to a unix socket");
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

fn meet<H: Host>(stream: &UnixStream, host: &H) -> Option<(Peer, H::Visit)> {
    let peer = Peer::of(stream)?;
    let visit = host.visit(&peer)?;
    Some((peer, visit))
}

/// Speaks HTTP/2 with one peer until it leaves.
async fn serve<H: Host>(stream: UnixStream, peer: Peer, visit: H::Visit, host: H) {
    let Ok(Ok(stream)) = tokio::time::timeout(FIRST_WORD, prefaced(stream)).await else {
        tracing::debug!(%peer, "no HTTP/2 on a unix socket");
        return;
    };
    let hang_up = HangUp::default();
    let answer = service_fn(|mut request: Request<Incoming>| {
        let host = host.clone();
        request.extensions_mut().insert(hang_up.clone());
        async move { Ok::<_, std::convert::Infallible>(host.answer(peer, request).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(H::MOST_STREAMS)
        .max_header_list_size(MAX_HEADERS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::select! {
        served = connection => if let Err(error) = served {
            tracing::debug!(%peer, "a connection to a unix socket ended: {}", one_line(&error));
        },
        () = hang_up.said() => tracing::debug!(%peer, "a peer does not take its answers"),
    }
    drop(visit);
}

/// The stream with its HTTP/2 preface (RFC 9113 section 3.4) read, and to be read again: hyper waits for that for ever.
async fn prefaced(
    stream: UnixStream,
) -> io::Result<impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> {
    let (mut reader, writer) = stream.into_split();
    let mut preface = [0; PREFACE.len()];
    reader.read_exact(&mut preface).await?;
    match preface == *PREFACE {
        true => Ok(tokio::io::join(
            PREFACE.chain(WithAuthority::new(reader)),
            writer,
        )),
        false => Err(ErrorKind::InvalidData.into()),
    }
}

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Connections at once to one socket; more are closed on arrival. Two sockets leave room for all else of one workload
/// within the usual thousand file descriptors; for many, the limit of these is raised.
pub(crate) const MOST_CONNECTIONS: usize = 450;
/// From connecting to the end of the preface.
const FIRST_WORD: Duration = Duration::from_secs(10);
/// Between pings, and for the answer to one: a peer that is frozen does not hold its place for ever.
const PING: Duration = Duration::from_secs(30);
const MAX_HEADERS: u32 = 16 * 1024;
/// What a peer may send ahead.
const WINDOW: u32 = 64 * 1024;
const SEND_BUFFER: usize = 64 * 1024;
const LOOK: Duration = Duration::from_secs(1);
const BREATH: Duration = Duration::from_millis(100);
