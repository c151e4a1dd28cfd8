//! Which of several attempts ends first? The others are dropped with it.

use std::fmt;
use std::pin::Pin;
use std::task::Poll;

/// Attempts that run side by side.
pub(super) struct Running<T>(Vec<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T> Running<T> {
    /// One more.
    pub(super) fn push(&mut self, attempt: impl Future<Output = T> + Send + 'static) {
        self.0.push(Box::pin(attempt));
    }

    /// The outcome of the first to end. Nothing is lost when this is dropped before.
    pub(super) async fn first(&mut self) -> T {
        std::future::poll_fn(|context| {
            for attempt in &mut self.0 {
                if let Poll::Ready(outcome) = attempt.as_mut().poll(context) {
                    return Poll::Ready(outcome);
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl<T> Default for Running<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> fmt::Debug for Running<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Running({})", self.0.len())
    }
}
