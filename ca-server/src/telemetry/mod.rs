//! What does the process tell the outside about itself? Log lines and metrics.

mod expiries;
pub mod metrics;
pub mod rotation;

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard error. `filter` is in the syntax of `tracing`'s `EnvFilter`, such as `info` or `ca_server=debug`.
///
/// # Errors
/// When the filter does not parse, or logging was started before.
pub fn start_logging(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(filter).map_err(|source| TelemetryError::Filter {
        filter: filter.to_owned(),
        source,
    })?;
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false);
    let started = match format {
        LogFormat::Text => registry
            .with(layer.with_ansi(std::io::stderr().is_terminal()))
            .try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    started.map_err(|_already| TelemetryError::Twice)
}

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("--log-level {filter:?} is not a filter such as `info` or `ca_server=debug`: {source}")]
    Filter {
        /// What was given.
        filter: String,
        /// The reader's words.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Somebody else logs in this process already.
    #[error("logging was started before")]
    Twice,
}
