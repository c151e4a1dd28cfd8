//! How does a machine ask an agent how it is? HTTP: `/healthz`, `/readyz`, `/metrics`, and `/status` as
//! JSON. Plain text, nothing secret, no caller needed.

mod bounded;
mod metrics;
mod report;
mod sockets;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use bounded::Bounded;
pub use report::CertificateReport;
pub use report::FailureReport;
pub use report::SdsReport;
pub use report::StatusReport;
pub use report::TrustReport;
pub use report::WorkloadApiReport;

use crate::agent::Status;
use crate::clock::Clock;

/// What the port answers from.
#[derive(Clone, Debug)]
pub struct Health {
    /// How the agent is.
    pub status: watch::Receiver<Status>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}

impl Health {
    /// Serves until dropped.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        axum::serve(Bounded::new(listener), self.routes()).await
    }

    fn routes(self) -> Router {
        Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .route("/status", get(status))
            .with_state(self)
    }
}

async fn readyz(State(health): State<Health>) -> (StatusCode, String) {
    match health.status.borrow().not_ready(health.clock.now()) {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {reason}\n"),
        ),
    }
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    let text = metrics::encode(&health.status.borrow(), health.clock.now());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

async fn status(State(health): State<Health>) -> Json<StatusReport> {
    Json(StatusReport::new(
        &health.status.borrow(),
        health.clock.now(),
    ))
}
