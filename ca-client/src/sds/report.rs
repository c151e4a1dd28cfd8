//! How does the SDS server do? Counts and words for [`Status`], and what is worth a line in the log.

use std::collections::BTreeMap;
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
use crate::readers::Statuses;
use crate::roster::Roster;
use crate::socket::Lines;
use crate::socket::Peer;

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
    /// Calls of peers whom no workload's rule names.
    pub turned_away: u64,
    /// Who keeps us from telling the CA that the latest roots and certificate are in use.
    pub waiting_for: Vec<String>,
}

/// Where it is told.
#[derive(Debug)]
pub(super) struct Report {
    /// Of the socket.
    status: Arc<watch::Sender<Status>>,
    /// Of those whose secrets are served; the same where there is one.
    workloads: Vec<Arc<watch::Sender<Status>>>,
    roster: Roster,
    clock: Arc<dyn Clock>,
    refusals: Lines,
    strangers: Lines,
    waits: Mutex<BTreeMap<usize, Wait>>,
}

/// For how long a workload waits for its readers, and when that was told.
#[derive(Debug)]
struct Wait {
    since: Instant,
    complained: Option<Instant>,
}

impl Report {
    pub(super) fn new(statuses: Statuses, roster: Roster, clock: Arc<dyn Clock>) -> Self {
        let report = Self {
            status: statuses.shared,
            workloads: statuses.workloads,
            roster,
            clock,
            refusals: Lines::default(),
            strangers: Lines::default(),
            waits: Mutex::default(),
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
        if self.refusals.has_room("SDS answers are refused") {
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

    /// Somebody asked whom no workload's rule names.
    pub(super) fn turned_away(&self, peer: &Peer) {
        if self
            .strangers
            .has_room("peers whom no workload's rule names")
        {
            let (uid, gid, pid) = (peer.uid, peer.gid, peer.pid);
            tracing::warn!(
                uid,
                gid,
                pid,
                "a peer is refused: no workload's rule names it"
            );
        }
        self.change(|sds| sds.turned_away += 1);
    }

    /// Nobody, or some that have not acknowledged what there is of a workload.
    pub(super) fn waiting_for(&self, place: usize, who: &[String]) {
        let some: Vec<String> = who.iter().take(TOLD).cloned().collect();
        if let Some(status) = self.workloads.get(place) {
            status.send_if_modified(|status| {
                let sds = status.sds.get_or_insert_default();
                let is_news = sds.waiting_for != some;
                sds.waiting_for = some;
                is_news
            });
        }
        self.complain_of(place, who);
    }

    /// Who is waited for for long is told, once a minute.
    fn complain_of(&self, place: usize, who: &[String]) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        if who.is_empty() {
            waits.remove(&place);
            return;
        }
        let wait = waits.entry(place).or_insert_with(|| Wait {
            since: Instant::now(),
            complained: None,
        });
        let was_told = wait.complained.is_some_and(|at| at.elapsed() < MINUTE);
        if was_told || wait.since.elapsed() < PATIENCE {
            return;
        }
        wait.complained = Some(Instant::now());
        let some: Vec<&str> = who.iter().take(TOLD).map(String::as_str).collect();
        tracing::warn!(
            workload = self.roster.name(place),
            streams = who.len(),
            "SDS readers have not acknowledged the latest secrets, so the CA is not told that they are in use: {}",
            some.join("; ")
        );
    }

    fn change(&self, change: impl FnOnce(&mut SdsStatus)) {
        self.status
            .send_modify(|status| change(status.sds.get_or_insert_default()));
    }
}

/// After which it is worth a line that somebody is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);
/// Characters of a refusal.
const LONGEST: usize = 500;
/// Of those who are waited for.
const TOLD: usize = 10;
