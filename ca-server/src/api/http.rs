//! The HTTP port: `/healthz`, `/readyz`, `/ca.pem`, `/ca-crl.pem`, `/metrics`. Plain text, nothing secret, no caller needed.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use pem::EncodeConfig;
use pem::LineEnding;
use pem::Pem;
use proto::certificate::Certificate;

use crate::authority::Authority;
use crate::telemetry::metrics::Metrics;

/// What the HTTP port answers from.
#[derive(Clone)]
pub struct Http {
    /// Whose trust bundle `/ca.pem` shows.
    pub authority: Arc<Authority>,
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// What `/readyz` asks.
    pub readiness: Arc<dyn Readiness>,
}

/// Is the server able to issue, now?
#[tonic::async_trait]
pub trait Readiness: Send + Sync {
    /// `None` when it is, or why it is not.
    async fn not_ready(&self) -> Option<String>;
}

/// The port's routes.
pub fn routes(http: Http) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/ca.pem", get(ca_pem))
        .route("/ca-crl.pem", get(ca_crl_pem))
        .route("/metrics", get(metrics))
        .with_state(http)
}

async fn readyz(State(http): State<Http>) -> (StatusCode, String) {
    match http.readiness.not_ready().await {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {reason}\n"),
        ),
    }
}

/// Every root to trust, the active one first.
async fn ca_pem(State(http): State<Http>) -> impl IntoResponse {
    let generation = http.authority.current();
    let pem: String = generation.roots().iter().map(Certificate::to_pem).collect();
    ([(CONTENT_TYPE, "application/x-pem-file")], pem)
}

/// Every revocation list that goes with the trust bundle; not found where there is none.
async fn ca_crl_pem(State(http): State<Http>) -> Response {
    let generation = http.authority.current();
    let crls = &generation.conditions().crls;
    if crls.is_empty() {
        return (StatusCode::NOT_FOUND, "there is no revocation list\n").into_response();
    }
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    let crls = crls.iter().map(|der| Pem::new("X509 CRL", der.as_slice()));
    let crls: Vec<Pem> = crls.collect();
    let pem = pem::encode_many_config(&crls, config);
    ([(CONTENT_TYPE, "application/x-pem-file")], pem).into_response()
}

async fn metrics(State(http): State<Http>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4")],
        http.metrics.encode(),
    )
}
