//! When is the operator's directory worth a look? Whenever the system tells of a change in or around it, and
//! regularly in any case: what is told is only a hint, the contents decide.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use notify::RecommendedWatcher;
use notify::RecursiveMode;
use notify::Watcher as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;
use tracing::warn;

use super::conductor::Order;

/// What to watch, and how.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) dir: PathBuf,
    /// The longest time between two looks.
    pub(super) interval: Duration,
    /// Whether to ask the system.
    pub(super) asks_the_system: bool,
}

/// Asks for a look after every change, and once in each interval, for ever.
pub(super) async fn watch(watched: Watched, orders: mpsc::Sender<Order>) {
    let mut was_deaf = false;
    loop {
        let (told, mut hints) = mpsc::channel(1);
        // Made anew each time: a directory may have come, gone or been replaced, and a dead watcher stays dead for
        // one interval at most. What happened before it was made is found by the look that follows.
        let watcher = match watched.asks_the_system {
            true => start(&watched.dir, told).inspect_err(|error| {
                if !was_deaf {
                    warn!(%error, interval = ?watched.interval, "the system does not tell of changes; looking regularly instead");
                }
            }),
            false => Err(notify::Error::generic("not asked")),
        };
        was_deaf = watcher.is_err();
        if orders.send(Order::Look).await.is_err() {
            return;
        }
        match watcher {
            Ok(watcher) => {
                if let Ok(Some(())) = timeout(watched.interval, hints.recv()).await {
                    // More of the same change is on its way.
                    tokio::time::sleep(SETTLE).await;
                }
                drop(watcher);
            }
            Err(_told_above) => tokio::time::sleep(watched.interval).await,
        }
    }
}

/// Tells of every change in `dir`, and of `dir` itself being replaced.
fn start(dir: &Path, told: mpsc::Sender<()>) -> Result<RecommendedWatcher, notify::Error> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let is_access = event.as_ref().is_ok_and(|event| event.kind.is_access());
        if !is_access {
            // A full channel already says what there is to say.
            let _told = told.try_send(());
        }
    })?;
    if let Some(parent) = dir.parent() {
        // A parent that cannot be watched costs an interval, no more.
        if let Err(error) = watcher.watch(parent, RecursiveMode::NonRecursive) {
            debug!(%error, "the directory above is not watched");
        }
    }
    if dir.exists() {
        watcher.watch(dir, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

const SETTLE: Duration = Duration::from_millis(50);
