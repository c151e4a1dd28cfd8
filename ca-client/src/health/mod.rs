//! How does a machine ask an agent how it is? HTTP: `/healthz`, `/readyz`, `/metrics`, and `/status` as
//! JSON. Plain text, nothing secret, no caller needed.

mod bounded;
mod metrics;
mod node;
mod report;
mod sockets;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use bounded::Bounded;
pub use node::NodeReport;
pub use node::WorkloadReport;
pub use report::CertificateReport;
pub use report::FailureReport;
pub use report::SdsReport;
pub use report::StatusReport;
pub use report::TrustReport;
pub use report::WorkloadApiReport;

use crate::agent::Status;
use crate::clock::Clock;
use crate::node::NodeStatus;

/// What the port answers from: an agent, or a node of many.
#[derive(Clone, Debug)]
pub struct Health {
    subject: Subject,
    clock: Arc<dyn Clock>,
}

#[derive(Clone, Debug)]
enum Subject {
    Agent(watch::Receiver<Status>),
    Node(NodeStatus),
}

impl Health {
    /// Of one agent.
    #[must_use]
    pub fn of_agent(status: watch::Receiver<Status>, clock: impl Clock + 'static) -> Self {
        Self {
            subject: Subject::Agent(status),
            clock: Arc::new(clock),
        }
    }

    /// Of many.
    #[must_use]
    pub fn of_node(status: NodeStatus, clock: impl Clock + 'static) -> Self {
        Self {
            subject: Subject::Node(status),
            clock: Arc::new(clock),
        }
    }

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
    let now = health.clock.now();
    let not_ready = match &health.subject {
        Subject::Agent(status) => status.borrow().not_ready(now),
        Subject::Node(status) => status.not_ready(now),
    };
    match not_ready {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {reason}\n"),
        ),
    }
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    let now = health.clock.now();
    let text = match &health.subject {
        Subject::Agent(status) => metrics::of_agent(&status.borrow(), now),
        Subject::Node(status) => metrics::of_node(status, now),
    };
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

async fn status(State(health): State<Health>) -> Response {
    let now = health.clock.now();
    match &health.subject {
        Subject::Agent(status) => Json(StatusReport::new(&status.borrow(), now)).into_response(),
        Subject::Node(status) => Json(NodeReport::new(status, now)).into_response(),
    }
}
