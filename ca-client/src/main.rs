//! The command `ca-client`: parses, runs, and turns the outcome into an exit code.

mod agent_command;
mod agent_error;
mod agent_sockets;
mod cli;
mod envoy;
mod fetch;
mod input;
mod inspect;
mod mtls_check;
mod node_command;
mod node_file;
mod output;
mod report;
mod status_command;
mod status_table;
mod supervisor;
mod telemetry;
mod trust_choice;
mod verify;

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use ca_client::probe::Grade;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(cli::Command::Fetch(options)) => run(
            options.ca.log_format,
            fetch::run(*options),
            fetch::FetchError::is_usage,
        ),
        Ok(cli::Command::Agent(options)) => run(
            options.ca.log_format,
            agent_command::run(*options),
            agent_error::AgentError::is_usage,
        ),
        Ok(cli::Command::Status(options)) => match status_command::run(&options) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(EXIT_NOT_VALID),
            Err(error) if error.is_usage() => fail(&error, EXIT_USAGE),
            Err(error) => fail(&error, EXIT_FAILED),
        },
        Ok(cli::Command::Verify(options)) => match verify::run(&options, std::io::stdin().lock()) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(EXIT_NOT_VALID),
            Err(error) => fail(&error, EXIT_FAILED),
        },
        Ok(cli::Command::Inspect(options)) => {
            match inspect::run(&options, std::io::stdin().lock()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error, EXIT_FAILED),
            }
        }
        Ok(cli::Command::Mtls(cli::MtlsCommand::Check(options))) => mtls_check(&options),
        Ok(cli::Command::Envoy(options)) => match envoy::run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if error.is_usage() => fail(&error, EXIT_USAGE),
            Err(error) if error.is_refusal() => fail(&error, EXIT_NOT_VALID),
            Err(error) => fail(&error, EXIT_FAILED),
        },
        Err(cli::CliError::Clap(error)) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE);
            // There is nobody left to tell when the terminal is gone.
            drop(error.print());
            ExitCode::from(code)
        }
        Err(error) => fail(&error, EXIT_USAGE),
    }
}

fn run<E: Error>(
    log_format: cli::LogFormat,
    command: impl Future<Output = Result<(), E>>,
    is_usage: impl Fn(&E) -> bool,
) -> ExitCode {
    telemetry::init(log_format);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MOST_FILES)
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(command);
            // A file system that hangs would hold us up for ever otherwise.
            runtime.shutdown_timeout(LAST_WORK);
            outcome
        }
        Err(error) => return fail(&error, EXIT_FAILED),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_usage(&error) => fail(&error, EXIT_USAGE),
        Err(error) => fail(&error, EXIT_FAILED),
    }
}

fn mtls_check(options: &cli::MtlsCheckOptions) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(mtls_check::run(options, std::io::stdin().lock()));
            // A resolver that hangs would hold us up otherwise: it cannot be cancelled.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => return fail(&error, EXIT_FAILED),
    };
    match outcome {
        Ok(Grade::Good) => ExitCode::SUCCESS,
        Ok(Grade::Warning) => ExitCode::from(EXIT_NOT_VALID),
        Ok(Grade::CouldNot) => ExitCode::from(EXIT_FAILED),
        Ok(Grade::Error) => ExitCode::from(EXIT_ERRORS),
        Err(error) => fail(&error, EXIT_FAILED),
    }
}

/// Prints the error and everything that led to it, one per line.
fn fail(error: &dyn Error, code: u8) -> ExitCode {
    let mut text = format!("error: {error}\n");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!("  because: {error}\n"));
        cause = error.source();
    }
    // There is nobody left to tell when the terminal is gone.
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
    ExitCode::from(code)
}

/// That may hang at once, each in a thread of its own, without keeping others waiting: there are some for each workload.
const MOST_FILES: usize = 10_000;
/// For work on files that is going on.
const LAST_WORK: Duration = Duration::from_secs(2);
const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_NOT_VALID: u8 = 3;
const EXIT_ERRORS: u8 = 4;
