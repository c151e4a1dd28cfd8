//! What is a moment to an agent? The time of day and a steady clock beside it, so that neither a clock
//! that is set nor a machine that sleeps deceives it.

use std::time::Duration;
use std::time::SystemTime;

use crate::clock::Clock;

/// One moment by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) wall: SystemTime,
    pub(super) steady: Duration,
}

impl Moment {
    pub(super) fn now(clock: &dyn Clock) -> Self {
        Self {
            wall: clock.now(),
            steady: clock.steady(),
        }
    }

    /// How long ago `earlier` was, by the clock that thinks it is longer. A steady clock that does not
    /// count sleep is corrected by the time of day; a time of day that was set back, by the steady clock.
    pub(super) fn since(self, earlier: Self) -> Duration {
        let steady = self.steady.saturating_sub(earlier.steady);
        let wall = self.wall.duration_since(earlier.wall).unwrap_or_default();
        steady.max(wall)
    }

    /// How long ago `earlier` was, by the steady clock alone.
    pub(super) fn steadily_since(self, earlier: Self) -> Duration {
        self.steady.saturating_sub(earlier.steady)
    }

    /// The time of day, but not earlier than it can be if it had passed `start` at the moment `at`.
    pub(super) fn not_before(self, start: SystemTime, at: Self) -> SystemTime {
        self.wall.max(start + self.steadily_since(at))
    }

    /// By how much the clocks moved apart since `earlier`, if that is more than drift: the machine
    /// slept, or somebody set the time.
    pub(super) fn jump_since(self, earlier: Self) -> Option<Jump> {
        let steady = self.steadily_since(earlier);
        let expected = earlier.wall + steady;
        let (by, direction) = match self.wall.duration_since(expected) {
            Ok(ahead) => (ahead, "forward"),
            Err(behind) => (behind.duration(), "back"),
        };
        (by > DRIFT).then_some(Jump { by, direction })
    }
}

/// A jump of the time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Jump {
    pub(super) by: Duration,
    pub(super) direction: &'static str,
}

const DRIFT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: u64, steady: u64) -> Moment {
        Moment {
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(wall),
            steady: Duration::from_secs(steady),
        }
    }

    #[test]
    fn the_longer_of_two_measurements_counts() {
        let start = at(10_000, 100);
        let hour = Duration::from_secs(3600);
        assert_eq!(at(13_600, 100).since(start), hour, "asleep");
        assert_eq!(at(6_400, 3_700).since(start), hour, "set back");
        assert_eq!(at(13_600, 3_700).since(start), hour);
    }

    #[test]
    fn what_had_passed_once_is_not_to_come_however_far_the_clock_is_set_back() {
        let start = at(20_000, 0).wall;
        let seen = at(10_000, 100);
        for (now, expected) in [
            (at(10_000, 100), 20_000),
            (at(6_400, 105), 20_005),
            (at(30_000, 105), 30_000),
        ] {
            assert_eq!(now.not_before(start, seen), at(expected, 0).wall, "{now:?}");
        }
    }

    #[test]
    fn a_jump_is_noticed_and_drift_is_not() {
        let start = at(10_000, 100);
        assert_eq!(at(10_011, 110).jump_since(start), None);
        let slept = at(96_400, 101).jump_since(start).unwrap();
        assert_eq!((slept.by.as_secs(), slept.direction), (86_399, "forward"));
        let back = at(6_401, 101).jump_since(start).unwrap();
        assert_eq!((back.by.as_secs(), back.direction), (3_600, "back"));
    }
}
