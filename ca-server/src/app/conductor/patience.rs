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

/// When is something that goes on failing told again? Once a minute.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reminder {
    told: Option<Duration>,
}

impl Reminder {
    /// Whether to tell it now: it counts as told then.
    pub(super) fn is_due_at(&mut self, elapsed: Duration) -> bool {
        let is_due = self.told.is_none_or(|told| elapsed >= told + TELL_AGAIN);
        if is_due {
            self.told = Some(elapsed);
        }
        is_due
    }

    /// It does not fail any more.
    pub(super) fn forget(&mut self) {
        self.told = None;
    }
}

const TELL_AGAIN: Duration = Duration::from_secs(60);
const FIRST: Duration = Duration::from_secs(60);
/// What is renewed has months left.
const LONGEST: Duration = Duration::from_secs(60 * 60);
const MOST_DOUBLINGS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_failing_is_told_once_a_minute() {
        let mut reminder = Reminder::default();
        let told = [0, 1, 59, 60, 61, 120].map(|at| reminder.is_due_at(Duration::from_secs(at)));
        assert_eq!(told, [true, false, false, true, false, true]);
        reminder.forget();
        assert!(reminder.is_due_at(Duration::from_secs(121)));
    }

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
