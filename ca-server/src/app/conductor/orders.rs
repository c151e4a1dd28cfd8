//! What may be asked of the conductor? Looks, timers, and what operators want.

use std::time::SystemTime;

use proto::certificate::Fingerprint;
use tokio::sync::oneshot;

use super::super::ca::CaError;
use super::super::lists;
use super::Conductor;
use super::manner::Manner;
use super::upkeep::Seen;
use crate::rotation::Command;
use crate::rotation::Phase;
use crate::rotation::Record;
use crate::rotation::Report;

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

impl Asked {
    fn is_start(&self) -> bool {
        matches!(self.command, Command::Start { .. }) && !self.dry_run
    }

    fn manner(&self) -> Manner {
        match self.command {
            Command::Start { auto, renew_within } => Manner { auto, renew_within },
            _ => Manner::BY_ITSELF,
        }
    }
}

impl Conductor {
    pub(super) async fn obey(&mut self, order: Order, now: SystemTime) {
        match order {
            Order::Tick => {}
            Order::Look => self.begin_look(None, now).await,
            Order::Asked(asked) if asked.command == Command::Reload && !asked.dry_run => {
                self.begin_look(Some(asked), now).await;
            }
            Order::Asked(asked) if asked.is_start() && self.resumes() => {
                match self.resume(asked.manner(), now).await {
                    Ok(()) => self.begin_look(Some(asked), now).await,
                    Err(error) => drop(asked.answer.send(Err(error))),
                }
            }
            Order::Asked(asked) => {
                let answer = self.answer(&asked.command, asked.dry_run, now).await;
                // Whoever asked may have gone away.
                drop(asked.answer.send(answer));
            }
        }
    }

    /// What a `Reload` asks for was done before it is answered.
    pub(super) async fn answer(
        &mut self,
        command: &Command,
        dry_run: bool,
        now: SystemTime,
    ) -> Result<Report, CaError> {
        if *command != Command::Report && self.unfinished {
            // Gates are asked about what is in force, not about what is to be.
            self.enact(now).await?;
        }
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
        if dry_run {
            let seen = self.see().await?;
            let record = self.after(command, &seen, now)?;
            return Ok(self.report(&record, &seen, now));
        }
        match command {
            Command::Report | Command::Reload => {}
            Command::Start { auto, renew_within } => {
                let (auto, renew_within) = (*auto, *renew_within);
                self.start_self_signed(Manner { auto, renew_within }, now)
                    .await?;
            }
            Command::Taint { .. } => {
                let record = self.after(command, &self.see().await?, now)?;
                self.turn_away(record, now).await?;
            }
            Command::Activate { .. } | Command::Retire { .. } => {
                let record = self.after(command, &self.see().await?, now)?;
                self.commit(record, now).await?;
            }
            Command::Abort => {
                let record = self.after(command, &self.see().await?, now)?;
                self.commit(record, now).await?;
                if self.is_given_up() {
                    self.note_given_up();
                }
            }
        }
        let done = self.bring_up_to_date(now).await;
        // Whoever asks how things stand is answered also when something cannot be done: it is tried again, and logged.
        if *command != Command::Report {
            done?;
        }
        let seen = self.see().await?;
        Ok(self.report(&self.record, &seen, now))
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
            Command::Abort => record.abort(self.mark_of_what_waits(), now)?,
            Command::Taint {
                issuer,
                deadline,
                renew_within,
            } => {
                let loaded: Vec<Fingerprint> = self.signers.issuers().collect();
                record.taint(issuer, (*deadline, *renew_within), &loaded, now)?
            }
        })
    }

    fn report(&self, record: &Record, seen: &Seen, now: SystemTime) -> Report {
        let settings = &self.settings;
        let longest = settings.rotation_ttl.min(settings.limits.max_ttl);
        let longest = record.renew_within.unwrap_or(longest).min(longest);
        let (evidence, directory) = (seen.evidence(self), self.directory.figures());
        Report {
            warnings: lists::warnings(&self.authority.current(), now),
            ..Report::of(record, &evidence, longest, directory)
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
