//! How does the SDS server do? Counts and words for [`Status`], and what is worth a line in the log.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::agent::Failure;
use crate::agent::Status;
use crate::clock::Clock;

/// The SDS server in the agent's status.
#[derive(Clone, Debug, Default)]
pub struct SdsStatus {
    /// Whether the socket is there, and answers.
    pub is_listening: bool,
    /// Why it is not, on one line.
    pub problem: Option<String>,
    /// Open streams.
    pub streams: usize,
    /// Answers sent.
    pub pushes: u64,
    /// Those that were acknowledged.
    pub acknowledged: u64,
    /// Those that were refused (NACK).
    pub refused: u64,
    /// What was refused last, and why.
    pub last_refusal: Option<Failure>,
    /// Who keeps us from telling the CA that the latest roots and certificate are in use.
    pub waiting_for: Vec<String>,
}

/// Where it is told.
#[derive(Debug)]
pub(super) struct Report {
    status: Arc<watch::Sender<Status>>,
    clock: Arc<dyn Clock>,
    lines: Mutex<Lines>,
}

/// How much was logged lately.
#[derive(Debug, Default)]
struct Lines {
    since: Option<Instant>,
    refusals: u32,
    waiting_since: Option<Instant>,
    complained: Option<Instant>,
}

impl Report {
    pub(super) fn new(status: Arc<watch::Sender<Status>>, clock: Arc<dyn Clock>) -> Self {
        let report = Self {
            status,
            clock,
            lines: Mutex::default(),
        };
        report.change(|_sds| {});
        report
    }

    pub(super) fn listening(&self, path: &Path) {
        tracing::info!(sds = %path.display(), "listening");
        self.change(|sds| {
            sds.is_listening = true;
            sds.problem = None;
        });
    }

    /// The same is told once.
    pub(super) fn not_listening(&self, why: String) {
        let is_news = self
            .status
            .borrow()
            .sds
            .as_ref()
            .is_none_or(|sds| sds.problem.as_ref() != Some(&why));
        if is_news {
            tracing::error!("the SDS socket is not there, trying every second: {why}");
        }
        self.change(|sds| {
            sds.is_listening = false;
            sds.problem = Some(why);
        });
    }

    pub(super) fn streams(&self, open: usize) {
        self.change(|sds| sds.streams = open);
    }

    pub(super) fn pushed(&self) {
        self.change(|sds| sds.pushes += 1);
    }

    pub(super) fn acknowledged(&self) {
        self.change(|sds| sds.acknowledged += 1);
    }

    pub(super) fn refused(&self, who: &str, names: &[String], why: &str) {
        let names = names.join(", ");
        let why: String = why.escape_debug().take(LONGEST).collect();
        if self.is_worth_a_line() {
            tracing::warn!(who, names, "an SDS answer is refused: {why}");
        }
        let at = self.clock.now();
        self.change(|sds| {
            sds.refused += 1;
            sds.last_refusal = Some(Failure {
                reason: "sds-nack",
                message: format!("{who} refuses {names}: {why}"),
                at,
            });
        });
    }

    /// Nobody, or some that have not acknowledged what there is.
    pub(super) fn waiting_for(&self, who: &[String]) {
        let some: Vec<String> = who.iter().take(TOLD).cloned().collect();
        let is_known = |sds: &SdsStatus| sds.waiting_for == some;
        if !self.status.borrow().sds.as_ref().is_some_and(is_known) {
            self.change(|sds| sds.waiting_for = some);
        }
        self.complain_of(who);
    }

    /// Who is waited for for long is told, once a minute.
    fn complain_of(&self, who: &[String]) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if who.is_empty() {
            lines.waiting_since = None;
            return;
        }
        let since = *lines.waiting_since.get_or_insert_with(Instant::now);
        let was_told = lines.complained.is_some_and(|at| at.elapsed() < MINUTE);
        if was_told || since.elapsed() < PATIENCE {
            return;
        }
        lines.complained = Some(Instant::now());
        let some: Vec<&str> = who.iter().take(TOLD).map(String::as_str).collect();
        tracing::warn!(
            streams = who.len(),
            "SDS readers have not acknowledged the latest secrets, so the CA is not told that they are in use: {}",
            some.join("; ")
        );
    }

    /// Whoever refuses everything all the time must not fill the log: it is counted.
    fn is_worth_a_line(&self) -> bool {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.since.is_none_or(|since| since.elapsed() >= MINUTE) {
            lines.since = Some(Instant::now());
            lines.refusals = 0;
        }
        lines.refusals += 1;
        if lines.refusals == REFUSALS {
            tracing::warn!("many SDS answers are refused; for a minute they are only counted");
        }
        lines.refusals < REFUSALS
    }

    fn change(&self, change: impl FnOnce(&mut SdsStatus)) {
        self.status
            .send_modify(|status| change(status.sds.get_or_insert_default()));
    }
}

/// After which it is worth a line that somebody is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);
/// Lines on refusals in a minute.
const REFUSALS: u32 = 20;
/// Characters of a refusal.
const LONGEST: usize = 500;
/// Of those who are waited for.
const TOLD: usize = 10;
