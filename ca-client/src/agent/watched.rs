//! Did a file change? By what the system tells about it, so that a token that is replaced, in whatever
//! way, is noticed within a second.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// A file that somebody else may write at any time.
#[derive(Debug)]
pub(super) struct Watched {
    path: Option<PathBuf>,
    seen: Option<Mark>,
}

/// Inode, length and both times: a rename, a rewrite and a swapped link all change one of them.
type Mark = (u64, u64, u64, i64, i64, i64, i64);

impl Watched {
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        let mut watched = Self { path, seen: None };
        watched.has_changed();
        watched
    }

    /// Whether it changed since the last time this was asked. Gone is a change, too.
    pub(super) fn has_changed(&mut self) -> bool {
        let now = self.path.as_ref().and_then(|path| {
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
        });
        std::mem::replace(&mut self.seen, now) != now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appearing_rewriting_replacing_and_vanishing_are_noticed_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let mut watched = Watched::new(Some(path.clone()));
        let mut noticed_once = |what: &str| {
            assert!(watched.has_changed(), "{what}");
            assert!(!watched.has_changed(), "{what}, twice");
        };
        std::fs::write(&path, "one").unwrap();
        noticed_once("appeared");
        std::fs::write(&path, "longer").unwrap();
        noticed_once("rewritten");
        let other = dir.path().join("other");
        std::fs::write(&other, "longer").unwrap();
        std::fs::rename(&other, &path).unwrap();
        noticed_once("replaced");
        std::fs::remove_file(&path).unwrap();
        noticed_once("vanished");
    }
}
