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

/// Looks again and again until there is something, for tests without a runtime.
///
/// # Panics
/// When there is nothing within `limit`.
pub fn wait_for<T>(limit: Duration, look: impl Fn() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < limit, "nothing within {limit:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
