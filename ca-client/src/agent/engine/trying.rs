//! What comes of one attempt? A new certificate in use; `failing` has the rest.

use std::sync::Arc;
use std::time::Duration;

use proto::spiffe::SpiffeId;

use super::Current;
use super::Engine;
use super::LOOK;
use super::running::Running;
use crate::agent::attempt::Attempt;
use crate::agent::attempt::AttemptError;
use crate::agent::attempt::Evidence;
use crate::agent::backoff::patience;
use crate::agent::first_contact::FirstContactError;
use crate::agent::moment::Moment;
use crate::agent::renewal::granted;
use crate::agent::status::Files;
use crate::agent::status::Held;
use crate::bundle::Bundle;
use crate::client::Enrolled;
use crate::credential::Credential;
use crate::credential::read_token;
use crate::csr::CsrError;
use crate::csr::KeyAndCsr;
use crate::key::PrivateKey;
use crate::trust::Trust;

impl Engine {
    /// Tries once, and notes what came of it, unless the CA had something else to say meanwhile.
    pub(super) async fn try_once(&mut self, began: Moment) {
        let outcome = match self.ask(began).await {
            Ok(None) => {
                tracing::info!("the CA is slow to answer and has other roots: those first");
                return;
            }
            Ok(Some(outcome)) => Ok(outcome),
            Err(error) => Err(error),
        };
        let now = Moment::now(self.settings.clock.as_ref());
        let took = now.steadily_since(began);
        self.status.send_modify(|status| status.calls += took);
        match outcome {
            Ok((enrolled, evidence)) => self.succeed(enrolled, evidence, now),
            Err(error) => self.fail(&error, now).await,
        }
        self.tell_next(now);
    }

    /// Waits for the outcome of one attempt, or of several: as long as there is none, another one is begun
    /// from time to time. A failure ends this when it is the last, or the CA asks for patience: it must not
    /// be what ends an older attempt that is only slow. The files are looked after meanwhile, and the CA
    /// is listened to: `None` when it has new roots or advice, which what was asked before does not meet.
    async fn ask(&mut self, mut now: Moment) -> Result<Option<(Enrolled, Evidence)>, AttemptError> {
        let disturbed_from = now.steady + UNDISTURBED;
        let mut running = Running::default();
        loop {
            self.take_up_if_good(now);
            self.status.send_modify(|status| {
                status.attempts += 1;
                status.retries += u64::from(status.is_failing());
            });
            match self.attempt(now).await {
                Ok(attempt) => running.push(attempt.make()),
                Err(error) if running.is_empty() => return Err(error),
                // Those before may have all they need.
                Err(_for_now) => {}
            }
            let began = now;
            while now.steadily_since(began) < patience(self.left(now)) {
                tokio::select! {
                    biased;
                    outcome = running.first() => match outcome {
                        (Err(error), is_oldest)
                            if !running.is_empty() && error.pushback().is_none() =>
                        {
                            if is_oldest {
                                self.fail_beside_others(&error, now).await;
                            }
                        }
                        (outcome, _) => return outcome.map(Some),
                    },
                    () = self.ends.other_word(), if now.steady >= disturbed_from => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
                now = Moment::now(self.settings.clock.as_ref());
                if now.steady >= disturbed_from && self.hears_news(now) {
                    return Ok(None);
                }
                self.tend_files(now).await;
            }
        }
    }

    async fn attempt(&mut self, now: Moment) -> Result<Attempt, AttemptError> {
        let moment = self.ca_has_passed(now);
        Ok(Attempt {
            trust: self.trust().await?,
            key: self.key(now).await?,
            request: self.settings.request.clone().no_earlier_than(moment),
            spiffe_id: self.insisted.clone(),
            token: self.token().await,
            token_file: self.settings.token_file.clone(),
            own: self.held.as_ref().map_or_else(
                || self.expired.as_ref().map(|(svid, _)| Arc::clone(svid)),
                |held| Some(Arc::clone(&held.svid)),
            ),
            first: self.first,
            now: moment,
        })
    }

    /// The key that waits for its certificate, or a new one.
    async fn key(&mut self, now: Moment) -> Result<Arc<KeyAndCsr>, CsrError> {
        if let Some(key) = &self.key {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(KeyAndCsr::generate(self.wanted_name())?);
        if self.left(now).is_zero() {
            self.keep_key(Arc::clone(&key)).await;
        }
        self.key = Some(Arc::clone(&key));
        Ok(key)
    }

    pub(super) fn request_for(&self, key: &PrivateKey) -> Result<KeyAndCsr, CsrError> {
        KeyAndCsr::for_key(key, self.wanted_name())
    }

    fn wanted_name(&self) -> Option<&SpiffeId> {
        let insisted = self.insisted.as_ref();
        insisted.or_else(|| self.settings.request.wanted_id())
    }

    /// What is left of the certificate; nothing if there is none.
    pub(super) fn left(&self, now: Moment) -> Duration {
        self.held.as_ref().map_or(Duration::ZERO, |held| {
            let end = held.svid.not_after();
            end.duration_since(self.ca_has_passed(now))
                .unwrap_or_default()
        })
    }

    /// The bundle, once there is one: what was given counts for first contact only.
    async fn trust(&mut self) -> Result<Trust, FirstContactError> {
        match (&self.bundle, &self.settings.first_contact) {
            (Some(bundle), _) => Ok(Trust::roots(bundle.of_the_ca())?),
            (None, Some(first_contact)) => first_contact.read(&mut self.given_roots).await,
            (None, None) => Err(FirstContactError::Nothing),
        }
    }

    /// What is in the token file now.
    async fn token(&mut self) -> Option<Credential> {
        let path = self.settings.token_file.clone()?;
        let read = path.clone();
        let token = self.tokens.read(move || read_token(&read)).await;
        Some(Credential::token_of_file(path, token))
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
        let has_none = self.left(now).is_zero();
        self.status.send_modify(|status| {
            // What is on disk has expired: nobody is ready before the new files are.
            if has_none && matches!(status.files, Files::Written { .. }) {
                status.files = Files::Pending;
            }
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
        self.key = None;
        self.retry = None;
        self.complaint = None;
        self.forced = false;
        self.held = Some(Current {
            svid: Arc::clone(&svid),
            received: now,
            renew_after,
        });
        self.hand_on(svid);
    }
}

/// A renewal that is due at once all the time would be a hot loop.
const SOONEST: Duration = Duration::from_millis(50);
/// What a CA that is well answers within.
const UNDISTURBED: Duration = Duration::from_secs(2);
/// Seconds that are worth a line in the log.
const NOTABLE_OFFSET: f64 = 30.0;
