//! Who reads the operator's directory, and who waits for that? One reading at a time, which nobody else waits for.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::aside::Aside;
use super::super::aside::Begun;
use super::orders::Asked;
use crate::authority::bundle::Content;

/// How a directory is read.
type Reader = Arc<dyn Fn(&Path) -> io::Result<Content> + Send + Sync>;

/// The reading under way, and whoever wants to hear what came of it.
pub(super) struct Looking {
    pub(super) reader: Reader,
    aside: Aside<io::Result<Content>>,
    /// Something may have changed since the reading under way began.
    again: bool,
    /// Who wants to hear of the reading under way.
    waiting: Vec<Asked>,
    /// Who wants to hear of the one after it.
    waiting_longer: Vec<Asked>,
}

impl Looking {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            reader: Arc::new(Content::read),
            aside: Aside::new(limit),
            again: false,
            waiting: Vec::new(),
            waiting_longer: Vec::new(),
        }
    }

    /// Has `dir` read as it is from now on, for `asked` too.
    ///
    /// # Errors
    /// When an earlier reading hangs. Nobody waits then.
    pub(super) fn begin(&mut self, dir: &Path, asked: Option<Asked>) -> Result<(), Hangs> {
        let (reader, read) = (Arc::clone(&self.reader), dir.to_owned());
        match self.aside.begin(move || reader(&read)) {
            Begun::Now => self.waiting.extend(asked),
            Begun::Before => {
                self.again = true;
                self.waiting_longer.extend(asked);
            }
            Begun::Hangs => {
                let error = self.aside.no_answer();
                return Err(Hangs { error, asked });
            }
        }
        Ok(())
    }

    /// What was read; for ever when nothing is. May be dropped and asked again.
    pub(super) async fn ended(&mut self) -> io::Result<Content> {
        self.aside.ended().await.and_then(|read| read)
    }

    /// Who waited for the reading that ended.
    pub(super) fn take_waiting(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.waiting)
    }

    /// Begins the reading that was asked for while another was under way.
    ///
    /// # Errors
    /// When that one hangs, with all who waited.
    pub(super) fn begin_again(&mut self, dir: &Path) -> Result<(), (io::Error, Vec<Asked>)> {
        let waiting = std::mem::take(&mut self.waiting_longer);
        if !std::mem::take(&mut self.again) {
            return Ok(());
        }
        match self.begin(dir, None) {
            Ok(()) => {
                self.waiting = waiting;
                Ok(())
            }
            Err(Hangs { error, .. }) => Err((error, waiting)),
        }
    }
}

/// An earlier reading hangs, so that none was begun.
pub(super) struct Hangs {
    pub(super) error: io::Error,
    /// Who wanted to hear of it.
    pub(super) asked: Option<Asked>,
}

impl fmt::Debug for Looking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.waiting.len() + self.waiting_longer.len();
        f.debug_struct("Looking")
            .field("aside", &self.aside)
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

/// A mount that is there answers in milliseconds, a slow one in a few seconds. Whoever waits that long for one that is
/// gone is told so, while an operator is still looking.
pub(super) const READS_WITHIN: Duration = Duration::from_secs(10);
