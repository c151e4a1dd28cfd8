//! What is due without anybody asking? Steps whose gates opened, roots and issuers of our own that grow old.

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use tracing::debug;
use tracing::info;

use super::super::ca::CaError;
use super::super::promises::Promises;
use super::Conductor;
use crate::authority::self_signed;
use crate::ledger::Holding;
use crate::ledger::Ledger;
use crate::rotation;
use crate::rotation::Awaited;
use crate::rotation::Evidence;
use crate::rotation::Record;
use crate::rotation::Step;
use crate::x509::SystemEntropy;

impl Conductor {
    /// Does everything that is due, one step after the other.
    pub(super) async fn bring_up_to_date(&mut self, now: SystemTime) -> Result<(), CaError> {
        if self.unfinished {
            self.enact(now).await?;
        }
        self.renew_self_signed(now).await?;
        for _ in 0..MOST_STEPS {
            let Some(record) = self.next_step(now).await? else {
                break;
            };
            self.commit(record, now).await?;
        }
        self.release_roots(now).await?;
        self.forget_retired();
        self.prune().await
    }

    /// The record after the step that is due now.
    async fn next_step(&mut self, now: SystemTime) -> Result<Option<Record>, CaError> {
        if self.record.signers.len() < 2 {
            self.awaited = Awaited::default();
            return Ok(None);
        }
        let Some((seen, step)) = self.look_if_allowed().await? else {
            return Ok(None);
        };
        let evidence = seen.evidence(self);
        let record = match step {
            None => {
                debug!(waits_for = ?rotation::activation_obstacles(&self.record, &evidence), "no step is due");
                return Ok(None);
            }
            Some(Step::Distribute) => self.record.distribute(now)?,
            Some(Step::Activate) => self.record.activate(&evidence, None, now)?,
            Some(Step::Retire(issuer)) => self.record.retire(&issuer, &evidence, None, now)?,
        };
        Ok(Some(record))
    }

    /// Our own issuer is renewed at a third of its life left, our own root well before its leaves would be cut short.
    pub(super) async fn renew_self_signed(&mut self, now: SystemTime) -> Result<(), CaError> {
        let elapsed = self.started.elapsed();
        let is_put_off = self.record.renewal_put_off.is_some_and(|until| now < until);
        if self.record.next.is_some() || is_put_off || self.renewal_patience.holds_at(elapsed) {
            return Ok(());
        }
        let renewed = self.renew_what_is_due(now).await;
        self.renewal_patience.note(&renewed, elapsed);
        renewed
    }

    async fn renew_what_is_due(&mut self, now: SystemTime) -> Result<(), CaError> {
        let active = self.authority.current();
        let (data_dir, domain) = (&self.settings.data_dir, &self.settings.trust_domain);
        let limits = self.settings.limits;
        let made = if self_signed::root_renewal_due(&active, limits.max_ttl, now) {
            info!("the self-signed root grows old: a new one is brought in");
            self_signed::make_root(data_dir, domain, now, &SystemEntropy)?
        } else if self_signed::issuer_renewal_due(&active, now) {
            info!("the self-signed issuing CA grows old: a new one is made under the same root");
            self_signed::make_issuer(data_dir, domain, now, &SystemEntropy)?
        } else {
            return Ok(());
        };
        self.introduce(made, true, now).await
    }

    /// Until when somebody who polls the SPIFFE bundle may not know its newest root.
    fn hints_until(&self) -> Option<SystemTime> {
        let changed_at = self.trust_bundle.newest_root_since()?;
        self.polls.hints_until(changed_at, self.gate_time.now())
    }

    /// What ended before is dead on every clock: not by the wall clock, which may have been set forward, and not
    /// without the margin that gates allow for slow clocks.
    pub(super) fn alive_since(&self) -> SystemTime {
        let margin = self.settings.limits.backdating + Duration::from_secs(1);
        let now = self.gate_time.now();
        now.checked_sub(margin).unwrap_or(now)
    }

    /// Takes one look at everything that gates go by.
    pub(super) async fn see(&self) -> Result<Seen, CaError> {
        let limits = self.settings.limits;
        let promises = Promises::of(&self.ledger, &self.settings.data_dir, limits.max_ttl).await?;
        Ok(Seen {
            holdings: self.ledger.holdings(self.alive_since()).await?,
            since: self.trust_bundle.since(),
            crl_since: self.trust_bundle.crl_since(),
            promises,
        })
    }
}

/// What gates go by, at one moment.
pub(super) struct Seen {
    pub(super) holdings: Vec<Holding>,
    pub(super) since: std::collections::HashMap<Fingerprint, u64>,
    crl_since: Option<std::collections::HashMap<Fingerprint, u64>>,
    pub(super) promises: Promises,
}

impl Seen {
    pub(super) fn evidence<'a>(&'a self, conductor: &'a Conductor) -> Evidence<'a> {
        Evidence {
            now: conductor.gate_time.now(),
            bundle: conductor.trust_bundle.sequence(),
            since: &self.since,
            crl_since: self.crl_since.as_ref(),
            crl_free_since: conductor.trust_bundle.crl_free_since(),
            holdings: &self.holdings,
            unrecorded_until: self.promises.unrecorded_until,
            hints_until: conductor.hints_until(),
            listed_roots: &[],
            next_is_here: conductor.has_key_of_next(),
            limits: conductor.settings.limits,
        }
    }
}

/// More than a rotation has: each of them is taken once.
const MOST_STEPS: usize = 16;
