//! `ca-server rotate plan|start|status|activate|retire|abort|taint` and `ca-server reload`

mod files;
mod people;
mod view;

use std::io;
use std::io::IsTerminal as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use proto::signet::AbortRotationRequest;
use proto::signet::ActivateSignerRequest;
use proto::signet::Force;
use proto::signet::GetRotationRequest;
use proto::signet::ReloadRequest;
use proto::signet::RetireSignerRequest;
use proto::signet::RotationStatus;
use proto::signet::StartRotationRequest;
use proto::signet::TaintSignerRequest;

use super::OperatorError;
use super::connect;
use super::output;
use crate::cli;
use crate::cli::Output;
use crate::clock::Clock as _;
use crate::clock::SystemClock;

pub(super) use self::files::stored_lines;
pub(super) use self::people::directory_lines;
pub(super) use self::people::warning_lines;

/// Runs one `rotate` command.
pub(in crate::app) async fn rotate(command: cli::Rotate) -> Result<(), OperatorError> {
    match command {
        cli::Rotate::Plan(options) => plan(options).await,
        cli::Rotate::Start(options) => start(options).await,
        cli::Rotate::Status(options) => status(options).await,
        cli::Rotate::Activate(options) => activate(options).await,
        cli::Rotate::Retire(options) => retire(options).await,
        cli::Rotate::Abort(options) => abort(options).await,
        cli::Rotate::Taint(options) => taint(options).await,
    }
}

/// Has the operator's directory read. Answers whether what is there is loaded.
pub(in crate::app) async fn reload(options: cli::Reload) -> Result<bool, OperatorError> {
    let mut client = connect(&options.operator.data_dir).await?;
    let request = ReloadRequest { dry_run: false };
    let status = client.reload(request).await?.into_inner();
    let directory = status.directory.unwrap_or_default();
    match options.operator.output {
        Output::Json => output::json(&view::Directory::from(directory.clone()))?,
        Output::Table => output::lines(&directory_lines(&directory))?,
    }
    Ok(directory.failure.is_empty())
}

async fn plan(options: cli::RotatePlan) -> Result<(), OperatorError> {
    let status = ask(&options.operator.data_dir, options.renew_within).await?;
    print_plan(&status, options.operator.output)
}

async fn start(options: cli::RotateStart) -> Result<(), OperatorError> {
    let mut client = connect(&options.operator.data_dir).await?;
    let request = StartRotationRequest {
        auto: options.auto,
        renew_within: options.renew_within.and_then(wire),
        dry_run: options.dry_run,
    };
    let status = client.start_rotation(request).await?.into_inner();
    if !options.dry_run {
        return print_done(&status, false, options.operator.output);
    }
    // A root that is not made yet can only be planned for.
    let status = ask(&options.operator.data_dir, options.renew_within).await?;
    print_plan(&status, options.operator.output)
}

async fn status(options: cli::RotateStatus) -> Result<(), OperatorError> {
    let operator = &options.operator;
    loop {
        let (status, is_running) = match ask(&operator.data_dir, None).await {
            Ok(status) => (status, true),
            Err(OperatorError::NotRunning { socket, source }) => {
                let stored = files::stored(&operator.data_dir, SystemClock.now())?;
                let status = stored.ok_or(OperatorError::NotRunning { socket, source })?;
                (status, false)
            }
            Err(error) => return Err(error),
        };
        if options.watch && io::stdout().is_terminal() {
            io::stdout().lock().write_all(CLEAR)?;
        }
        match operator.output {
            Output::Json => output::json(&view::Status::of(status, is_running))?,
            Output::Table => output::lines(&people::status_lines(&status, is_running))?,
        }
        if !options.watch {
            return Ok(());
        }
        tokio::time::sleep(PACE).await;
    }
}

async fn activate(options: cli::RotateActivate) -> Result<(), OperatorError> {
    let data_dir = &options.operator.data_dir;
    let force = force(options.force);
    if force.is_some() {
        let before = ask(data_dir, None).await?;
        let step = before.steps.iter().find(|step| step.step == "activate");
        warn(&people::breaks_by_step(step))?;
    }
    let mut client = connect(data_dir).await?;
    let request = ActivateSignerRequest {
        force,
        dry_run: options.dry_run,
    };
    let status = client.activate_signer(request).await?.into_inner();
    print_done(&status, options.dry_run, options.operator.output)
}

async fn retire(options: cli::RotateRetire) -> Result<(), OperatorError> {
    let data_dir = &options.operator.data_dir;
    let named = options.fingerprint.or(options.force.force);
    let named = named.map_or_else(String::new, |named| named.to_string());
    let force = force(options.force);
    if let Some(force) = &force {
        let before = ask(data_dir, None).await?;
        let mut steps = before.steps.iter();
        let step = steps.find(|step| step.step == "retire" && step.issuer == force.fingerprint);
        warn(&people::breaks_by_step(step))?;
    }
    let mut client = connect(data_dir).await?;
    let request = RetireSignerRequest {
        fingerprint: named,
        force,
        dry_run: options.dry_run,
    };
    let status = client.retire_signer(request).await?.into_inner();
    print_done(&status, options.dry_run, options.operator.output)
}

async fn abort(options: cli::RotateAbort) -> Result<(), OperatorError> {
    let mut client = connect(&options.operator.data_dir).await?;
    let request = AbortRotationRequest {
        dry_run: options.dry_run,
    };
    let status = client.abort_rotation(request).await?.into_inner();
    print_done(&status, options.dry_run, options.operator.output)
}

async fn taint(options: cli::RotateTaint) -> Result<(), OperatorError> {
    let data_dir = &options.operator.data_dir;
    let fingerprint = options.fingerprint.to_string();
    let deadline = match options.deadline {
        None => None,
        Some(deadline) => Some(
            deadline
                .after(SystemClock.now())
                .ok_or(OperatorError::FarDeadline)?,
        ),
    };
    if let Some(deadline) = deadline {
        let before = ask(data_dir, None).await?;
        let signer = before.signers.iter().find(|one| one.issuer == fingerprint);
        warn(&people::breaks_by_deadline(signer, deadline))?;
    }
    let mut client = connect(data_dir).await?;
    let request = TaintSignerRequest {
        fingerprint,
        deadline: deadline.map(Into::into),
        renew_within: options.renew_within.and_then(wire),
        dry_run: options.dry_run,
    };
    let status = client.taint_signer(request).await?.into_inner();
    print_done(&status, options.dry_run, options.operator.output)
}

async fn ask(
    data_dir: &Path,
    renew_within: Option<Duration>,
) -> Result<RotationStatus, OperatorError> {
    let mut client = connect(data_dir).await?;
    let request = GetRotationRequest {
        renew_within: renew_within.and_then(wire),
    };
    Ok(client.get_rotation(request).await?.into_inner())
}

fn print_done(status: &RotationStatus, dry_run: bool, format: Output) -> Result<(), OperatorError> {
    if format == Output::Json {
        let view = view::Status::of(status.clone(), true);
        return Ok(output::json(&view)?);
    }
    if dry_run {
        output::line("dry run, nothing was changed; this is how it would be:")?;
    }
    Ok(output::lines(&people::status_lines(status, true))?)
}

fn print_plan(status: &RotationStatus, format: Output) -> Result<(), OperatorError> {
    match format {
        Output::Json => {
            let plan = status.plan.clone().unwrap_or_default();
            output::json(&view::Plan::from(plan))?;
        }
        Output::Table => output::lines(&people::plan_lines(status))?,
    }
    Ok(())
}

/// Who breaks is said before it is done, and not among what programs read.
fn warn(lines: &[String]) -> io::Result<()> {
    let mut err = io::stderr().lock();
    lines.iter().try_for_each(|line| writeln!(err, "{line}"))
}

fn force(args: cli::ForceArgs) -> Option<Force> {
    let fingerprint: Fingerprint = args.force?;
    Some(Force {
        fingerprint: fingerprint.to_string(),
        reason: args.reason.unwrap_or_default(),
    })
}

fn wire(duration: Duration) -> Option<prost_types::Duration> {
    duration.try_into().ok()
}

fn time(timestamp: Option<prost_types::Timestamp>) -> Option<SystemTime> {
    timestamp.and_then(|timestamp| timestamp.try_into().ok())
}

/// ANSI: clear the screen, go to its first corner.
const CLEAR: &[u8] = b"\x1b[2J\x1b[H";
const PACE: Duration = Duration::from_secs(1);
