//! From when until when is a leaf good? (RFC 5280 section 4.1.2.5) Whole seconds, both ends included.

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use serde::Deserialize;
use serde::Serialize;

/// A first and a last second. `not_before` is never after `not_after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    not_before: u64,
    not_after: u64,
}

impl Validity {
    /// Both ends are cut to whole seconds. `None` when the end comes before the start, or the start before 1970.
    #[must_use]
    pub fn new(not_before: SystemTime, not_after: SystemTime) -> Option<Self> {
        let not_before = not_before.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let not_after = not_after.duration_since(UNIX_EPOCH).ok()?.as_secs();
        (not_before <= not_after).then_some(Self {
            not_before,
            not_after,
        })
    }

    /// The first second.
    #[must_use]
    pub fn not_before(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.not_before)
    }

    /// The last second.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.not_after)
    }

    /// The part of `self` that is also in `other`, if any.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        let not_before = self.not_before.max(other.not_before);
        let not_after = self.not_after.min(other.not_after);
        (not_before <= not_after).then_some(Self {
            not_before,
            not_after,
        })
    }

    /// Whether all of `self` lies within `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.not_before >= other.not_before && self.not_after <= other.not_after
    }

    /// Whether `now` is past the last second.
    #[must_use]
    pub fn is_over_at(&self, now: SystemTime) -> bool {
        now >= self.not_after() + Duration::from_secs(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn an_end_before_the_start_is_no_validity() {
        assert_eq!(Validity::new(at(2), at(1)), None);
        assert_eq!(
            Validity::new(UNIX_EPOCH - Duration::from_secs(1), at(1)),
            None
        );
    }

    #[test]
    fn an_intersection_lies_within_both() {
        let (early, late) = (
            Validity::new(at(1), at(5)).unwrap(),
            Validity::new(at(3), at(9)).unwrap(),
        );
        let both = early.intersection(late).unwrap();
        assert_eq!(both, Validity::new(at(3), at(5)).unwrap());
        assert!(both.is_within(&early) && both.is_within(&late));
        assert_eq!(
            early.intersection(Validity::new(at(6), at(7)).unwrap()),
            None
        );
    }

    #[test]
    fn the_last_second_counts() {
        let validity = Validity::new(at(1), at(5)).unwrap();
        assert!(!validity.is_over_at(at(5) + Duration::from_millis(999)));
        assert!(validity.is_over_at(at(6)));
    }
}
