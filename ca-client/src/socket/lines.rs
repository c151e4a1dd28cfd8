//! How much does the log get of one kind? Whoever does the same all the time must not fill it: what is left out is told.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

/// Lines of one kind.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<Count>);

#[derive(Debug, Default)]
struct Count {
    since: Option<Instant>,
    lines: u32,
}

impl Lines {
    /// Whether one more is to be written; `what` says what many of them tell.
    pub(crate) fn has_room(&self, what: &'static str) -> bool {
        self.has_room_at(Instant::now(), what)
    }

    fn has_room_at(&self, now: Instant, what: &'static str) -> bool {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if count.since.is_none_or(|since| now - since >= MINUTE) {
            if let Some(unsaid) = count.lines.checked_sub(MOST).filter(|it| *it > 0) {
                tracing::info!(unsaid, "more of these before: {what}");
            }
            count.since = Some(now);
            count.lines = 0;
        }
        count.lines = count.lines.saturating_add(1);
        if count.lines == MOST {
            tracing::warn!("many of these, for a minute they are only counted: {what}");
        }
        count.lines <= MOST
    }
}

const MINUTE: Duration = Duration::from_secs(60);
/// In a minute.
const MOST: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_room_for_some_lines_and_the_next_for_as_many() {
        let (lines, now) = (Lines::default(), Instant::now());
        let written = |now| {
            let has_room = |_: &i32| lines.has_room_at(now, "somebody knocks");
            (0..100).filter(has_room).count()
        };
        assert_eq!((written(now), written(now)), (30, 0));
        assert_eq!(written(now + MINUTE), 30);
    }
}
