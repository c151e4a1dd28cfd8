//! How often may everybody who holds a leaf be looked at? The more that costs, the less often.
//!
//! Pure, as all of this room: whoever looks says when it began and ended, on a monotonic clock.

use std::time::Duration;

/// When the next look may begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    next: Duration,
}

impl Pace {
    /// After a look that began and ended then: looking takes a twentieth of the time of one core, whatever it costs.
    #[must_use]
    pub fn after(began: Duration, ended: Duration) -> Self {
        let took = ended.saturating_sub(began);
        Self {
            next: ended + took.saturating_mul(PAUSES).min(LONGEST),
        }
    }

    /// Whether it may begin at `now`.
    #[must_use]
    pub fn allows(self, now: Duration) -> bool {
        now >= self.next
    }
}

/// The pause after a look, as a multiple of what it took.
const PAUSES: u32 = 20;
/// A gate that has opened is found open after this long, at the latest.
const LONGEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_followed_by_a_pause_of_twenty_times_what_it_took_and_of_a_minute_at_most() {
        let millis = Duration::from_millis;
        assert!(Pace::default().allows(Duration::ZERO));
        for (took, pause) in [
            (0, 0),
            (2, 40),
            (300, 6_000),
            (3_000, 60_000),
            (9_000, 60_000),
        ] {
            let pace = Pace::after(millis(1_000), millis(1_000 + took));
            let next = 1_000 + took + pause;
            assert!(pace.allows(millis(next)), "{took}");
            assert!(!pace.allows(millis(next - 1)), "{took}");
        }
    }
}
