//! `ca-server serve`: from flags to a running house.

use tokio_util::sync::CancellationToken;

use super::doors;
use super::error::ServeError;
use super::house::House;
use crate::cli;
use crate::cli::Serve;
use crate::config::Config;
use crate::telemetry;
use crate::telemetry::LogFormat;

/// Runs the CA until SIGTERM or SIGINT.
pub(super) async fn serve(options: &Serve) -> Result<(), ServeError> {
    let host_name = gethostname::gethostname().into_string().ok();
    let config = Config::new(options, host_name)?;
    let format = match options.log_format {
        cli::LogFormat::Text => LogFormat::Text,
        cli::LogFormat::Json => LogFormat::Json,
    };
    telemetry::start_logging(format, &options.log_level)?;
    doors::raise_file_limit();
    let stop = CancellationToken::new();
    let signals = doors::stop_on_signals(&stop)?;
    let (house, conductor) = House::build(config, stop).await?;
    house.serve(conductor).await?;
    signals.abort();
    Ok(())
}
