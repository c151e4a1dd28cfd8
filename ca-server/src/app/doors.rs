//! Where does the world come in? Ports, the operators' socket, and the signals that close them.

use std::fs;
use std::fs::DirBuilder;
use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::getrlimit;
use rustix::process::setrlimit;
use tokio::net::TcpListener;
use tokio::net::UnixListener;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing::warn;

use super::conductor::Order;
use super::error::ServeError;
use super::operator::SOCKET;

pub(super) async fn bind(addr: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(addr)
        .await
        .map_err(|source| ServeError::Bind { addr, source })
}

/// Takes as many file descriptors as the system allows: the usual first limit is a tenth of our connections.
pub(super) fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, "cannot raise the limit of open files");
    }
}

/// The data directory is locked, so a socket that is there is a dead server's.
pub(super) fn bind_admin(data_dir: &Path) -> Result<UnixListener, ServeError> {
    let path = data_dir.join(SOCKET);
    remove_admin(data_dir);
    let failed = |source| ServeError::BindAdmin {
        path: path.clone(),
        source,
    };
    // The data directory may be open to others, and so is a socket until its mode is set: it is bound out of reach.
    let private = data_dir.join(PRIVATE);
    if private.exists() {
        fs::remove_dir_all(&private).map_err(failed)?;
    }
    let mut builder = DirBuilder::new();
    builder.mode(0o700).create(&private).map_err(failed)?;
    let unseen = private.join("s");
    let listener = UnixListener::bind(&unseen).map_err(failed)?;
    fs::set_permissions(&unseen, Permissions::from_mode(0o600)).map_err(failed)?;
    fs::rename(&unseen, &path).map_err(failed)?;
    fs::remove_dir(&private).map_err(failed)?;
    Ok(listener)
}

pub(super) fn remove_admin(data_dir: &Path) {
    if let Err(error) = fs::remove_file(data_dir.join(SOCKET))
        && error.kind() != io::ErrorKind::NotFound
    {
        warn!(%error, "cannot remove the admin socket");
    }
}

/// Cancels `stop` at the first SIGTERM or SIGINT.
pub(super) fn stop_on_signals(stop: &CancellationToken) -> io::Result<JoinHandle<()>> {
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let stop = stop.clone();
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => info!("SIGTERM: stopping"),
            _ = int.recv() => info!("SIGINT: stopping"),
        }
        stop.cancel();
    }))
}

/// Where the socket is bound; its path must not be longer than the socket's own, which the system limits.
const PRIVATE: &str = ".admin";

/// Lets SIGHUP ask for a look at the operator's directory.
pub(super) fn look_on_hangup(orders: mpsc::Sender<Order>) -> io::Result<JoinHandle<()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            info!("SIGHUP: looking at the CA bundle");
            if orders.send(Order::Look).await.is_err() {
                return;
            }
        }
    }))
}
