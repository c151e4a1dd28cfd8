//! Where does the world come in? Ports, the operators' socket, and the signals that close them.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::net::UnixListener;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing::warn;

use super::error::ServeError;
use super::operator::SOCKET;

pub(super) async fn bind(addr: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(addr)
        .await
        .map_err(|source| ServeError::Bind { addr, source })
}

/// The data directory is locked, so a socket that is there is a dead server's.
pub(super) fn bind_admin(data_dir: &Path) -> Result<UnixListener, ServeError> {
    let path = data_dir.join(SOCKET);
    remove_admin(data_dir);
    let failed = |source| ServeError::BindAdmin {
        path: path.clone(),
        source,
    };
    let listener = UnixListener::bind(&path).map_err(failed)?;
    // The directory is 0700 already; the mode says it once more.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

pub(super) fn remove_admin(data_dir: &Path) {
    if let Err(error) = std::fs::remove_file(data_dir.join(SOCKET))
        && error.kind() != io::ErrorKind::NotFound
    {
        warn!(%error, "cannot remove the admin socket");
    }
}

/// Serves HTTP until `stop`; a peer that keeps its connection open is left behind after a second.
pub(super) async fn serve_http(listener: TcpListener, routes: Router, stop: CancellationToken) {
    let stopping = stop.clone().cancelled_owned();
    let served = axum::serve(listener, routes).with_graceful_shutdown(stopping);
    let too_late = async {
        stop.cancelled().await;
        tokio::time::sleep(HTTP_DRAIN).await;
    };
    tokio::select! {
        outcome = served.into_future() => {
            if let Err(error) = outcome {
                warn!(%error, "the HTTP port stopped");
            }
        }
        () = too_late => {}
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

/// How long a peer of the HTTP port may go on after the stop.
const HTTP_DRAIN: Duration = Duration::from_secs(1);
