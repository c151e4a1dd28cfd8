//! How does one process serve the many workloads of a machine? An agent for each, with a token and files of its own; one
//! socket of each kind for all, on which a peer gets what the rules of the workloads say.
//!
//! The order of the list counts: the first workload whose rule names a peer is that peer's default.

mod status;

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument as _;

pub use status::NodeStatus;

use crate::agent::Agent;
use crate::agent::Status;
use crate::clock::Clock;
use crate::offer::Place;
use crate::readers::Readers;
use crate::readers::Statuses;
use crate::roster::Roster;
use crate::socket::LocalSocket;
use crate::workload_api::AllowRule;

/// One workload of a node.
#[derive(Debug)]
pub struct Workload {
    /// What it is called in log, metrics and status, and as the hint of the Workload API.
    pub name: String,
    /// Which peers get its identity.
    pub allow: AllowRule,
    /// What gets its certificates. Sockets of its own are not opened.
    pub agent: Agent,
}

/// The workloads of one machine.
#[derive(Debug)]
pub struct Node {
    workloads: Vec<Workload>,
    sds: Option<LocalSocket>,
    workload_api: Option<LocalSocket>,
    shared: Arc<watch::Sender<Status>>,
    clock: Arc<dyn Clock>,
}

impl Node {
    /// With nothing open yet.
    #[must_use]
    pub fn new(workloads: Vec<Workload>, clock: impl Clock + 'static) -> Self {
        Self {
            workloads,
            sds: None,
            workload_api: None,
            shared: Arc::default(),
            clock: Arc::new(clock),
        }
    }

    /// Where Envoys get what is held, by SDS.
    #[must_use]
    pub fn sds(mut self, socket: LocalSocket) -> Self {
        self.sds = Some(socket);
        self
    }

    /// Where workloads get what is held, by the SPIFFE Workload API.
    #[must_use]
    pub fn workload_api(mut self, socket: LocalSocket) -> Self {
        self.workload_api = Some(socket);
        self
    }

    /// How all of them are.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        let workloads = self.workloads.iter();
        let each = workloads.map(|it| (it.name.clone(), it.agent.status()));
        NodeStatus::new(self.shared.subscribe(), each.collect())
    }

    /// Makes all agents renew at once when these are notified.
    #[must_use]
    pub fn renew_now(&self) -> Vec<Arc<Notify>> {
        let workloads = self.workloads.iter();
        workloads.map(|it| it.agent.renew_now()).collect()
    }

    /// Runs until dropped; there is no failure that ends it.
    pub async fn run(self) {
        let (places, offers) = Place::all(self.workloads.len());
        let statuses = Statuses {
            shared: self.shared,
            workloads: self
                .workloads
                .iter()
                .map(|it| Arc::clone(it.agent.status_sender()))
                .collect(),
        };
        let rules = self.workloads.iter();
        let roster = Roster::of(rules.map(|it| (it.name.clone(), it.allow.clone())));
        let with_roster = |socket| (socket, roster.clone());
        let readers = Readers::new(
            self.sds.map(with_roster),
            self.workload_api.map(with_roster),
            &offers,
            &statuses,
            &self.clock,
        );
        let mut agents = JoinSet::new();
        for ((index, workload), place) in self.workloads.into_iter().enumerate().zip(places) {
            let span = tracing::info_span!("workload", name = workload.name);
            let work = workload.agent.work(place, readers.gate(index));
            agents.spawn(work.instrument(span));
        }
        tokio::select! {
            () = readers.run() => {}
            () = unending(agents) => {}
        }
    }
}

/// An agent ends by a bug only: then the whole process does, and a supervisor helps.
async fn unending(mut agents: JoinSet<()>) {
    while let Some(ended) = agents.join_next().await {
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
    std::future::pending::<()>().await;
}
