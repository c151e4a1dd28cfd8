//! How is it put together? Commands in, the house built, an exit status out.

mod announce;
mod aside;
mod background;
mod bundle_check;
mod bundle_create;
mod ca;
mod conductor;
mod control;
mod doors;
mod error;
mod federation;
mod house;
mod lists;
mod operator;
mod promises;
mod readiness;
mod report;
mod serve;
mod serving;
mod watcher;

use std::error::Error;
use std::io::Write as _;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::runtime::Runtime;

use crate::cli;
use crate::cli::Command;

pub use self::ca::CaError;
pub use self::conductor::NotAdmitted;
pub use self::error::ServeError;
pub use self::serving::ServingError;

/// Runs one command. Answers the exit status: 0 done, 1 could not, and what checks grade by.
#[must_use]
pub fn run(command: Command) -> u8 {
    // rustls and its users find ring here whatever else is in the tree.
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let status = obey(command, &runtime);
    // Whatever matters was awaited; a file that is read from a mount that is gone may never end.
    runtime.shutdown_timeout(LAST_READS);
    status
}

fn obey(command: Command, runtime: &Runtime) -> u8 {
    match command {
        Command::Serve(options) => exit(runtime.block_on(serve::serve(&options))),
        Command::Bundle(cli::Bundle::Check(options)) => match bundle_check::check(&options) {
            Ok(grade) => grade,
            Err(error) => failed(&error),
        },
        Command::Bundle(cli::Bundle::Create(command)) => exit(bundle_create::create(&command)),
        Command::Bundle(cli::Bundle::Import(options)) => exit(bundle_create::import(&options)),
        Command::Token(command) => exit(runtime.block_on(operator::token(command))),
        Command::Certs(command) => exit(runtime.block_on(operator::certs(command))),
        Command::Status(options) => match runtime.block_on(operator::status(options)) {
            Ok(true) => 0,
            Ok(false) => NOT_READY,
            Err(error) => failed(&error),
        },
        Command::Rotate(command) => exit(runtime.block_on(operator::rotate(command))),
        Command::Reload(options) => match runtime.block_on(operator::reload(options)) {
            Ok(true) => 0,
            Ok(false) => 1,
            Err(error) => failed(&error),
        },
        Command::Backup(options) => exit(runtime.block_on(operator::backup(options))),
        Command::Restore(options) => exit(operator::restore(&options)),
    }
}

fn exit<E: Error>(outcome: Result<(), E>) -> u8 {
    match outcome {
        Ok(()) => 0,
        Err(error) => failed(&error),
    }
}

/// Prints `error` and what it came from, each cause once.
fn failed(error: &dyn Error) -> u8 {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    let _closed_terminal = writeln!(std::io::stderr(), "error: {text}");
    1
}

/// What `status` exits with when the server runs but could not issue now.
const NOT_READY: u8 = 4;
/// How long threads are waited for that nobody waits for any more.
const LAST_READS: Duration = Duration::from_secs(1);
