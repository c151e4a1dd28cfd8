//! Which of several attempts ends first? The others go on.

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

    /// The outcome of the first to end, which runs no more, and whether it was the oldest. Nothing is lost when this
    /// is dropped before.
    pub(super) async fn first(&mut self) -> (T, bool) {
        std::future::poll_fn(|context| {
            let mut ended = None;
            let mut is_oldest = true;
            self.0.retain_mut(|attempt| {
                if ended.is_none()
                    && let Poll::Ready(outcome) = attempt.as_mut().poll(context)
                {
                    ended = Some((outcome, is_oldest));
                    return false;
                }
                is_oldest = false;
                true
            });
            ended.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Whether none is left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
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
