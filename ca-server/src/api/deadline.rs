//! How long may a request take? From its headers to its answer's; what streams after that is the peer's to keep alive.
//!
//! A peer that stops in the middle of its message gets `DEADLINE_EXCEEDED` and frees the slot.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use tonic::Status;
use tower::Service;

/// Bounds the time that `S` takes to answer.
#[derive(Clone, Debug)]
pub(super) struct RequestDeadline<S> {
    inner: S,
    limit: Duration,
}

impl<S> RequestDeadline<S> {
    pub(super) fn new(inner: S, limit: Duration) -> Self {
        Self { inner, limit }
    }
}

impl<S, B> Service<http::Request<B>> for RequestDeadline<S>
where
    S: Service<http::Request<B>, Response = http::Response<tonic::body::Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let limit = self.limit;
        let answer = self.inner.call(request);
        Box::pin(async move {
            match tokio::time::timeout(limit, answer).await {
                Ok(answer) => answer,
                Err(_elapsed) => {
                    let status = Status::deadline_exceeded(
                        "the request took too long to arrive or to answer",
                    );
                    Ok(status.into_http())
                }
            }
        })
    }
}
