//! What may a leaf look like: how long may it live, and from when?
//!
//! Knows the operator's limits only; when the issuers' own time ends, the caller says.

use std::fmt;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::x509::Validity;

/// How long leaves live. The shortest is never above the default, and that never above the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    default_ttl: Duration,
    max_ttl: Duration,
    min_ttl: Duration,
}

impl Profile {
    /// Leaves live for `default_ttl` unless they ask for another time from `min_ttl` to `max_ttl`.
    ///
    /// # Errors
    /// When the three are not in order.
    pub fn new(
        default_ttl: Duration,
        max_ttl: Duration,
        min_ttl: Duration,
    ) -> Result<Self, ProfileError> {
        if min_ttl > default_ttl || default_ttl > max_ttl {
            return Err(ProfileError::Limits {
                default: default_ttl,
                max: max_ttl,
                min: min_ttl,
            });
        }
        Ok(Self {
            default_ttl,
            max_ttl,
            min_ttl,
        })
    }

    /// The longest lifetime that is granted.
    #[must_use]
    pub fn max_ttl(&self) -> Duration {
        self.max_ttl
    }

    /// The lifetime of a leaf whose CSR asks for none.
    #[must_use]
    pub fn default_ttl(&self) -> Duration {
        self.default_ttl
    }

    /// The time of a leaf that is made at `now` by issuers who are all valid in `window`.
    ///
    /// It ends with `window` at the latest, and starts a little before `now`, for readers whose clocks are
    /// behind: two minutes, but no more than a tenth of the lifetime, because some peers renew at the
    /// middle between the two ends.
    ///
    /// # Errors
    /// When `requested` is outside the limits, which are not applied to the default; or when `now` is not in `window`.
    /// `cap` shortens and never refuses.
    pub fn validity(
        &self,
        requested: Option<Duration>,
        cap: Option<Duration>,
        window: Validity,
        now: SystemTime,
    ) -> Result<Validity, ProfileError> {
        let ttl = self.ttl(requested)?;
        let ttl = cap.map_or(ttl, |cap| ttl.min(cap.max(self.min_ttl)));
        let (first, last) = (window.not_before(), window.not_after());
        if window.is_over_at(now) {
            return Err(ProfileError::IssuerExpired { not_after: last });
        }
        if now < first {
            return Err(ProfileError::IssuerNotYetValid { not_before: first });
        }
        let not_after = now.checked_add(ttl).map_or(last, |end| end.min(last));
        let lifetime = not_after.duration_since(now).unwrap_or_default();
        let backdate = MAX_BACKDATE.min(lifetime / 10);
        let not_before = now
            .checked_sub(backdate)
            .map_or(first, |start| start.max(first));
        // Both lie in the window, and the second of `now` between them.
        Validity::new(not_before, not_after).ok_or(ProfileError::IssuerExpired { not_after: last })
    }

    fn ttl(&self, requested: Option<Duration>) -> Result<Duration, ProfileError> {
        match requested {
            None => Ok(self.default_ttl),
            Some(requested) if requested > self.max_ttl => Err(ProfileError::TtlTooLong {
                requested,
                max: self.max_ttl,
            }),
            Some(requested) if requested < self.min_ttl => Err(ProfileError::TtlTooShort {
                requested,
                min: self.min_ttl,
            }),
            Some(requested) => Ok(requested),
        }
    }
}

/// The lifetime that a request's `validity_duration`, in seconds, asks for: zero and less ask for the default.
#[must_use]
pub fn requested_ttl(seconds: i64) -> Option<Duration> {
    match u64::try_from(seconds) {
        Ok(0) | Err(_) => None,
        Ok(seconds) => Some(Duration::from_secs(seconds)),
    }
}

/// Why a leaf has no validity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// A certificate of the issuing chain is past its end.
    #[error("signing certificate has expired at {}", rfc3339(*not_after))]
    IssuerExpired {
        /// Its last second.
        not_after: SystemTime,
    },
    /// A certificate of the issuing chain has not begun.
    #[error("signing certificate is not valid before {}", rfc3339(*not_before))]
    IssuerNotYetValid {
        /// Its first second.
        not_before: SystemTime,
    },
    /// The limits contradict each other.
    #[error(
        "the TTLs must be in order: min {} <= default {} <= max {}",
        Hms(*min), Hms(*default), Hms(*max)
    )]
    Limits {
        /// For those who do not ask.
        default: Duration,
        /// The longest.
        max: Duration,
        /// The shortest.
        min: Duration,
    },
    /// More was asked for than is allowed.
    #[error("requested TTL {} is greater than the max allowed TTL {}", Hms(*requested), Hms(*max))]
    TtlTooLong {
        /// What was asked for.
        requested: Duration,
        /// The longest.
        max: Duration,
    },
    /// Less was asked for than is allowed.
    #[error("requested TTL {} is less than the min allowed TTL {}", Hms(*requested), Hms(*min))]
    TtlTooShort {
        /// What was asked for.
        requested: Duration,
        /// The shortest.
        min: Duration,
    },
}

/// A duration in the form that Istio's messages have: `3h0m0s`, `1m30s`, `45s`.
struct Hms(Duration);

impl fmt::Display for Hms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if seconds >= 60 {
            write!(f, "{minutes}m")?;
        }
        // The standard library writes what is left of a minute with its fraction: 1.5s, 20ms.
        let rest = Duration::new(seconds % 60, self.0.subsec_nanos());
        if rest.is_zero() {
            return f.write_str("0s");
        }
        write!(f, "{rest:?}")
    }
}

fn rfc3339(time: SystemTime) -> String {
    let age = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(age.as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| "a time after the year 9999".to_owned())
}

/// Istio's allowance for clocks that differ.
pub const MAX_BACKDATE: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    const NOW: u64 = 1_900_000_000;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn profile(default: u64, max: u64, min: u64) -> Result<Profile, ProfileError> {
        let [default, max, min] = [default, max, min].map(Duration::from_secs);
        Profile::new(default, max, min)
    }

    fn usual() -> Profile {
        profile(DAY, 90 * DAY, MINUTE).unwrap()
    }

    fn window(from: u64, to: u64) -> Validity {
        Validity::new(at(from), at(to)).unwrap()
    }

    /// Requested seconds, as on the wire, in a window of ten years.
    fn ends(requested: i64) -> Result<(u64, u64), ProfileError> {
        let window = window(NOW - DAY, NOW + 3650 * DAY);
        let validity = usual().validity(requested_ttl(requested), None, window, at(NOW))?;
        let before = at(NOW).duration_since(validity.not_before()).unwrap();
        let after = validity.not_after().duration_since(at(NOW)).unwrap();
        Ok((before.as_secs(), after.as_secs()))
    }

    #[test]
    fn a_leaf_lives_as_long_as_asked_and_starts_a_little_early() {
        for (requested, expected) in [
            (0, (120, DAY)),
            (-1, (120, DAY)),
            (i64::MIN, (120, DAY)),
            (60, (6, 60)),
            (600, (60, 600)),
            (1200, (120, 1200)),
            (3600, (120, 3600)),
            (7_776_000, (120, 90 * DAY)),
        ] {
            assert_eq!(ends(requested), Ok(expected), "{requested}");
        }
    }

    #[test]
    fn lifetimes_outside_the_limits_are_refused_with_both_numbers() {
        for (requested, expected) in [
            (
                7_776_001,
                "requested TTL 2160h0m1s is greater than the max allowed TTL 2160h0m0s",
            ),
            (
                i64::MAX,
                "requested TTL 2562047788015215h30m7s is greater than the max allowed TTL 2160h0m0s",
            ),
            (
                59,
                "requested TTL 59s is less than the min allowed TTL 1m0s",
            ),
        ] {
            let error = ends(requested).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn a_leaf_never_leaves_its_issuers_window() {
        let profile = usual();
        for (window, requested, not_before, not_after) in [
            (window(NOW - DAY, NOW + HOUR), None, NOW - 120, NOW + HOUR),
            (window(NOW - DAY, NOW + 100), None, NOW - 10, NOW + 100),
            (window(NOW - 30, NOW + HOUR), None, NOW - 30, NOW + HOUR),
            (window(NOW, NOW), None, NOW, NOW),
            (window(0, NOW + HOUR), Some(600), NOW - 60, NOW + 600),
        ] {
            let requested = requested.map(Duration::from_secs);
            let validity = profile.validity(requested, None, window, at(NOW)).unwrap();
            let expected = Validity::new(at(not_before), at(not_after)).unwrap();
            assert_eq!(validity, expected);
            assert!(validity.is_within(&window));
        }
    }

    #[test]
    fn outside_the_issuers_window_there_is_nothing() {
        let window = window(NOW, NOW + HOUR);
        let validity = |now| usual().validity(None, None, window, now);
        let before = validity(at(NOW - 1)).unwrap_err();
        let text = "signing certificate is not valid before 2030-03-17T17:46:40Z";
        assert_eq!(before.to_string(), text);
        let after = validity(at(NOW + HOUR + 1)).unwrap_err();
        let text = "signing certificate has expired at 2030-03-17T18:46:40Z";
        assert_eq!(after.to_string(), text);
        assert!(validity(at(NOW + HOUR) + Duration::from_millis(999)).is_ok());
    }

    #[test]
    fn endless_limits_do_not_overflow() {
        let profile = profile(u64::MAX, u64::MAX, 0).unwrap();
        let window = window(0, NOW + HOUR);
        for requested in [0, 1, i64::MAX] {
            let validity = profile.validity(requested_ttl(requested), None, window, at(NOW));
            assert!(validity.unwrap().is_within(&window));
        }
    }

    #[test]
    fn fractions_of_a_second_do_not_lengthen_a_leaf() {
        let window = window(NOW - DAY, NOW + DAY);
        let now = at(NOW) + Duration::from_millis(999);
        let validity = usual()
            .validity(requested_ttl(600), None, window, now)
            .unwrap();
        assert_eq!(validity.not_after(), at(NOW + 600));
    }

    #[test]
    fn limits_must_be_in_order() {
        for (default, max, min) in [(2, 1, 0), (1, 3, 2), (HOUR, DAY, 2 * DAY)] {
            let error = profile(default, max, min).unwrap_err();
            assert!(matches!(error, ProfileError::Limits { .. }), "{error}");
        }
        assert!(profile(1, 1, 1).is_ok());
    }

    #[test]
    fn durations_read_as_istio_writes_them() {
        for (millis, expected) in [
            (0, "0s"),
            (20, "20ms"),
            (1500, "1.5s"),
            (45_000, "45s"),
            (90_000, "1m30s"),
            (60_000, "1m0s"),
            (10_800_000, "3h0m0s"),
            (3_601_500, "1h0m1.5s"),
        ] {
            assert_eq!(Hms(Duration::from_millis(millis)).to_string(), expected);
        }
    }
}
