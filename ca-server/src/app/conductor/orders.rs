//! What may be asked of the conductor? Looks, timers, and what operators want.

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use tokio::sync::oneshot;
use tracing::warn;

use super::super::ca::CaError;
use super::super::report;
use super::Conductor;
use super::upkeep::Seen;
use crate::authority::Source;
use crate::authority::self_signed;
use crate::rotation::Command;
use crate::rotation::Phase;
use crate::rotation::Record;
use crate::rotation::Report;
use crate::x509::SystemEntropy;

/// Something to do.
#[derive(Debug)]
pub(in crate::app) enum Order {
    /// See what is due.
    Tick,
    /// Look at the operator's directory.
    Look,
    /// Do what an operator asks, and say how things stand then.
    Asked(Asked),
}

/// An operator's question, and where the answer goes.
#[derive(Debug)]
pub(in crate::app) struct Asked {
    pub(in crate::app) command: Command,
    /// Only say what would come of it.
    pub(in crate::app) dry_run: bool,
    pub(in crate::app) answer: oneshot::Sender<Result<Report, CaError>>,
}

impl Conductor {
    pub(super) async fn obey(&mut self, order: Order, now: SystemTime) {
        match order {
            Order::Tick => {}
            Order::Look => {
                if let Err(error) = self.look(now).await {
                    warn!(error = %report::chain_of(&error), "the CA bundle could not be taken; trying again");
                }
            }
            Order::Asked(asked) => {
                let answer = self.answer(&asked.command, asked.dry_run, now).await;
                // Whoever asked may have gone away.
                drop(asked.answer.send(answer));
            }
        }
    }

    async fn answer(
        &mut self,
        command: &Command,
        dry_run: bool,
        now: SystemTime,
    ) -> Result<Report, CaError> {
        let before = self.record.clone();
        let answer = self.do_and_report(command, dry_run, now).await;
        answer.map_err(|error| match self.record == before {
            true => error,
            false => CaError::Recorded(Box::new(error)),
        })
    }

    async fn do_and_report(
        &mut self,
        command: &Command,
        dry_run: bool,
        now: SystemTime,
    ) -> Result<Report, CaError> {
        if *command != Command::Report && self.unfinished {
            // Gates are asked about what is in force, not about what is to be.
            self.enact(now).await?;
        }
        if dry_run {
            let seen = self.see().await?;
            let record = self.after(command, &seen, now)?;
            return Ok(self.report(&record, &seen));
        }
        match command {
            Command::Report => {}
            Command::Reload => self.look(now).await?,
            Command::Start { auto, renew_within } => {
                self.start_self_signed(*auto, *renew_within, now).await?;
            }
            Command::Taint { issuer, .. } => {
                let record = self.after(command, &self.see().await?, now)?;
                let record = self.away_from_tainted(*issuer, record, now)?;
                self.commit(record, now).await?;
            }
            Command::Activate { .. } | Command::Retire { .. } | Command::Abort => {
                let record = self.after(command, &self.see().await?, now)?;
                self.commit(record, now).await?;
            }
        }
        let done = self.bring_up_to_date(now).await;
        // Whoever asks how things stand is answered also when something cannot be done: it is tried again, and logged.
        if *command != Command::Report {
            done?;
        }
        let seen = self.see().await?;
        Ok(self.report(&self.record, &seen))
    }

    /// The record after `command`, as far as that needs no new keys.
    fn after(&self, command: &Command, seen: &Seen, now: SystemTime) -> Result<Record, CaError> {
        let evidence = seen.evidence(self);
        let record = &self.record;
        Ok(match command {
            Command::Report | Command::Reload => record.clone(),
            Command::Start { .. } => {
                self.check_start()?;
                record.clone()
            }
            Command::Activate { force } => record.activate(&evidence, force.clone(), now)?,
            Command::Retire { issuer, force } => {
                let first = record.draining().next().map(|signer| signer.issuer);
                let issuer = issuer.or(first).ok_or(CaError::NothingDrains)?;
                record.retire(&issuer, &evidence, force.clone(), now)?
            }
            Command::Abort => {
                let hash = self.directory.on_disk.map(|hash| hash.to_string());
                record.abort(hash, now)?
            }
            Command::Taint {
                issuer,
                deadline,
                renew_within,
            } => record.taint(issuer, *deadline, *renew_within, now)?,
        })
    }

    async fn start_self_signed(
        &mut self,
        auto: bool,
        renew_within: Option<Duration>,
        now: SystemTime,
    ) -> Result<(), CaError> {
        self.check_start()?;
        let (data_dir, domain) = (&self.settings.data_dir, &self.settings.trust_domain);
        let made = self_signed::make_root(data_dir, domain, now, &SystemEntropy)?;
        // In one step, so that no crash leaves a signer that nobody was told to trust: trusting more harms nobody.
        let record = self.record.introduce(self.admit(&made, now)?, auto, now)?;
        let record = record.distribute(now)?;
        let record = match renew_within {
            Some(within) => record.hasten(within, now),
            None => record,
        };
        self.signers.put(made);
        self.commit(record, now).await
    }

    /// Whether a new self-signed root may be brought in now.
    fn check_start(&self) -> Result<(), CaError> {
        let active = self.authority.current();
        if matches!(active.source(), Source::PluggedIn { .. }) {
            let dir = self.settings.root_ca_dir.clone();
            return Err(CaError::BringFiles { dir });
        }
        match self.record.next {
            Some(next) => Err(CaError::UnderWay { next }),
            None => Ok(()),
        }
    }

    /// With a tainted key in use and nobody to give way to, a self-signed CA brings a new root by itself; in the same
    /// step, so that no agent is told to distrust the one root that it knows.
    fn away_from_tainted(
        &mut self,
        issuer: Fingerprint,
        record: Record,
        now: SystemTime,
    ) -> Result<Record, CaError> {
        let is_alone = record.active == issuer && record.next.is_none();
        if !is_alone || matches!(self.authority.current().source(), Source::PluggedIn { .. }) {
            return Ok(record);
        }
        let (data_dir, domain) = (&self.settings.data_dir, &self.settings.trust_domain);
        let made = self_signed::make_root(data_dir, domain, now, &SystemEntropy)?;
        let record = record.introduce(self.admit(&made, now)?, true, now)?;
        self.signers.put(made);
        Ok(record.distribute(now)?)
    }

    fn report(&self, record: &Record, seen: &Seen) -> Report {
        let settings = &self.settings;
        let longest = settings.rotation_ttl.min(settings.limits.max_ttl);
        let longest = record.renew_within.unwrap_or(longest).min(longest);
        // It names everybody who is waited for: others are served meanwhile, on other threads.
        tokio::task::block_in_place(|| {
            let (evidence, directory) = (seen.evidence(self), self.directory.figures());
            Report::of(record, &evidence, longest, directory)
        })
    }
}

/// How a phase is called.
pub(in crate::app) fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Steady => "steady",
        Phase::Prepare => "prepare",
        Phase::Distribute => "distribute",
        Phase::Drain => "drain",
    }
}
