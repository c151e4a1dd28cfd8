//! What comes of a failure? A reason for whoever looks, a line in the log unless it just heard the same, and a wait.

use std::time::Duration;

use super::Engine;
use super::Retry;
use crate::agent::attempt::AttemptError;
use crate::agent::attempt::Evidence;
use crate::agent::backoff::Failed;
use crate::agent::moment::Moment;
use crate::agent::status::Failure;
use crate::error::Error;

impl Engine {
    /// Nothing runs any more: waits before the next attempt.
    pub(super) async fn fail(&mut self, error: &AttemptError, now: Moment) {
        let failed = self.note_failure(error, now).await;
        let wait = failed.wait(self.settings.dice.draw());
        self.complain(failed, wait, now);
        self.retry = Some(Retry {
            from: now,
            wait,
            pushed: failed.pushback.is_some(),
        });
    }

    /// There is nothing to wait for, since younger attempts run already; but a CA that swallows everything is told of.
    pub(super) async fn fail_beside_others(&mut self, error: &AttemptError, now: Moment) {
        let failed = self.note_failure(error, now).await;
        self.complain(failed, Duration::ZERO, now);
    }

    async fn note_failure(&mut self, error: &AttemptError, now: Moment) -> Failed {
        let failure = Failure {
            reason: error.reason(),
            message: self.explained(error).await,
            at: now.wall,
        };
        self.status.send_modify(|status| {
            status.failures += 1;
            status.failures_in_a_row = status.failures_in_a_row.saturating_add(1);
            status.last_failure = Some(failure);
        });
        if may_be_a_refusal_by_tls(error) {
            self.first = Evidence::Token;
        }
        if error.is_about_the_request() {
            self.key = None;
        }
        Failed {
            times: self.status.borrow().failures_in_a_row,
            left: self.left(now),
            refused: error.is_refusal(),
            pushback: error.pushback(),
        }
    }

    /// Tells the log of the last failure, unless it just heard the same.
    fn complain(&mut self, failed: Failed, wait: Duration, now: Moment) {
        let Some(Failure {
            reason, message, ..
        }) = self.status.borrow().last_failure.clone()
        else {
            return;
        };
        if self.is_worth_a_line(&message, now) {
            tracing::warn!(
                reason,
                attempts = failed.times,
                again_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                certificate_left_s = failed.left.as_secs(),
                "{message}"
            );
            self.complaint = Some((message, now));
        }
    }

    /// The same failure is told once a minute: an outage of a night must not bury what came before it.
    fn is_worth_a_line(&self, message: &str, now: Moment) -> bool {
        self.complaint
            .as_ref()
            .is_none_or(|(told, at)| told != message || now.steadily_since(*at) >= REMINDER)
    }
}

/// A server that judges our certificate in its handshake says no more than an alert, or hangs up: the token
/// goes first the next time, and the certificate after it.
fn may_be_a_refusal_by_tls(error: &AttemptError) -> bool {
    matches!(
        error,
        AttemptError::Ca {
            source: Error::Handshake { .. } | Error::Transport { .. }
        }
    )
}

/// How often a failure that goes on is told.
const REMINDER: Duration = Duration::from_secs(60);
