//! Who gets in, and for how long? The accept loops of the TLS port and of the operators' socket.
//!
//! The loop is ours, because tonic's has no handshake timeout and its drain waits for ever on one
//! silent peer. Here every stage has a deadline and the drain ends when it says.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::net::UnixListener;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::ServiceExt as _;
use tracing::debug;
use tracing::warn;

use super::connection::Connection;
use super::deadline::RequestDeadline;
use super::preface;
use super::tls::TlsSettings;
use crate::telemetry::metrics::Metrics;

/// What one peer may take of us.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections at once; more are closed on arrival.
    pub connections: usize,
    /// From accept to the end of the TLS handshake, and again to the end of the HTTP/2 preface.
    pub handshake: Duration,
    /// From a request's headers to its answer's.
    pub request: Duration,
    /// Between HTTP/2 pings, and for the answer to one.
    pub keepalive: Duration,
    /// Open requests on one connection: each may hold a whole message in memory.
    pub streams: u32,
    /// From the start of a drain to its end.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            handshake: Duration::from_secs(10),
            request: Duration::from_secs(15),
            keepalive: Duration::from_secs(30),
            streams: 100,
            drain: Duration::from_secs(10),
        }
    }
}

/// One accept loop's surroundings.
#[derive(Clone, Debug)]
pub struct Server {
    /// What is served.
    pub routes: Routes,
    /// What a peer may take.
    pub limits: Limits,
    /// Counts.
    pub metrics: Metrics,
    /// Cancelled when the drain starts.
    pub stop: CancellationToken,
}

impl Server {
    /// Serves gRPC over TLS until `stop`, then drains.
    pub async fn serve_tls(self, listener: TcpListener, tls: TlsSettings) {
        let slots = self.limits.connections.min(Semaphore::MAX_PERMITS);
        let slots = Arc::new(Semaphore::new(slots));
        let mut connections = JoinSet::new();
        while let Some(accepted) = self.accept(listener.accept(), &mut connections).await {
            let (stream, peer_addr) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.accept_failed(&error).await;
                    continue;
                }
            };
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                self.refused("too-many-connections");
                warn!(%peer_addr, limit = self.limits.connections, "too many connections");
                continue;
            };
            let server = self.clone();
            let tls = tls.clone();
            connections.spawn(async move {
                server.tls_connection(stream, peer_addr, &tls, slot).await;
            });
        }
        drop(listener);
        self.drain(connections).await;
    }

    /// Serves gRPC on the operators' socket until `stop`, then drains.
    pub async fn serve_unix(self, listener: UnixListener) {
        let mut connections = JoinSet::new();
        while let Some(accepted) = self.accept(listener.accept(), &mut connections).await {
            match accepted {
                Ok((stream, _)) => {
                    let server = self.clone();
                    connections.spawn(async move {
                        server.requests(stream, Connection::default()).await;
                    });
                }
                Err(error) => self.accept_failed(&error).await,
            }
        }
        drop(listener);
        self.drain(connections).await;
    }

    /// The next peer, unless it is time to stop. What connections that ended leave behind goes meanwhile, whether or not
    /// anybody comes.
    async fn accept<T>(
        &self,
        accepting: impl Future<Output = T>,
        connections: &mut JoinSet<()>,
    ) -> Option<T> {
        tokio::pin!(accepting);
        loop {
            tokio::select! {
                accepted = self.stop.run_until_cancelled(accepting.as_mut()) => return accepted,
                Some(_ended) = connections.join_next() => {}
            }
        }
    }

    async fn tls_connection(
        &self,
        stream: TcpStream,
        peer_addr: std::net::SocketAddr,
        tls: &TlsSettings,
        _slot: OwnedSemaphorePermit,
    ) {
        // Small answers must not wait for the peer's acknowledgements.
        let _best_effort = stream.set_nodelay(true);
        let Ok((config, proof)) = tls.connection() else {
            return self.refused("tls-settings");
        };
        let acceptor = tokio_rustls::TlsAcceptor::from(config);
        let stream = match timeout(self.limits.handshake, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                debug!(%peer_addr, %error, "TLS handshake failed");
                return self.refused("tls-handshake");
            }
            Err(_elapsed) => {
                debug!(%peer_addr, "TLS handshake took too long");
                return self.refused("tls-timeout");
            }
        };
        let client_chain = match stream.get_ref().1.peer_certificates() {
            Some(chain) if proof.is_given() => chain.iter().map(|der| der.to_vec()).collect(),
            _ => Vec::new(),
        };
        self.requests(stream, Connection::new(peer_addr, client_chain))
            .await;
    }

    /// Speaks HTTP/2 on `stream` until the peer leaves or the drain is over.
    async fn requests<S>(&self, stream: S, connection: Connection)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer_addr = connection.peer_addr();
        let stream = match timeout(self.limits.handshake, preface::read(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                debug!(peer_addr, %error, "no HTTP/2 preface");
                return self.refused("http2-preface");
            }
            Err(_elapsed) => {
                debug!(peer_addr, "the HTTP/2 preface took too long");
                return self.refused("http2-timeout");
            }
        };
        let connection = Arc::new(connection);
        let service = RequestDeadline::new(self.routes.clone(), self.limits.request).map_request(
            move |mut request: http::Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(Arc::clone(&connection));
                request.map(tonic::body::Body::new)
            },
        );
        self.metrics.connections.inc();
        let served = self
            .http2()
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        tokio::pin!(served);
        let outcome = tokio::select! {
            outcome = served.as_mut() => outcome,
            () = self.stop.cancelled() => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        self.metrics.connections.dec();
        if let Err(error) = outcome {
            debug!(peer_addr, %error, "connection ended");
        }
    }

    fn http2(&self) -> http2::Builder<TokioExecutor> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(self.limits.keepalive)
            .keep_alive_timeout(self.limits.keepalive)
            .max_concurrent_streams(self.limits.streams)
            .max_header_list_size(MAX_HEADERS);
        builder
    }

    /// Waits for open requests, but not longer than the drain may take.
    async fn drain(&self, mut connections: JoinSet<()>) {
        let all = async { while connections.join_next().await.is_some() {} };
        if timeout(self.limits.drain, all).await.is_err() {
            debug!(
                open = connections.len(),
                "the drain's deadline is over: closing"
            );
            connections.shutdown().await;
        }
    }

    /// Out of file descriptors, usually: a pause lets others give some back.
    async fn accept_failed(&self, error: &io::Error) {
        self.refused("accept");
        warn!(%error, "cannot accept a connection");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    fn refused(&self, reason: &str) {
        self.metrics
            .connections_refused
            .with_label_values(&[reason])
            .inc();
    }
}

/// Headers of one request. A bearer token has at most 16 KiB.
const MAX_HEADERS: u32 = 64 * 1024;
