//! How large, how patient? What can be set about the ledger.

use std::time::Duration;

/// What can be set about the ledger. The defaults are meant for production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerOptions {
    /// Memory for pages of the tree, in bytes.
    pub cache_bytes: u64,
    /// Commands that may wait at once; more wait for a place, as long as `answer_within` allows.
    pub queue: usize,
    /// After this long a question is answered with `Unavailable`.
    pub answer_within: Duration,
    /// How long `open` waits for a lock that somebody may just be letting go.
    pub lock_within: Duration,
    /// Pause before the first attempt to reopen after a failure. It doubles with each.
    pub reopen_first: Duration,
    /// The longest such pause.
    pub reopen_at_most: Duration,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 * 1024 * 1024,
            queue: 4096,
            answer_within: Duration::from_secs(5),
            lock_within: Duration::from_secs(2),
            reopen_first: Duration::from_millis(100),
            reopen_at_most: Duration::from_secs(5),
        }
    }
}
