//! When does the CA bring a self-signed signer of its own? When an operator says so, when a key is stolen, and when
//! operators take their files away.

use std::time::SystemTime;

use super::super::ca::CaError;
use super::Conductor;
use super::manner::Manner;
use super::manner::Wish;
use super::patience::Patience;
use crate::authority::Generation;
use crate::authority::Source;
use crate::authority::self_signed;
use crate::rotation::Origin;
use crate::rotation::Record;
use crate::rotation::Signer;
use crate::x509::SystemEntropy;

impl Conductor {
    /// Begins a rotation to a new self-signed root.
    pub(super) async fn start_self_signed(
        &mut self,
        manner: Manner,
        now: SystemTime,
    ) -> Result<(), CaError> {
        self.check_start()?;
        let made = self.make_root(now)?;
        let started = self.start_with(&made, manner, now).await;
        if started.is_err() {
            self.discard(&made);
        }
        started
    }

    async fn start_with(
        &mut self,
        made: &Generation,
        manner: Manner,
        now: SystemTime,
    ) -> Result<(), CaError> {
        // In one step, so that no crash leaves a signer that nobody was told to trust: trusting more harms nobody.
        let record = &self.record;
        let record = record.introduce(self.admit(made, now)?, manner.auto, now)?;
        let record = manner.begin(record.distribute(now)?, now)?;
        let record = self.still_given_up(record);
        self.signers.put(made.clone());
        self.commit(record, now).await
    }

    /// Files that were given up stay so, whoever else comes.
    pub(super) fn still_given_up(&self, record: Record) -> Record {
        let aborted = self.record.aborted.clone();
        Record { aborted, ..record }
    }

    /// Whether a new self-signed root may be brought in now, or what was given up begin again.
    pub(super) fn check_start(&self) -> Result<(), CaError> {
        let active = self.authority.current();
        let is_plugged_in = matches!(active.source(), Source::PluggedIn { .. });
        if is_plugged_in && !self.is_given_up() {
            let dir = self.settings.root_ca_dir.clone();
            return Err(CaError::BringFiles { dir });
        }
        match self.record.next {
            Some(next) => Err(CaError::UnderWay { next }),
            None => Ok(()),
        }
    }

    /// Whether a start begins again what an operator turned away from in the directory.
    pub(super) fn resumes(&self) -> bool {
        let active = self.authority.current();
        let is_plugged_in = matches!(active.source(), Source::PluggedIn { .. });
        is_plugged_in && self.record.next.is_none() && self.is_given_up()
    }

    /// What is in the directory counts again: the look that follows begins, in that `manner`.
    pub(super) async fn resume(&mut self, manner: Manner, now: SystemTime) -> Result<(), CaError> {
        let mark = self.record.aborted.clone();
        self.directory.wish = mark.map(|mark| Wish { mark, manner });
        let record = Record {
            aborted: None,
            ..self.record.clone()
        };
        self.removal_patience = Patience::default();
        self.commit(record, now).await
    }

    /// Puts `record` in force, in which a signer was tainted. With a stolen key in use and nobody to give way to, a
    /// self-signed CA brings a new root by itself; in the same step, so that no agent is left without a way to the CA.
    pub(super) async fn turn_away(
        &mut self,
        record: Record,
        now: SystemTime,
    ) -> Result<(), CaError> {
        let is_ours = |active: &Signer| active.origin == Origin::SelfSigned;
        let is_stolen = |active: &Signer| active.tainted.is_some() && is_ours(active);
        let needs_root = record.next.is_none() && record.active_signer().is_some_and(is_stolen);
        if !needs_root {
            return self.commit(record, now).await;
        }
        let made = self.make_root(now)?;
        let turned = self.turn_to(&made, &record, now).await;
        if turned.is_err() {
            self.discard(&made);
        }
        turned
    }

    async fn turn_to(
        &mut self,
        made: &Generation,
        record: &Record,
        now: SystemTime,
    ) -> Result<(), CaError> {
        let record = record.introduce(self.admit(made, now)?, true, now)?;
        let record = self.still_given_up(record.distribute(now)?);
        self.signers.put(made.clone());
        self.commit(record, now).await
    }

    /// Another self-signed root, which nobody has heard of yet.
    pub(super) fn make_root(&self, now: SystemTime) -> Result<Generation, CaError> {
        let (data_dir, domain) = (&self.settings.data_dir, &self.settings.trust_domain);
        Ok(self_signed::make_root(
            data_dir,
            domain,
            now,
            &SystemEntropy,
        )?)
    }

    pub(super) async fn go_self_signed(&mut self, now: SystemTime) -> Result<(), CaError> {
        let active = self.record.active_signer();
        if active.is_some_and(|signer| signer.origin == Origin::SelfSigned) {
            let record = self.record.abort(None, now)?;
            return self.commit(record, now).await;
        }
        let generation = self.dormant_or_new_root(now)?;
        let manner = self.directory.manner();
        self.introduce_in(generation, manner, now).await
    }

    fn dormant_or_new_root(&mut self, now: SystemTime) -> Result<Generation, CaError> {
        let held = self
            .record
            .signers
            .iter()
            .rev()
            .find(|signer| signer.origin == Origin::SelfSigned && signer.tainted.is_none());
        let held = held.and_then(|signer| self.signers.get(&signer.issuer));
        if let Some(held) = held {
            return Ok(held.as_ref().clone());
        }
        self.make_root(now)
    }
}
