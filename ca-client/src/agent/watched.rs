//! Did a file change? By what the system tells about it, so that a token that is replaced, in whatever
//! way, is noticed within a second.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use super::aside::Aside;

/// A file that somebody else may write at any time.
#[derive(Debug)]
pub(super) struct Watched {
    path: Option<PathBuf>,
    seen: Option<Mark>,
    looks: Aside<Option<Mark>>,
}

/// Inode, length and both times: a rename, a rewrite and a swapped link all change one of them.
type Mark = (u64, u64, u64, i64, i64, i64, i64);

impl Watched {
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self {
            path,
            seen: None,
            looks: Aside::new(),
        }
    }

    /// Whether it changed since the last time this was asked. Gone is a change, too; no answer is none.
    pub(super) async fn has_changed(&mut self) -> bool {
        let Some(path) = self.path.clone() else {
            return false;
        };
        match self.looks.ask(PATIENCE, move || mark(&path)).await {
            Some(now) => std::mem::replace(&mut self.seen, now) != now,
            None => false,
        }
    }
}

fn mark(path: &Path) -> Option<Mark> {
    let seen = std::fs::metadata(path).ok()?;
    Some((
        seen.dev(),
        seen.ino(),
        seen.len(),
        seen.mtime(),
        seen.mtime_nsec(),
        seen.ctime(),
        seen.ctime_nsec(),
    ))
}

/// For a look at what the system knows of a file.
const PATIENCE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn appearing_rewriting_replacing_and_vanishing_are_noticed_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let mut watched = Watched::new(Some(path.clone()));
        let mut noticed_once = async |what: &str| {
            assert!(watched.has_changed().await, "{what}");
            assert!(!watched.has_changed().await, "{what}, twice");
        };
        std::fs::write(&path, "one").unwrap();
        noticed_once("appeared").await;
        std::fs::write(&path, "longer").unwrap();
        noticed_once("rewritten").await;
        let other = dir.path().join("other");
        std::fs::write(&other, "longer").unwrap();
        std::fs::rename(&other, &path).unwrap();
        noticed_once("replaced").await;
        std::fs::remove_file(&path).unwrap();
        noticed_once("vanished").await;
    }
}
