//! When is a certificate renewed because the CA says so? At a moment drawn once for each advice, so that not all agents
//! come at once.

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;
use proto::signet::RenewBy;

use super::NonsenseError;
use crate::agent::moment::Moment;
use crate::svid::Svid;

/// Advice to renew early.
#[derive(Clone, Debug)]
pub(in crate::agent) struct Advice {
    /// Whose certificates are good; `None` where only the next one is.
    issuer: Option<Fingerprint>,
    since: Option<SystemTime>,
    spread: Duration,
    /// From when, and how long after that.
    moment: Option<(Moment, Duration)>,
    /// A renewal came of it: there is one for each advice.
    pub(in crate::agent) heeded: bool,
}

impl Advice {
    pub(super) fn read(message: &RenewBy) -> Result<Self, NonsenseError> {
        let issuer = message
            .issuer
            .parse()
            .map_err(|_not_hex| NonsenseError::Advice { what: "issuer" })?;
        let nonsense = |what| NonsenseError::Advice { what };
        let since = message
            .since
            .map(SystemTime::try_from)
            .transpose()
            .map_err(|_out_of_range| nonsense("since"))?;
        let spread = message
            .spread
            .map(Duration::try_from)
            .transpose()
            .map_err(|_negative| nonsense("spread"))?;
        Ok(Self {
            issuer: Some(issuer),
            since,
            spread: spread.unwrap_or_default().min(LONGEST),
            moment: None,
            heeded: false,
        })
    }

    /// Our own: the CA has roots that the present certificate does not lead to.
    pub(in crate::agent) fn for_other_roots(now: Moment) -> Self {
        Self {
            issuer: None,
            since: Some(now.wall),
            spread: SOON,
            moment: None,
            heeded: false,
        }
    }

    /// Draws the moment: `drawn` is from 0 to 1, and the CA's clock is `offset` seconds ahead of ours.
    pub(in crate::agent) fn drawn(mut self, now: Moment, offset: f64, drawn: f64) -> Self {
        let ago = self.since.map_or(Duration::ZERO, |since| {
            let skew = Duration::try_from_secs_f64(offset.abs()).unwrap_or_default();
            let there = match offset < 0.0 {
                true => now.wall.checked_sub(skew),
                false => now.wall.checked_add(skew),
            };
            let there = there.unwrap_or(now.wall);
            there.duration_since(since).unwrap_or_default()
        });
        let after = self.spread.mul_f64(drawn.clamp(0.0, 1.0));
        self.moment = Some((now, after.saturating_sub(ago)));
        self
    }

    /// Whether it is the same, told again.
    pub(in crate::agent) fn is_as(&self, other: &Self) -> bool {
        (self.issuer, self.since, self.spread) == (other.issuer, other.since, other.spread)
    }

    /// Whether `svid` should be renewed.
    fn concerns(&self, svid: &Svid) -> bool {
        self.issuer.is_none() || self.names_another_issuer(svid)
    }

    /// Whether the CA wants certificates of another issuer than that of `svid`.
    pub(in crate::agent) fn names_another_issuer(&self, svid: &Svid) -> bool {
        let issuer = svid.chain().nth(1).map(Certificate::fingerprint);
        self.issuer.is_some() && issuer != self.issuer
    }

    /// How long until `svid` is to be renewed; `None` if it is not.
    pub(in crate::agent) fn left(&self, svid: &Svid, now: Moment) -> Option<Duration> {
        let (from, after) = self
            .moment
            .filter(|_| !self.heeded && self.concerns(svid))?;
        Some(after.saturating_sub(now.since(from)))
    }
}

/// No certificate lives longer than that.
const LONGEST: Duration = Duration::from_secs(400 * 24 * 3600);
/// Time for a CA to have many agents that were forgotten come back.
const SOON: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment {
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            steady: Duration::from_secs(seconds),
        }
    }

    fn advice(since: u64, spread: u64) -> Advice {
        Advice {
            issuer: None,
            since: Some(at(since).wall),
            spread: Duration::from_secs(spread),
            moment: None,
            heeded: false,
        }
    }

    fn delay(advice: Advice, now: u64, offset: f64, drawn: f64) -> u64 {
        advice
            .drawn(at(now), offset, drawn)
            .moment
            .unwrap()
            .1
            .as_secs()
    }

    #[test]
    fn the_moment_is_drawn_from_the_whole_window_less_what_has_passed() {
        for (now, drawn, expected) in [
            (1000, 0.0, 0),
            (1000, 0.5, 50),
            (1000, 1.0, 100),
            (1030, 1.0, 70),
            (1030, 0.2, 0),
            (9999, 1.0, 0),
        ] {
            let seen = delay(advice(1000, 100), now, 0.0, drawn);
            assert_eq!(seen, expected, "{now} {drawn}");
        }
    }

    #[test]
    fn a_clock_that_is_off_by_a_known_offset_does_not_matter() {
        assert_eq!(delay(advice(1000, 100), 700, 300.0, 1.0), 100);
        assert_eq!(delay(advice(1000, 100), 1300, -300.0, 1.0), 100);
        assert_eq!(
            delay(advice(5000, 100), 1000, 0.0, 0.5),
            50,
            "given in the future"
        );
    }
}
