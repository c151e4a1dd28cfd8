//! What do operators' commands do? Each is one call over the admin socket, and an answer for people or programs.

mod backup;
mod certs;
mod denials;
pub(super) mod output;
mod rotate;
mod source;
mod status;
mod token;

use std::io;
use std::path::Path;
use std::path::PathBuf;

use hyper_util::rt::TokioIo;
use proto::signet::admin_service_client::AdminServiceClient;
use tokio::net::UnixStream;
use tonic::Status;
use tonic::transport::Channel;
use tonic::transport::Endpoint;

pub(super) use self::backup::backup;
pub(super) use self::backup::restore;
pub(super) use self::certs::certs;
pub(super) use self::rotate::reload;
pub(super) use self::rotate::rotate;
pub(super) use self::status::status;
pub(super) use self::token::token;

/// Name of the operators' socket in the data directory.
pub(super) const SOCKET: &str = "admin.sock";

/// Connects to the server whose data directory this is.
async fn connect(data_dir: &Path) -> Result<AdminServiceClient<Channel>, OperatorError> {
    let socket = data_dir.join(SOCKET);
    // Connecting once by hand gives the system's own words for what is wrong.
    let first = UnixStream::connect(&socket)
        .await
        .map_err(|source| OperatorError::NotRunning {
            socket: socket.clone(),
            source,
        })?;
    drop(first);
    let connector = tower::service_fn(move |_uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await?;
    Ok(AdminServiceClient::new(channel))
}

/// Why an operator's command could not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum OperatorError {
    /// The backup could not be written or read.
    #[error(transparent)]
    Backup(#[from] crate::backup::BackupError),
    /// The clock cannot tell the deadline.
    #[error("--deadline is too far away: give a date")]
    FarDeadline,
    /// The rotation record cannot be read.
    #[error(transparent)]
    State(#[from] crate::authority::state::StateError),
    /// The trust bundle cannot be read.
    #[error(transparent)]
    TrustBundle(#[from] crate::authority::trust_bundle::TrustBundleError),
    /// The connection broke.
    #[error("the connection to the server broke: {0}")]
    Connection(#[from] tonic::transport::Error),
    /// The answer cannot be printed.
    #[error("cannot print the answer: {0}")]
    Output(#[from] io::Error),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] crate::ledger::LedgerError),
    /// The ledger does not open.
    #[error(transparent)]
    LedgerOpen(#[from] crate::ledger::LedgerOpenError),
    /// No server ever ran here.
    #[error("{} has a ledger and no state.json: is it a data directory of ca-server?", data_dir.display())]
    NoState {
        /// The directory.
        data_dir: PathBuf,
    },
    /// Nobody answers on the socket.
    #[error("no server answers on {}: {source}; is `ca-server serve` running with this --data-dir?", socket.display())]
    NotRunning {
        /// The socket.
        socket: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The server said no.
    #[error("{message}")]
    Refused {
        /// Its words.
        message: String,
    },
    /// The data directory is in use or cannot be used.
    #[error(transparent)]
    DataDir(#[from] crate::data_dir::DataDirError),
}

impl From<Status> for OperatorError {
    fn from(status: Status) -> Self {
        Self::Refused {
            message: status.message().to_owned(),
        }
    }
}
