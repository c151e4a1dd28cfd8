//! How long until the next attempt? Full jitter below a cap that grows with each failure and shrinks as
//! the certificate's end nears; never for ever.

use std::time::Duration;

/// What is known after a failure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    /// How many in a row, this one included.
    pub(super) times: u32,
    /// What is left of the certificate; nothing if there is none.
    pub(super) left: Duration,
    /// Whether the CA was there and said no: then haste does not help.
    pub(super) refused: bool,
    /// How long the CA asked us to wait.
    pub(super) pushback: Option<Duration>,
}

impl Failed {
    /// How long to wait; `drawn` is a number from 0 to 1.
    pub(super) fn wait(self, drawn: f64) -> Duration {
        let wait = self.cap().mul_f64(drawn.clamp(0.0, 1.0)).max(LEAST);
        match self.pushback {
            // Those who were sent away together must not come back together.
            Some(asked) => wait.max(asked + wait.min(asked / 4)),
            None => wait,
        }
    }

    fn cap(self) -> Duration {
        let floor = match self.refused {
            true => FLOOR_REFUSED,
            false => FLOOR,
        };
        let growing = FIRST * 2_u32.saturating_pow(self.times.saturating_sub(1).min(12));
        growing.min((self.left / 20).clamp(floor, LONGEST))
    }
}

/// How long to wait for the outcome of one attempt before another is made beside it, with `left` of the
/// certificate. A request that went into a black hole must not be what keeps us from a CA that is back;
/// a CA that is only slow answers the first one in the end.
pub(super) fn patience(left: Duration) -> Duration {
    (left / 20).clamp(FLOOR, LONGEST)
}

const FIRST: Duration = Duration::from_millis(250);
const LEAST: Duration = Duration::from_millis(20);
/// With no certificate left, the CA is asked at least this often, so that one is there within five
/// seconds of its return.
const FLOOR: Duration = Duration::from_secs(3);
const FLOOR_REFUSED: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn failed(times: u32, left: Duration) -> Failed {
        Failed {
            times,
            left,
            refused: false,
            pushback: None,
        }
    }

    /// How long to wait at the most and at the least, in milliseconds.
    fn bounds(failed: Failed) -> (u128, u128) {
        let wait = |drawn| failed.wait(drawn).as_millis();
        (wait(1.0), wait(0.0))
    }

    #[test]
    fn the_cap_grows_with_failures_and_shrinks_with_the_life_that_is_left() {
        for (times, left, most) in [
            (1, HOUR, 250),
            (2, HOUR, 500),
            (3, HOUR, 1000),
            (99, HOUR, 60_000),
            (99, HOUR * 24, 60_000),
            (99, HOUR / 6, 30_000),
            (99, HOUR / 90, 3000),
            (99, Duration::ZERO, 3000),
        ] {
            let seen = bounds(failed(times, left));
            assert_eq!(seen, (most, 20), "{times} {left:?}");
        }
    }

    #[test]
    fn the_jitter_is_full() {
        assert_eq!(failed(99, HOUR).wait(0.5), Duration::from_secs(30));
    }

    #[test]
    fn a_refusal_is_repeated_more_slowly() {
        let refused = Failed {
            refused: true,
            ..failed(99, Duration::ZERO)
        };
        assert_eq!(bounds(refused), (10_000, 20));
    }

    #[test]
    fn patience_lasts_while_the_certificate_does() {
        for (left, seconds) in [(HOUR, 60), (HOUR / 6, 30), (Duration::ZERO, 3)] {
            assert_eq!(patience(left).as_secs(), seconds);
        }
    }

    #[test]
    fn pushback_is_the_least_wait() {
        let pushed = Failed {
            pushback: Some(Duration::from_secs(40)),
            ..failed(1, Duration::ZERO)
        };
        for drawn in [0.0, 0.3, 1.0] {
            let wait = pushed.wait(drawn);
            assert!(wait > Duration::from_secs(40) && wait <= Duration::from_secs(50));
        }
    }

    #[test]
    fn a_ca_that_asks_for_no_wait_at_all_is_not_asked_in_a_hot_loop() {
        let pushed = Failed {
            pushback: Some(Duration::ZERO),
            ..failed(3, HOUR)
        };
        assert_eq!(pushed.wait(1.0), FIRST * 4);
        assert_eq!(pushed.wait(0.0), LEAST);
    }
}
