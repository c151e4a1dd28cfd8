//! Has it come about yet? Asks again and again, for a bounded time.

use std::time::Duration;

use tokio::time::Instant;

/// Calls `ask` until it answers, and answers that.
///
/// # Panics
/// When `within` is over; `what` says what did not come about.
pub async fn until<T>(what: &str, within: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + within;
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    while Instant::now() < end {
        pace.tick().await;
        if let Some(answer) = ask().await {
            return answer;
        }
    }
    panic!("not within {within:?}: {what}");
}
