//! How does an answer end the connection that it goes over? What h2 holds for a peer that does not take it goes with
//! the connection only.

use std::sync::Arc;

use tokio::sync::Notify;

/// Beside each request, for its connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct HangUp(Arc<Notify>);

impl HangUp {
    pub(crate) fn now(&self) {
        self.0.notify_one();
    }

    /// Ends when somebody has said so.
    pub(crate) async fn said(&self) {
        self.0.notified().await;
    }
}
