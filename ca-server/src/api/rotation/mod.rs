//! What may an operator ask of a rotation? The rotation calls of `signet.v1.AdminService`, and their refusals.

mod message;
mod obstacle;

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use proto::signet;
use tonic::Status;
use tracing::info;

use super::admin::Admin;
use super::messages;
use crate::rotation::Command;
use crate::rotation::Forced;
use crate::rotation::Report;

pub use self::message::status_message;

/// Does what operators ask for. Whoever drives the rotation knows; this room does not.
#[tonic::async_trait]
pub trait RotationControl: Send + Sync {
    /// Does `command` and says how things stand then; with `dry_run`, how they would, and changes nothing.
    ///
    /// # Errors
    /// When it is not allowed, and nothing was changed; or when it could not be done, or not all of it: what was
    /// persisted of it is done as soon as it can be.
    async fn ask(&self, command: Command, dry_run: bool) -> Result<Report, ControlError>;
}

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The rotation does not allow it.
    #[error("{why}")]
    Refused {
        /// What was expected, what is the case, and what to do.
        why: String,
    },
    /// It could not be done.
    #[error("{why}")]
    Unavailable {
        /// What went wrong.
        why: String,
    },
}

impl From<ControlError> for Status {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Refused { why } => Self::failed_precondition(why),
            ControlError::Unavailable { why } => Self::unavailable(why),
        }
    }
}

impl Admin {
    pub(super) async fn ask_rotation(
        &self,
        command: Command,
        dry_run: bool,
    ) -> Result<signet::RotationStatus, Status> {
        let changes = command != Command::Report && !dry_run;
        let what = format!("{command:?}");
        let answer = self.rotation.ask(command, dry_run).await;
        if changes {
            info!(
                command = what,
                done = answer.is_ok(),
                "asked by an operator"
            );
        }
        Ok(status_message(&answer?, self.clock.now()))
    }

    pub(super) async fn report_rotation(
        &self,
        request: signet::GetRotationRequest,
    ) -> Result<signet::RotationStatus, Status> {
        let renew_within = renew_within(request.renew_within)?;
        let mut report = self.rotation.ask(Command::Report, false).await?;
        if let Some(within) = renew_within {
            report.plan = report.plan.map(|plan| plan.within(within));
        }
        Ok(status_message(&report, self.clock.now()))
    }

    pub(super) async fn start_rotation_of(
        &self,
        request: signet::StartRotationRequest,
    ) -> Result<signet::RotationStatus, Status> {
        let command = Command::Start {
            auto: request.auto,
            renew_within: renew_within(request.renew_within)?,
        };
        self.ask_rotation(command, request.dry_run).await
    }

    pub(super) async fn activate_of(
        &self,
        request: signet::ActivateSignerRequest,
    ) -> Result<signet::RotationStatus, Status> {
        let force = forced(request.force)?;
        self.ask_rotation(Command::Activate { force }, request.dry_run)
            .await
    }

    pub(super) async fn retire_of(
        &self,
        request: signet::RetireSignerRequest,
    ) -> Result<signet::RotationStatus, Status> {
        let issuer = match request.fingerprint.as_str() {
            "" => None,
            text => Some(fingerprint(text)?),
        };
        let force = forced(request.force)?;
        self.ask_rotation(Command::Retire { issuer, force }, request.dry_run)
            .await
    }

    pub(super) async fn taint_of(
        &self,
        request: signet::TaintSignerRequest,
    ) -> Result<signet::RotationStatus, Status> {
        let command = taint(&request, self.clock.now())?;
        self.ask_rotation(command, request.dry_run).await
    }
}

fn taint(request: &signet::TaintSignerRequest, now: SystemTime) -> Result<Command, Status> {
    let deadline = match request.deadline {
        None => None,
        Some(deadline) => {
            let date = messages::time(deadline).filter(|date| *date > now);
            Some(date.ok_or_else(|| {
                Status::invalid_argument(
                    "the deadline is over: give one in the future, or `retire --force` to drop the signer now",
                )
            })?)
        }
    };
    Ok(Command::Taint {
        issuer: fingerprint(&request.fingerprint)?,
        deadline,
        renew_within: renew_within(request.renew_within)?,
    })
}

fn forced(force: Option<signet::Force>) -> Result<Option<Forced>, Status> {
    let Some(force) = force else {
        return Ok(None);
    };
    let reason = force.reason.trim();
    let is_line =
        !reason.is_empty() && reason.len() <= REASON && !reason.contains(char::is_control);
    if !is_line {
        return Err(Status::invalid_argument(format!(
            "forcing takes a reason of one line and at most {REASON} bytes: it is kept in the journal"
        )));
    }
    Ok(Some(Forced {
        fingerprint: fingerprint(&force.fingerprint)?,
        reason: reason.to_owned(),
    }))
}

fn fingerprint(text: &str) -> Result<Fingerprint, Status> {
    text.parse().map_err(|_not_hex| {
        Status::invalid_argument(format!(
            "{text:?} is not the SHA-256 of an issuing certificate: `rotate status` lists them"
        ))
    })
}

fn renew_within(within: Option<prost_types::Duration>) -> Result<Option<Duration>, Status> {
    let Some(within) = within else {
        return Ok(None);
    };
    let within = messages::duration(within).filter(|within| *within >= SHORTEST);
    within
        .map(Some)
        .ok_or_else(|| Status::invalid_argument("--renew-within takes a second at least"))
}

const REASON: usize = 512;
const SHORTEST: Duration = Duration::from_secs(1);
