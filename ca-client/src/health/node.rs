//! What does `/status` say of a node? A report of each workload, and of the sockets that they share.

use std::time::SystemTime;

use serde::Deserialize;
use serde::Serialize;

use super::report::SdsReport;
use super::report::StatusReport;
use super::report::WorkloadApiReport;
use crate::node::NodeStatus;

/// How a node is.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct NodeReport {
    /// Whether every workload has a valid certificate where it should be, and the sockets are there.
    pub ready: bool,
    /// Why not.
    pub not_ready_because: Option<String>,
    /// The SDS server, where there is one; who is waited for is told by workload.
    pub sds: Option<SdsReport>,
    /// The Workload API, where it is served.
    pub workload_api: Option<WorkloadApiReport>,
    /// Each workload, in the order of the list.
    pub workloads: Vec<WorkloadReport>,
}

/// How one of them is.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WorkloadReport {
    /// What it is called in the list.
    pub name: String,
    /// Who keeps the agent from telling the CA that its latest roots and certificate are in use; at most ten.
    pub sds_waiting_for: Vec<String>,
    /// All else.
    #[serde(flatten)]
    pub status: StatusReport,
}

impl NodeReport {
    /// The report of this node at this moment.
    #[must_use]
    pub fn new(node: &NodeStatus, now: SystemTime) -> Self {
        let not_ready_because = node.not_ready(now);
        let shared = node.shared();
        let workloads = node.workloads().map(|(name, mut status)| {
            let waiting_for = status.sds.take().map(|sds| sds.waiting_for);
            WorkloadReport {
                name: name.to_owned(),
                sds_waiting_for: waiting_for.unwrap_or_default(),
                status: StatusReport::new(&status, now),
            }
        });
        Self {
            ready: not_ready_because.is_none(),
            not_ready_because,
            sds: shared.sds.as_ref().map(SdsReport::new),
            workload_api: shared.workload_api.as_ref().map(WorkloadApiReport::new),
            workloads: workloads.collect(),
        }
    }
}
