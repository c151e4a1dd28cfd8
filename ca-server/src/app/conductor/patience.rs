//! When is something that failed tried again? Later each time: an attempt makes keys and writes them.

use std::time::Duration;

/// How long the next attempt waits, on a clock that only goes forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Patience {
    failures: u32,
    until: Duration,
}

impl Patience {
    /// Whether it is too early for another attempt.
    pub(super) fn holds_at(&self, elapsed: Duration) -> bool {
        self.failures > 0 && elapsed < self.until
    }

    /// After an attempt.
    pub(super) fn note<T, E>(&mut self, outcome: &Result<T, E>, elapsed: Duration) {
        *self = match outcome {
            Ok(_) => Self::default(),
            Err(_) => {
                let doubled = FIRST * 2_u32.saturating_pow(self.failures.min(MOST_DOUBLINGS));
                Self {
                    failures: self.failures.saturating_add(1),
                    until: elapsed + doubled.min(LONGEST),
                }
            }
        };
    }
}

const FIRST: Duration = Duration::from_secs(60);
/// What is renewed has months left.
const LONGEST: Duration = Duration::from_secs(60 * 60);
const MOST_DOUBLINGS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_makes_the_next_attempt_wait_longer_up_to_an_hour() {
        let mut patience = Patience::default();
        assert!(!patience.holds_at(Duration::ZERO));
        let mut elapsed = Duration::from_secs(5);
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60] {
            patience.note(&Err::<(), ()>(()), elapsed);
            let wait = Duration::from_secs(minutes * 60);
            assert!(patience.holds_at(elapsed + wait - Duration::from_secs(1)));
            assert!(!patience.holds_at(elapsed + wait), "{minutes}");
            elapsed += wait;
        }
        patience.note(&Ok::<(), ()>(()), elapsed);
        assert_eq!(patience, Patience::default());
    }
}
