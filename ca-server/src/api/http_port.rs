//! Who gets in at the HTTP port, and for how long? HTTP/1.1, for probes and scrapers; with TLS on the port of the
//! SPIFFE bundle.
//!
//! The loop is ours, because axum's has no deadline for headers and no end of connections: one peer could take all
//! file descriptors, and with them the TLS port.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::debug;
use tracing::warn;

/// The port's accept loop and its surroundings.
#[derive(Clone, Debug)]
pub struct HttpPort {
    /// What is served.
    pub routes: Router,
    /// How long a peer may take for the headers of its next request; an idle connection is closed after it.
    pub headers: Duration,
    /// How TLS is spoken, if it is; the handshake may take as long as headers.
    pub tls: Option<Arc<ServerConfig>>,
    /// Cancelled when it is to end.
    pub stop: CancellationToken,
}

impl HttpPort {
    /// Serves until `stop`; a peer that keeps its connection open is left behind after a second.
    pub async fn serve(self, listener: TcpListener) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            while connections.try_join_next().is_some() {}
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    accept_failed(&error).await;
                    continue;
                }
            };
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                debug!(limit = CONNECTIONS, "too many connections to the HTTP port");
                continue;
            };
            let port = self.clone();
            connections.spawn(async move {
                port.connection(stream).await;
                drop(slot);
            });
        }
        drop(listener);
        let all = async { while connections.join_next().await.is_some() {} };
        let _too_late = timeout(DRAIN, all).await;
    }

    async fn connection(&self, stream: TcpStream) {
        let Some(tls) = &self.tls else {
            return self.requests(stream).await;
        };
        let handshake = TlsAcceptor::from(Arc::clone(tls)).accept(stream);
        let handshake = timeout(self.headers, handshake);
        match self.stop.run_until_cancelled(handshake).await {
            Some(Ok(Ok(stream))) => self.requests(stream).await,
            Some(Ok(Err(error))) => debug!(%error, "TLS handshake failed"),
            Some(Err(_elapsed)) => debug!("TLS handshake took too long"),
            None => {}
        }
    }

    async fn requests<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let routes =
            self.routes
                .clone()
                .map_request(|request: http::Request<hyper::body::Incoming>| {
                    request.map(axum::body::Body::new)
                });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.headers)
            .max_buf_size(MAX_HEAD);
        let served =
            builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
        tokio::pin!(served);
        let outcome = tokio::select! {
            // A peer that does not read its answers has no other end.
            outcome = timeout(LIFETIME, served.as_mut()) => outcome.unwrap_or(Ok(())),
            () = self.stop.cancelled() => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        if let Err(error) = outcome {
            debug!(%error, "HTTP connection ended");
        }
    }
}

/// Out of file descriptors, usually: a pause lets others give some back.
async fn accept_failed(error: &io::Error) {
    warn!(%error, "cannot accept an HTTP connection");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Open connections at once; more are closed on arrival.
const CONNECTIONS: usize = 512;
/// A connection's longest life.
const LIFETIME: Duration = Duration::from_secs(300);
/// Request line and headers.
const MAX_HEAD: usize = 16 * 1024;
/// How long a peer may go on after the stop.
const DRAIN: Duration = Duration::from_secs(1);
