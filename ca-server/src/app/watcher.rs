//! When is the operator's directory worth a look? Whenever the system tells of a change in or around it, and
//! regularly in any case: what is told is only a hint, the contents decide.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use notify::RecommendedWatcher;
use notify::RecursiveMode;
use notify::Watcher as _;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio::time::timeout;
use tracing::debug;
use tracing::info;
use tracing::warn;

use super::aside::Aside;
use super::aside::Begun;
use super::conductor::Order;
use crate::authority::bundle;

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
    let mut listening = Aside::new(LISTENS_WITHIN);
    loop {
        let (told, mut hints) = mpsc::channel(1);
        // Made anew each time: a directory may have come, gone or been replaced, and a dead watcher stays dead for
        // one interval at most. What happened before it was made is found by the look that follows.
        let watcher = match watched.asks_the_system {
            true => start(&watched, told, &mut listening, &mut was_deaf).await,
            false => None,
        };
        if orders.send(Order::Look).await.is_err() {
            return;
        }
        let Some(watcher) = watcher else {
            sleep(watched.interval).await;
            continue;
        };
        match timeout(watched.interval, hints.recv()).await {
            // More of the same change is on its way.
            Ok(Some(())) => sleep(SETTLE).await,
            Ok(None) => {
                warn!("the watcher of the CA bundle died; starting another one");
                sleep(SETTLE.max(watched.interval / 10)).await;
            }
            Err(_nothing_told) => {}
        }
        // It waits for its thread.
        let _gone = spawn_blocking(move || drop(watcher)).await;
    }
}

/// A watcher, unless the system does not give one, which is said once.
async fn start(
    watched: &Watched,
    told: mpsc::Sender<()>,
    listening: &mut Aside<Result<RecommendedWatcher, notify::Error>>,
    was_deaf: &mut bool,
) -> Option<RecommendedWatcher> {
    let dir = watched.dir.clone();
    // Links are followed for that, on a mount that may be gone.
    let started = match listening.begin(move || listen(&dir, told)) {
        Begun::Now | Begun::Before => listening.ended().await,
        Begun::Hangs => Err(listening.no_answer()),
    };
    let started = started.unwrap_or_else(|ended| Err(ended.into()));
    match (&started, *was_deaf) {
        (Err(error), false) => {
            warn!(%error, interval = ?watched.interval, "the system does not tell of changes; looking regularly instead");
        }
        (Ok(_), true) => info!("the system tells of changes again"),
        (Err(_), true) | (Ok(_), false) => {}
    }
    *was_deaf = started.is_err();
    started.ok()
}

/// Tells of every change of the files in `dir`, wherever they really are, and of `dir` itself being replaced.
fn listen(dir: &Path, told: mpsc::Sender<()>) -> Result<RecommendedWatcher, notify::Error> {
    let dir = std::path::absolute(dir)?;
    let places = bundle::places(&dir);
    let heard = places.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if let Err(error) = &event {
            warn!(%error, "the watcher of the CA bundle may have missed a change");
        }
        if event.map_or(true, |event| concerns(&event, &heard)) {
            // A full channel already says what there is to say.
            let _told = told.try_send(());
        }
    })?;
    for directory in directories(&places) {
        match watcher.watch(&directory, RecursiveMode::NonRecursive) {
            Ok(()) => {}
            // It went just now: whoever is above tells when it is back.
            Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => {
                debug!(%error, "a directory is not watched");
            }
            Err(error) if directory.starts_with(&dir) => return Err(error),
            // One above that cannot be watched costs an interval, no more.
            Err(error) => debug!(%error, "a directory is not watched"),
        }
    }
    Ok(watcher)
}

/// What is to be watched for `places`: those that are directories, and the next that there is above each.
fn directories(places: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let above = places.iter().filter_map(|place| {
        let mut above = place.ancestors().skip(1);
        above.find(|it| it.is_dir()).map(Path::to_owned)
    });
    let themselves = places.iter().filter(|place| place.is_dir()).cloned();
    above.chain(themselves).collect()
}

/// Directories above hold other things too, which may change all the time.
fn concerns(event: &notify::Event, places: &BTreeSet<PathBuf>) -> bool {
    let is_ours = |path: &PathBuf| {
        let mut places = places.iter();
        places.any(|place| path.starts_with(place) || place.starts_with(path))
    };
    !event.kind.is_access() && (event.paths.is_empty() || event.paths.iter().any(is_ours))
}

/// As long as a look may take.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);
const SETTLE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use notify::Event;
    use notify::EventKind;
    use notify::event::AccessKind;
    use notify::event::CreateKind;

    use super::*;

    #[test]
    fn what_happens_to_others_in_the_directory_above_is_no_hint() {
        let places = ["/etc/cacerts", "/run/set.1"].map(PathBuf::from).into();
        let created = EventKind::Create(CreateKind::Any);
        let table = [
            ("/etc/cacerts/ca-key.pem", true),
            ("/etc/cacerts", true),
            ("/run/set.1/ca-key.pem", true),
            ("/run", true),
            ("/etc/passwd", false),
            ("/etc/cacerts.old", false),
        ];
        for (path, expected) in table {
            let event = Event::new(created).add_path(path.into());
            assert_eq!(concerns(&event, &places), expected, "{path}");
        }
        assert!(concerns(&Event::new(created), &places), "events were lost");
        let read = EventKind::Access(AccessKind::Any);
        let event = Event::new(read).add_path("/etc/cacerts".into());
        assert!(!concerns(&event, &places), "a look is no change");
    }

    #[test]
    fn what_is_not_there_is_waited_for_above() {
        let dir = tempfile::tempdir().unwrap();
        let above = dir.path().canonicalize().unwrap();
        let missing = above.join("not/there");
        assert_eq!(
            directories(&bundle::places(&missing)),
            [above.clone()].into()
        );
        std::fs::create_dir_all(&missing).unwrap();
        let expected = [above.join("not"), missing.clone()];
        assert_eq!(directories(&bundle::places(&missing)), expected.into());
    }
}
