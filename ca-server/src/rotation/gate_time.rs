//! What time is it for a gate? Never later than the clock on the wall says, and never later than has really passed.
//!
//! A gate waits for leaves to die. A wall clock that is set forward kills none of them, so a step forward is not
//! followed: the time of the gates runs with the monotonic clock and joins the wall clock again when that falls behind
//! it. A step back is followed at once, for then everything only lives longer. After a wrong clock was set right by a
//! step forward, gates open later by that step until the next start; that costs patience and breaks nothing.

use std::time::Duration;
use std::time::SystemTime;

/// The time of the gates, from two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateTime {
    now: SystemTime,
    monotonic: Duration,
}

impl GateTime {
    /// Begins with the wall clock, for there is nothing to judge it by. `monotonic` counts from anywhere.
    #[must_use]
    pub fn start(wall: SystemTime, monotonic: Duration) -> Self {
        Self {
            now: wall,
            monotonic,
        }
    }

    /// Reads both clocks again.
    #[must_use]
    pub fn advance(self, wall: SystemTime, monotonic: Duration) -> Self {
        let passed = monotonic.saturating_sub(self.monotonic);
        Self {
            now: wall.min(self.now + passed),
            monotonic: monotonic.max(self.monotonic),
        }
    }

    /// The time.
    #[must_use]
    pub fn now(self) -> SystemTime {
        self.now
    }

    /// How far the wall clock is ahead.
    #[must_use]
    pub fn lag(self, wall: SystemTime) -> Duration {
        wall.duration_since(self.now).unwrap_or(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_clock_set_forward_is_not_followed_and_one_set_back_is() {
        let mut time = GateTime::start(at(10_000), Duration::from_secs(5));
        for (wall, monotonic, expected) in [
            (10_010, 15, 10_010),
            (13_620, 25, 10_020),
            (13_630, 35, 10_030),
            (10_035, 45, 10_035),
            (6_445, 55, 6_445),
            (6_445, 54, 6_445),
        ] {
            time = time.advance(at(wall), Duration::from_secs(monotonic));
            assert_eq!(time.now(), at(expected), "{wall} {monotonic}");
        }
        assert_eq!(time.lag(at(6_450)), Duration::from_secs(5));
    }
}
