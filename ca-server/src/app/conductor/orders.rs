//! What may be asked of the conductor? Looks, timers, and what operators want.

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use tokio::sync::oneshot;
use tracing::warn;

use super::super::ca::CaError;
use super::super::report;
use super::Conductor;
use super::directory::DirectoryFigures;
use super::upkeep::Seen;
use crate::authority::Source;
use crate::authority::self_signed;
use crate::rotation;
use crate::rotation::Evidence;
use crate::rotation::Forced;
use crate::rotation::Gate;
use crate::rotation::Phase;
use crate::rotation::Record;
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

/// What an operator may want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) enum Command {
    /// Nothing but the report.
    Report,
    /// Read the operator's directory again, now.
    Reload,
    /// Replace the self-signed root.
    Start {
        auto: bool,
        renew_within: Option<Duration>,
    },
    /// Sign with the next signer.
    Activate { force: Option<Forced> },
    /// Let a signer go.
    Retire {
        issuer: Option<Fingerprint>,
        force: Option<Forced>,
    },
    /// Stay with the signer that is active.
    Abort,
    /// A key is compromised.
    Taint {
        issuer: Fingerprint,
        deadline: Option<SystemTime>,
        renew_within: Option<Duration>,
    },
}

/// How things stand.
#[derive(Clone, Debug)]
pub(in crate::app) struct Report {
    pub(in crate::app) record: Record,
    pub(in crate::app) bundle_number: u64,
    /// May the next signer sign? `None` where there is none.
    pub(in crate::app) activate: Option<Gate>,
    /// May it go? For each signer that drains.
    pub(in crate::app) retire: Vec<(Fingerprint, Gate)>,
    pub(in crate::app) directory: DirectoryFigures,
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
        let seen = self.see(now).await?;
        if dry_run {
            let record = self.after(command, &seen, now)?;
            return Ok(self.report(&record, &seen.evidence(self)));
        }
        match command {
            Command::Report => {}
            Command::Reload => self.look(now).await?,
            Command::Start { auto, renew_within } => {
                self.start_self_signed(*auto, *renew_within, now).await?;
            }
            Command::Taint { issuer, .. } => {
                let record = self.after(command, &seen, now)?;
                self.commit(record, now).await?;
                self.replace_tainted(*issuer, now).await?;
            }
            Command::Activate { .. } | Command::Retire { .. } | Command::Abort => {
                let record = self.after(command, &seen, now)?;
                self.commit(record, now).await?;
            }
        }
        self.bring_up_to_date(now).await?;
        let seen = self.see(now).await?;
        Ok(self.report(&self.record, &seen.evidence(self)))
    }

    /// The record after `command`, as far as that needs no new keys.
    fn after(&self, command: &Command, seen: &Seen, now: SystemTime) -> Result<Record, CaError> {
        let evidence = seen.evidence(self);
        let record = &self.record;
        Ok(match command {
            Command::Report | Command::Reload | Command::Start { .. } => record.clone(),
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
        let active = self.authority.current();
        if matches!(active.source(), Source::PluggedIn { .. }) {
            let dir = self.settings.root_ca_dir.clone();
            return Err(CaError::BringFiles { dir });
        }
        if let Some(next) = self.record.next {
            return Err(CaError::UnderWay { next });
        }
        let (data_dir, domain) = (&self.settings.data_dir, &self.settings.trust_domain);
        let made = self_signed::make_root(data_dir, domain, now, &SystemEntropy)?;
        self.introduce(made, auto, now).await?;
        match renew_within {
            Some(within) => self.commit(self.record.hasten(within, now), now).await,
            None => Ok(()),
        }
    }

    /// With a tainted key in use and nobody to give way to, a self-signed CA brings a new root by itself.
    async fn replace_tainted(
        &mut self,
        issuer: Fingerprint,
        now: SystemTime,
    ) -> Result<(), CaError> {
        let is_alone = self.record.active == issuer && self.record.next.is_none();
        if !is_alone || matches!(self.authority.current().source(), Source::PluggedIn { .. }) {
            return Ok(());
        }
        let (data_dir, domain) = (&self.settings.data_dir, &self.settings.trust_domain);
        let made = self_signed::make_root(data_dir, domain, now, &SystemEntropy)?;
        self.introduce(made, true, now).await
    }

    fn report(&self, record: &Record, evidence: &Evidence<'_>) -> Report {
        let draining = record.draining();
        Report {
            record: record.clone(),
            bundle_number: evidence.bundle,
            activate: record
                .next
                .map(|_next| rotation::activate(record, evidence)),
            retire: draining
                .map(|signer| {
                    let gate = rotation::retire(record, &signer.issuer, evidence);
                    (signer.issuer, gate)
                })
                .collect(),
            directory: self.directory.figures(),
        }
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
