//! How does the Workload API do? Counts and words for [`Status`], and what is worth a line in the log.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use crate::agent::Status;
use crate::readers::Statuses;
use crate::socket::Lines;
use crate::socket::Peer;

/// The Workload API in the agent's status.
#[derive(Clone, Debug, Default)]
pub struct WorkloadApiStatus {
    /// Whether the socket is there, and answers.
    pub is_listening: bool,
    /// Why it is not, on one line.
    pub problem: Option<String>,
    /// Open calls, most of which are streams.
    pub streams: usize,
    /// Messages sent.
    pub pushes: u64,
    /// Connections of those who are not allowed.
    pub refused: u64,
}

/// Where it is told.
#[derive(Debug)]
pub(super) struct Report {
    /// Of the socket.
    status: Arc<watch::Sender<Status>>,
    /// Of those who are served; the same where there is one.
    workloads: Vec<Arc<watch::Sender<Status>>>,
    admitted: Lines,
    refused: Lines,
}

impl Report {
    pub(super) fn new(statuses: Statuses) -> Self {
        let report = Self {
            status: statuses.shared,
            workloads: statuses.workloads,
            admitted: Lines::default(),
            refused: Lines::default(),
        };
        report.change(|_api| {});
        report
    }

    /// Whether the workload at `place` has no certificate because nothing that it could show gets it one.
    pub(super) fn is_refused_by_the_ca(&self, place: usize) -> bool {
        let Some(status) = self.workloads.get(place) else {
            return false;
        };
        let status = status.borrow();
        let reason = status.last_failure.as_ref().map(|failure| failure.reason);
        let refusals = ["needs-token", "no-credential", "refused", "unauthenticated"];
        status.is_failing() && reason.is_some_and(|reason| refusals.contains(&reason))
    }

    pub(super) fn listening(&self, path: &Path) {
        tracing::info!(workload_api = %path.display(), "listening");
        self.change(|api| {
            api.is_listening = true;
            api.problem = None;
        });
    }

    /// The same is told once.
    pub(super) fn not_listening(&self, why: String) {
        let is_known = |api: &WorkloadApiStatus| api.problem.as_ref() == Some(&why);
        if !self
            .status
            .borrow()
            .workload_api
            .as_ref()
            .is_some_and(is_known)
        {
            tracing::error!("the Workload API socket is not there, trying every second: {why}");
        }
        self.change(|api| {
            api.is_listening = false;
            api.problem = Some(why);
        });
    }

    /// Somebody connected who may have our identity.
    pub(super) fn admitted(&self, peer: &Peer) {
        if self.admitted.has_room("workloads connected") {
            let (uid, gid, pid) = (peer.uid, peer.gid, peer.pid);
            tracing::info!(uid, gid, pid, "a workload connected");
        }
    }

    /// Somebody connected who may not.
    pub(super) fn refused(&self, peer: &Peer) {
        if self.refused.has_room("peers whom no rule names") {
            let (uid, gid, pid) = (peer.uid, peer.gid, peer.pid);
            tracing::warn!(
                uid,
                gid,
                pid,
                "a peer is refused: no rule names it (--workload-api-allow, or allow in the list of --node)"
            );
        }
        self.change(|api| api.refused += 1);
    }

    pub(super) fn streams(&self, open: usize) {
        self.change(|api| api.streams = open);
    }

    pub(super) fn pushed(&self) {
        self.change(|api| api.pushes += 1);
    }

    fn change(&self, change: impl FnOnce(&mut WorkloadApiStatus)) {
        self.status
            .send_modify(|status| change(status.workload_api.get_or_insert_default()));
    }
}
