//! What time is it? The only reader of the time of day.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Certificate;

/// How far a peer's clock may be ahead of ours before its certificates are refused.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(600);

/// Tells the time, so that tests can move it.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time of day.
    fn now(&self) -> SystemTime;

    /// Time since some fixed moment: never goes back, is never set, goes on while the machine sleeps.
    fn steady(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn steady(&self) -> Duration {
        let reading = rustix::time::clock_gettime(STEADY);
        let whole = Duration::from_secs(u64::try_from(reading.tv_sec).unwrap_or(0));
        whole + Duration::from_nanos(u64::try_from(reading.tv_nsec).unwrap_or(0))
    }
}

impl Clock for Arc<dyn Clock> {
    fn now(&self) -> SystemTime {
        self.as_ref().now()
    }

    fn steady(&self) -> Duration {
        self.as_ref().steady()
    }
}

/// Linux alone has a clock that counts the time asleep; elsewhere the time of day has to notice.
#[cfg(target_os = "linux")]
const STEADY: rustix::time::ClockId = rustix::time::ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const STEADY: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

/// The moment at which to judge `certificates`: `now`, or the start of the youngest when that is
/// at most [`CLOCK_TOLERANCE`] ahead. Never earlier than `now`, so nothing expired becomes good.
pub(crate) fn moment_to_judge<'a>(
    now: SystemTime,
    certificates: impl IntoIterator<Item = &'a Certificate>,
) -> SystemTime {
    certificates
        .into_iter()
        .map(|certificate| certificate.facts().not_before)
        .filter(|start| *start <= now + CLOCK_TOLERANCE)
        .fold(now, SystemTime::max)
}
