//! `ca-server`: settings in, exit status out.

use std::process::ExitCode;

use ca_server::app;
use ca_server::cli;
#[cfg(feature = "jemalloc")]
use tikv_jemallocator::Jemalloc;

/// Gives memory back to the system when a crowd of agents has left; the C library's allocator keeps most of it.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(cli) => ExitCode::from(app::run(cli.command)),
        Err(error) => ExitCode::from(error.report()),
    }
}
