//! Another time of day for real processes, by libfaketime: each process reads it from a file that a test writes.

use std::path::Path;
use std::path::PathBuf;

/// A time of day that is off by some seconds.
#[derive(Debug)]
pub struct FakeTime {
    library: String,
    file: PathBuf,
}

impl FakeTime {
    /// A clock that is right, in the file `name` of `dir`. `None`, which is said aloud, where
    /// `tests/clocks/run` did not start this program.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the group is switched on by a variable"
    )]
    pub fn new(dir: &Path, name: &str) -> Option<Self> {
        let Ok(library) = std::env::var("SIGNET_TEST_FAKETIME") else {
            crate::mount::skip(
                "the clocks group needs libfaketime, and runs through tests/clocks/run",
            );
            return None;
        };
        let file = dir.join(name);
        let time = Self { library, file };
        time.set(0);
        Some(time)
    }

    /// Off by `seconds` from now on.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn set(&self, seconds: i64) {
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(new, &self.file).unwrap();
    }

    /// What a process needs to go by it. Its steady clock goes on as before.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        [
            ("LD_PRELOAD", self.library.clone()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}
