//! `ca-server serve`: from flags to a running house, and why there may be none.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use super::ca::CaError;
use super::doors;
use super::house::House;
use super::serving::ServingError;
use crate::attest::jwks::JwksError;
use crate::cli;
use crate::cli::Serve;
use crate::config::Config;
use crate::config::ConfigError;
use crate::data_dir::DataDirError;
use crate::telemetry;
use crate::telemetry::LogFormat;
use crate::telemetry::TelemetryError;
use crate::telemetry::metrics::MetricsError;

/// Runs the CA until SIGTERM or SIGINT.
pub(super) async fn serve(options: &Serve) -> Result<(), ServeError> {
    let host_name = gethostname::gethostname().into_string().ok();
    let config = Config::new(options, host_name)?;
    let format = match options.log_format {
        cli::LogFormat::Text => LogFormat::Text,
        cli::LogFormat::Json => LogFormat::Json,
    };
    telemetry::start_logging(format, &options.log_level)?;
    let stop = CancellationToken::new();
    let signals = doors::stop_on_signals(&stop)?;
    let house = House::build(config, stop).await?;
    house.serve().await?;
    signals.abort();
    Ok(())
}

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The operators' socket cannot be listened on.
    #[error("cannot listen on {}: {source}", path.display())]
    BindAdmin {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// There is no authority or no ledger.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The settings do not fit together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The system refused something basic.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// An issuer's keys cannot be read.
    #[error("--issuers: {0}")]
    Jwks(#[from] JwksError),
    /// A metric could not be registered.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// gRPC reflection could not be built.
    #[error(transparent)]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The listener got no certificate.
    #[error("no serving certificate: {0}")]
    Serving(#[from] ServingError),
    /// Logging did not start.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}
