//! Who reads the bundle from afar, and until when may they not know a new root? Kept in `<data-dir>/bundle-polled.json`.
//!
//! Nobody who polls acknowledges anything: what is known of them is how often they were told to ask.

use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use serde::Deserialize;
use serde::Serialize;

use super::spiffe_bundle::REFRESH_HINT;
use super::state::StateError;
use super::state::read_versioned;
use super::state::write_versioned;

/// When the SPIFFE bundle was asked for last; 0 seconds stand for never.
#[derive(Debug)]
pub struct Polls {
    path: PathBuf,
    last: AtomicU64,
    kept: AtomicU64,
}

impl Polls {
    /// What is known of before. A file that cannot be read counts as a poll of now.
    #[must_use]
    pub fn open(data_dir: &Path, now: SystemTime) -> Self {
        let path = data_dir.join("bundle-polled.json");
        let kept = match read_versioned::<Stored>(&path, VERSION) {
            Ok(stored) => stored.map_or(0, |stored| stored.polled_at),
            Err(_unreadable) => seconds(now),
        };
        // There may have been others after the one that was kept.
        let last = match kept {
            0 => 0,
            kept => kept.saturating_add(KEEP_EVERY.as_secs()),
        };
        Self {
            path,
            last: AtomicU64::new(last),
            kept: AtomicU64::new(kept),
        }
    }

    /// Notes a poll. Whether it should be [kept](Self::keep) before it is answered.
    #[must_use]
    pub fn note(&self, now: SystemTime) -> bool {
        let now = seconds(now);
        self.last.store(now, Ordering::SeqCst);
        let kept = self.kept.load(Ordering::SeqCst);
        let is_fresh = kept <= now && now - kept < KEEP_EVERY.as_secs();
        // Of those who come at once, one keeps.
        !is_fresh
            && self
                .kept
                .compare_exchange(kept, now, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
    }

    /// Keeps the last poll for the next start. Blocks the thread.
    ///
    /// # Errors
    /// When it cannot be written. It is known in this process all the same.
    pub fn keep(&self) -> Result<(), StateError> {
        let stored = Stored {
            version: VERSION,
            polled_at: self.last.load(Ordering::SeqCst),
        };
        write_versioned(&self.path, &stored)
    }

    /// Until when somebody who polls may not know a bundle that changed at `bundle_changed_at`; `None` when nobody
    /// polled in the day before `now`.
    #[must_use]
    pub fn hints_until(
        &self,
        bundle_changed_at: SystemTime,
        now: SystemTime,
    ) -> Option<SystemTime> {
        let last = self.last.load(Ordering::SeqCst);
        let polls = last > 0 && seconds(now) <= last.saturating_add(DAY.as_secs());
        // Whoever polls may have been told the long hint; the second that the change was noted in counts whole.
        let until = REFRESH_HINT * HINTS + Duration::from_secs(1);
        polls.then(|| bundle_changed_at + until)
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs()
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    /// Seconds since 1970.
    polled_at: u64,
}

const VERSION: u32 = 1;
/// SPIFFE Federation wants a root published for that many before it signs.
const HINTS: u32 = 3;
/// Who has not asked for so long does not poll.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How old the file may be while others poll.
const KEEP_EVERY: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    const WHOLE_DAY: u64 = 24 * 60 * 60;

    #[test]
    fn three_hints_are_waited_for_when_somebody_polled_in_the_last_day() {
        let dir = tempfile::tempdir().unwrap();
        let polls = Polls::open(dir.path(), at(0));
        assert_eq!(polls.hints_until(at(5), at(6)), None);
        assert!(polls.note(at(0)));
        let until = Some(at(5 + 901));
        let table = [
            (6, until),
            (2000, until),
            (WHOLE_DAY, until),
            (WHOLE_DAY + 1, None),
        ];
        for (now, expected) in table {
            assert_eq!(polls.hints_until(at(5), at(now)), expected, "{now}");
        }
    }

    #[test]
    fn a_restart_forgets_no_poll() {
        let dir = tempfile::tempdir().unwrap();
        let polls = Polls::open(dir.path(), at(0));
        assert!(polls.note(at(0)));
        polls.keep().unwrap();
        // Not written any more, for there is something: the next process knows how much that can be.
        assert!(!polls.note(at(599)));
        let again = Polls::open(dir.path(), at(700));
        let a_day_later = at(WHOLE_DAY + 599);
        assert!(again.hints_until(at(0), a_day_later).is_some());
        assert!(again.hints_until(at(0), at(WHOLE_DAY + 601)).is_none());
    }

    #[test]
    fn one_in_ten_minutes_is_kept_and_the_next_after_a_jump_back_of_the_clock() {
        let dir = tempfile::tempdir().unwrap();
        let polls = Polls::open(dir.path(), at(0));
        let table = [
            (0, true),
            (1, false),
            (599, false),
            (600, true),
            (601, false),
            (10, true),
        ];
        for (now, kept) in table {
            assert_eq!(polls.note(at(now)), kept, "{now}");
        }
    }

    #[test]
    fn a_damaged_file_counts_as_a_poll() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("bundle-polled.json"), "{").unwrap();
        let polls = Polls::open(dir.path(), at(0));
        assert!(polls.hints_until(at(0), at(1)).is_some());
    }
}
