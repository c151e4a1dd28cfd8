//! What comes of one attempt? A new certificate in use, or a reason and a wait.

use std::sync::Arc;
use std::time::Duration;

use super::Current;
use super::Engine;
use super::Retry;
use crate::agent::attempt::Attempt;
use crate::agent::attempt::AttemptError;
use crate::agent::attempt::Evidence;
use crate::agent::backoff::Failed;
use crate::agent::first_contact::FirstContactError;
use crate::agent::moment::Moment;
use crate::agent::renewal::granted;
use crate::agent::status::Failure;
use crate::agent::status::Held;
use crate::bundle::Bundle;
use crate::client::Enrolled;
use crate::trust::Trust;

impl Engine {
    /// Tries once, and notes what came of it; whether it came to an end.
    pub(super) async fn try_once(&mut self, began: Moment) -> bool {
        self.status.send_modify(|status| status.attempts += 1);
        let Some(outcome) = self.ask_unless_told(began).await else {
            tracing::info!("the CA is slow to answer and has other roots: those first");
            return false;
        };
        let now = Moment::now(self.settings.clock.as_ref());
        let took = now.steadily_since(began);
        self.status.send_modify(|status| status.calls += took);
        match outcome {
            Ok((enrolled, evidence)) => self.succeed(enrolled, evidence, now),
            Err(error) => self.fail(&error, now),
        }
        self.tell_next(now);
        true
    }

    /// A CA that is slow to answer must not keep its roots from workloads: `None` when it has new ones meanwhile.
    async fn ask_unless_told(
        &self,
        now: Moment,
    ) -> Option<Result<(Enrolled, Evidence), AttemptError>> {
        let told = async {
            tokio::time::sleep(UNDISTURBED).await;
            self.ends.other_word().await;
        };
        tokio::select! {
            biased;
            outcome = self.ask(now) => Some(outcome),
            () = told => None,
        }
    }

    async fn ask(&self, now: Moment) -> Result<(Enrolled, Evidence), AttemptError> {
        let trust = self.trust()?;
        let attempt = Attempt {
            request: &self.settings.request,
            trust: &trust,
            spiffe_id: self.insisted.as_ref(),
            token_file: self.settings.token_file.as_ref(),
            own: self.held.as_ref().map(|held| held.svid.as_ref()),
            first: self.first,
            now: now.wall,
        };
        attempt.make().await
    }

    /// The bundle, once there is one: what was given counts for first contact only.
    fn trust(&self) -> Result<Trust, FirstContactError> {
        match (&self.bundle, &self.settings.first_contact) {
            (Some(bundle), _) => Ok(Trust::roots(bundle.of_the_ca())?),
            (None, Some(first_contact)) => first_contact.read(),
            (None, None) => Err(FirstContactError::Nothing),
        }
    }

    fn succeed(&mut self, enrolled: Enrolled, evidence: Evidence, now: Moment) {
        let Enrolled {
            svid,
            ca_time,
            bundle,
        } = enrolled;
        let life = granted(&svid, ca_time);
        let renew_after = self
            .settings
            .renewal
            .delay(life, self.settings.dice.draw())
            .max(SOONEST);
        let svid = Arc::new(svid);
        tracing::info!(
            spiffe_id = %svid.spiffe_id(),
            serial = svid.serial(),
            not_after = %humantime::format_rfc3339_seconds(svid.not_after()),
            by = ?evidence,
            renewal_in = %humantime::format_duration(Duration::from_secs(renew_after.as_secs())),
            "got a certificate"
        );
        let offset = ca_time.map(|time| time.offset_seconds());
        if let Some(offset) = offset.filter(|offset| offset.abs() > NOTABLE_OFFSET) {
            tracing::warn!(
                seconds = offset,
                "the CA's clock differs from this machine's"
            );
        }
        self.status.send_modify(|status| {
            status.certificate = Some(Held::of(&svid));
            status.renewals += 1;
            status.failures_in_a_row = 0;
            status.last_success = Some(now.wall);
            status.ca_clock_offset = offset.or(status.ca_clock_offset);
        });
        self.adopt(Bundle::new(bundle, svid.roots().to_vec()));
        self.heed(&svid, now);
        self.insisted = Some(svid.spiffe_id().clone());
        self.first = evidence;
        self.retry = None;
        self.on_disk = false;
        self.svids.send_replace(Some(Arc::clone(&svid)));
        self.held = Some(Current {
            svid,
            received: now,
            renew_after,
        });
        self.know();
        if self.output.is_none() {
            self.publish();
        }
    }

    fn fail(&mut self, error: &AttemptError, now: Moment) {
        let message = self.explained(error);
        let failure = Failure {
            reason: error.reason(),
            message: message.clone(),
            at: now.wall,
        };
        self.status.send_modify(|status| {
            status.failures += 1;
            status.failures_in_a_row = status.failures_in_a_row.saturating_add(1);
            status.last_failure = Some(failure);
        });
        let left = self.held.as_ref().map_or(Duration::ZERO, |held| {
            let end = held.svid.not_after();
            end.duration_since(now.wall).unwrap_or_default()
        });
        let failed = Failed {
            times: self.status.borrow().failures_in_a_row,
            left,
            refused: error.is_refusal(),
            pushback: error.pushback(),
        };
        let wait = failed.wait(self.settings.dice.draw());
        tracing::warn!(
            reason = error.reason(),
            again_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            certificate_left_s = left.as_secs(),
            "{message}"
        );
        self.retry = Some(Retry {
            from: now,
            wait,
            pushed: failed.pushback.is_some(),
        });
    }
}

/// A renewal that is due at once all the time would be a hot loop.
const SOONEST: Duration = Duration::from_millis(50);
/// What a CA that is well answers within.
const UNDISTURBED: Duration = Duration::from_secs(2);
/// Seconds that are worth a line in the log.
const NOTABLE_OFFSET: f64 = 30.0;
