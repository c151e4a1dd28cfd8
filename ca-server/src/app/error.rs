//! Why does the server not run?

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::ca::CaError;
use super::serving::ServingError;
use crate::attest::jwks::JwksError;
use crate::config::ConfigError;
use crate::data_dir::DataDirError;
use crate::telemetry::TelemetryError;
use crate::telemetry::metrics::MetricsError;

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
