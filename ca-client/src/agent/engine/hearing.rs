//! What does the engine make of what the CA tells by itself? New roots under the present certificate, advice to renew,
//! or nothing at all when it makes no sense.

use std::sync::Arc;
use std::time::Duration;

use proto::certificate::Fingerprint;

use super::Engine;
use crate::agent::follow::Advice;
use crate::agent::follow::Footing;
use crate::agent::follow::Heard;
use crate::agent::follow::NonsenseError;
use crate::agent::follow::Published;
use crate::agent::moment::Moment;
use crate::agent::status::Failure;
use crate::agent::status::one_line;
use crate::bundle::Bundle;
use crate::offer::Offer;
use crate::svid::Svid;

impl Engine {
    /// Takes in the latest message, once.
    pub(super) fn hear(&mut self, now: Moment) {
        let Some(message) = self.ends.latest() else {
            return;
        };
        if self
            .heard
            .as_ref()
            .is_some_and(|it| Arc::ptr_eq(it, &message))
        {
            return;
        }
        self.heard = Some(Arc::clone(&message));
        let Some(svid) = self.held.as_ref().map(|held| Arc::clone(&held.svid)) else {
            return;
        };
        let taken = Heard::read(&message, &svid.spiffe_id().trust_domain())
            .and_then(|heard| self.take_in(heard, &svid, now));
        if let Err(error) = taken {
            self.refuse(&error, now);
            let is_first = self.unfit.replace(message.number) != Some(message.number);
            if is_first && matches!(error, NonsenseError::NotOurRoots { .. }) {
                self.advise(Some(Advice::for_other_roots(now)), now);
            }
        }
    }

    /// Takes in the latest message; whether it makes what was asked for before a thing of the past. A CA that only
    /// repeats itself does not.
    pub(super) fn hears_news(&mut self, now: Moment) -> bool {
        let (bundle, advice) = (self.bundle.clone(), self.advice.clone());
        self.hear(now);
        let has_other_roots = match (&bundle, &self.bundle) {
            (Some(before), Some(after)) => !Arc::ptr_eq(before, after),
            (before, after) => before.is_some() != after.is_some(),
        };
        let has_other_advice = match (&advice, &self.advice) {
            (Some(before), Some(after)) => !after.is_as(before),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        has_other_roots || has_other_advice
    }

    fn take_in(&mut self, heard: Heard, svid: &Svid, now: Moment) -> Result<(), NonsenseError> {
        let known = self.bundle.as_ref().and_then(|bundle| bundle.number());
        if known.is_some_and(|known| heard.number < known) {
            tracing::debug!(
                number = heard.number,
                ?known,
                "heard of an older trust bundle"
            );
            return Ok(());
        }
        let is_new = known != Some(heard.number);
        let roots = match (&self.bundle, is_new) {
            (Some(bundle), false) => bundle.roots().to_vec(),
            _ => heard.roots,
        };
        let bundle = Bundle::new(Some(heard.number), roots)
            .distrusting(self.bundle.iter().flat_map(|before| before.distrusted()))
            .distrusting(&heard.distrusted)
            .telling(Some(heard.number), heard.beyond);
        if bundle.of_the_ca().is_empty() {
            return Err(NonsenseError::NobodyLeft);
        }
        let before = self.bundle.as_ref().map_or(0, |it| it.distrusted().len());
        if is_new || bundle.distrusted().len() != before || self.tells_more(&bundle) {
            self.change_roots(bundle, svid, now)
                .inspect_err(|_| self.distrust(&heard.distrusted))?;
        }
        self.advise(heard.advice, now);
        Ok(())
    }

    /// Whether `bundle` has something else beside the roots. To tell nothing is the same as never to have told.
    fn tells_more(&self, bundle: &Bundle) -> bool {
        let told = |bundle: &Bundle| bundle.beyond().cloned().unwrap_or_default();
        told(bundle) != self.bundle.as_ref().map(|it| told(it)).unwrap_or_default()
    }

    /// The same certificate and key beside other roots: a new set of files.
    fn change_roots(
        &mut self,
        bundle: Bundle,
        svid: &Svid,
        now: Moment,
    ) -> Result<(), NonsenseError> {
        let svid = svid
            .with_roots(bundle.roots().to_vec(), self.ca_has_passed(now))
            .map_err(|source| NonsenseError::NotOurRoots { source })?;
        tracing::info!(
            number = bundle.number(),
            roots = bundle.roots().len(),
            distrusted = bundle.distrusted().len(),
            "the CA changed the trust bundle"
        );
        let svid = Arc::new(svid);
        if let Some(held) = &mut self.held {
            held.svid = Arc::clone(&svid);
        }
        self.adopt(bundle);
        self.hand_on(svid);
        Ok(())
    }

    /// Who may not be the CA any more is not, whether or not the roots that this came with are ours. With nobody left,
    /// it has to wait for those.
    fn distrust(&mut self, roots: &[Fingerprint]) {
        let Some(known) = &self.bundle else {
            return;
        };
        let fewer = known.as_ref().clone().distrusting(roots);
        let is_news = fewer.distrusted().len() > known.distrusted().len();
        if is_news && !fewer.of_the_ca().is_empty() {
            self.adopt(fewer);
            self.on_disk = false;
            self.know();
        }
    }

    fn refuse(&self, error: &NonsenseError, now: Moment) {
        let message = one_line(error);
        tracing::error!(
            "the trust bundle that the CA sent is refused, the roots stay as they are: {message}"
        );
        self.status.send_modify(|status| {
            status.trust.refused += 1;
            status.trust.last_failure = Some(Failure {
                reason: "bad-trust-bundle",
                message,
                at: now.wall,
            });
        });
    }

    /// What is known from now on. Roots that were distrusted once stay so.
    pub(super) fn adopt(&mut self, bundle: Bundle) {
        let before = self.bundle.take();
        let bundle = bundle
            .distrusting(before.iter().flat_map(|before| before.distrusted()))
            .beside_as_in(before.as_deref());
        self.bundle = Some(Arc::new(bundle));
    }

    /// Lets everybody know what is known: those who ask for certificates, who follow the CA, and who look at us.
    pub(super) fn know(&mut self) {
        let request = self
            .settings
            .request
            .clone()
            .instance(self.instance.clone());
        let bundle = self.bundle.clone();
        self.settings.request = match &bundle {
            Some(bundle) => request.known(Arc::clone(bundle)),
            None => request,
        };
        let number = bundle.as_ref().and_then(|bundle| bundle.number());
        self.status
            .send_modify(|status| status.trust.number = number);
        let Some(held) = &self.held else {
            return;
        };
        let beyond = bundle.as_ref().and_then(|bundle| bundle.beyond().cloned());
        self.ends.offer(Offer {
            svid: Arc::clone(&held.svid),
            beyond: beyond.unwrap_or_default(),
            age: bundle.as_ref().map(|it| it.age()).unwrap_or_default(),
        });
        let (Some(bundle), Some(instance)) = (bundle, &self.instance) else {
            return;
        };
        self.ends.stand_on(Footing {
            svid: Arc::clone(&held.svid),
            received: held.received,
            bundle,
            instance: instance.clone(),
        });
    }

    /// Something else is held: for watchers now, for readers of files soon.
    pub(super) fn hand_on(&mut self, svid: Arc<Svid>) {
        self.on_disk = false;
        self.svids.send_replace(Some(svid));
        self.know();
        if self.output.is_none() {
            self.publish();
        }
    }

    /// Workloads can have what is held from now on.
    pub(super) fn publish(&mut self) {
        let Some(held) = &self.held else {
            return;
        };
        let published = Published {
            serial: held.svid.serial(),
            bundle: self.bundle.as_ref().and_then(|bundle| bundle.number()),
            was_told: false,
            standing: Arc::downgrade(&self.standing),
        };
        // Whatever is published after a restart is new.
        let was_told = self.told.take().is_some_and(|told| told.is_as(&published));
        self.ends.publish(Published {
            was_told,
            ..published
        });
    }

    /// The whole state is in each message: advice that is not there any more does not count any more.
    fn advise(&mut self, advice: Option<Advice>, now: Moment) {
        let offset = self.status.borrow().ca_clock_offset.unwrap_or_default();
        let drawn = self.settings.dice.draw();
        self.advice = match (advice, self.advice.take()) {
            (Some(new), Some(old)) if new.is_as(&old) => Some(old),
            (Some(new), _) => Some(new.drawn(now, offset, drawn)),
            (None, _) => None,
        };
        self.tell_next(now);
    }

    /// How long until the CA wants the certificate renewed, if it does.
    pub(super) fn advised(&self, now: Moment) -> Option<Duration> {
        let svid = &self.held.as_ref()?.svid;
        self.advice.as_ref()?.left(svid, now)
    }

    /// There is a new certificate: advice that was due is heeded, and not again; and what did not fit the old one is
    /// heard again.
    pub(super) fn heed(&mut self, new: &Svid, now: Moment) {
        self.heard = None;
        let was_due = self.advised(now).is_some_and(|left| left.is_zero());
        if let Some(advice) = &mut self.advice {
            advice.heeded |= was_due;
            if was_due && advice.names_another_issuer(new) {
                tracing::warn!(
                    "renewed early as the CA asked, but the new certificate is of the old issuer again"
                );
            }
        }
    }
}
