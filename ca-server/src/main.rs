//! `ca-server`: settings in, exit status out.

use std::process::ExitCode;

use ca_server::app;
use ca_server::cli;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(cli) => ExitCode::from(app::run(cli.command)),
        Err(error) => ExitCode::from(error.report()),
    }
}
