//! When is a certificate renewed? A pure function of its dates, one drawn number, and nothing else.

use std::time::Duration;
use std::time::SystemTime;

use crate::ca_time::CaTime;
use crate::svid::Svid;

/// Which share of its life a certificate lives before it is renewed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Renewal {
    share: f64,
    jitter: f64,
}

impl Renewal {
    /// Renews after `share` of the granted life, give or take up to `jitter` of it.
    ///
    /// # Errors
    /// When the renewal would not fall into the certificate's life.
    pub fn new(share: f64, jitter: f64) -> Result<Self, RenewalError> {
        let fits = share > 0.0 && share < 1.0 && (0.0..1.0).contains(&jitter);
        match fits {
            true => Ok(Self { share, jitter }),
            false => Err(RenewalError { share, jitter }),
        }
    }

    /// How long after its receipt a certificate with `life` left is renewed. `drawn` is a number from
    /// 0 to 1 that is drawn once for each certificate.
    #[must_use]
    pub fn delay(&self, life: Duration, drawn: f64) -> Duration {
        let spread = self.jitter * (2.0 * drawn - 1.0);
        life.mul_f64((self.share + spread).clamp(0.0, LATEST))
    }
}

impl Default for Renewal {
    /// At half of the life, give or take a twentieth.
    fn default() -> Self {
        Self {
            share: 0.5,
            jitter: 0.05,
        }
    }
}

/// The numbers make no moment in a certificate's life.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "renewal after {share} of the life with a jitter of {jitter}: expected a share between 0 and 1, and a jitter below 1"
)]
pub struct RenewalError {
    /// The share.
    pub share: f64,
    /// The jitter.
    pub jitter: f64,
}

/// How long a certificate that was just received lives from now on. By the CA's own clock where it told
/// the time, so that a wrong clock here does not matter; otherwise the whole span of its validity.
pub(super) fn granted(svid: &Svid, ca_time: Option<CaTime>) -> Duration {
    let span = span(svid.not_before(), svid.not_after());
    match ca_time.map(|time| svid.not_after().duration_since(time.there)) {
        Some(Ok(life)) => life.min(span),
        Some(Err(_)) | None => span,
    }
}

fn span(from: SystemTime, until: SystemTime) -> Duration {
    until.duration_since(from).unwrap_or_default()
}

/// Somebody has to be left to try again.
const LATEST: f64 = 0.95;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn half_of_the_life_give_or_take_the_jitter() {
        let renewal = Renewal::new(0.5, 0.05).unwrap();
        assert_eq!(renewal.delay(HOUR, 0.5), HOUR / 2);
        assert_eq!(renewal.delay(HOUR, 0.0).as_secs(), 1620);
        assert_eq!(renewal.delay(HOUR, 1.0).as_secs(), 1980);
    }

    #[test]
    fn no_draw_leaves_the_life() {
        let renewal = Renewal::new(0.9, 0.9).unwrap();
        assert_eq!(renewal.delay(HOUR, 0.0), Duration::ZERO);
        assert!(renewal.delay(HOUR, 1.0) < HOUR);
    }

    #[test]
    fn shares_outside_of_the_life_are_refused() {
        for (share, jitter) in [
            (0.0, 0.0),
            (1.0, 0.0),
            (0.5, 1.0),
            (0.5, -0.1),
            (f64::NAN, 0.0),
        ] {
            assert!(Renewal::new(share, jitter).is_err(), "{share} {jitter}");
        }
    }
}
