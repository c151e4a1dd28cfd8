//! How is a node? As well as the worst of its workloads, and its sockets.

use std::time::SystemTime;

use tokio::sync::watch;

use crate::agent::Status;

/// The state of all workloads, always the latest.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    shared: watch::Receiver<Status>,
    workloads: Vec<(String, watch::Receiver<Status>)>,
}

impl NodeStatus {
    pub(super) fn new(
        shared: watch::Receiver<Status>,
        workloads: Vec<(String, watch::Receiver<Status>)>,
    ) -> Self {
        Self { shared, workloads }
    }

    /// What all workloads share: of this only what is told of the sockets means something.
    #[must_use]
    pub fn shared(&self) -> Status {
        self.shared.borrow().clone()
    }

    /// Each workload by its name, in the order of the list.
    pub fn workloads(&self) -> impl Iterator<Item = (&str, Status)> {
        let each = self.workloads.iter();
        each.map(|(name, status)| (name.as_str(), status.borrow().clone()))
    }

    /// Which workloads have no valid certificate where it should be, or which socket is not there; `None` when all is
    /// well.
    #[must_use]
    pub fn not_ready(&self, now: SystemTime) -> Option<String> {
        let unready = self.workloads.iter().filter_map(|(name, status)| {
            let reason = status.borrow().not_ready(now)?;
            Some(format!("{name}: {reason}"))
        });
        let socket = self.shared.borrow().socket_problem();
        let mut reasons = socket.into_iter().chain(unready);
        let first = reasons.next()?;
        Some(match reasons.count() {
            0 => first,
            more => format!("{first} (and {more} more)"),
        })
    }

    /// Whether any workload has a valid certificate where it should be.
    #[must_use]
    pub fn serves_any(&self, now: SystemTime) -> bool {
        let mut each = self.workloads.iter();
        each.any(|(_, status)| status.borrow().not_ready(now).is_none())
    }
}
