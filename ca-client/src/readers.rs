//! Who serves on sockets what the agents of this process hold? One SDS server and one Workload API, for one workload
//! or many.

use std::sync::Arc;

use tokio::sync::watch;

use crate::agent::Status;
use crate::clock::Clock;
use crate::offer::Offers;
use crate::roster::Roster;
use crate::sds;
use crate::socket::LocalSocket;
use crate::workload_api;

/// Where the servers tell how they are.
#[derive(Clone, Debug)]
pub(crate) struct Statuses {
    /// Of what all workloads share.
    pub(crate) shared: Arc<watch::Sender<Status>>,
    /// Of each workload, in the order of the board.
    pub(crate) workloads: Vec<Arc<watch::Sender<Status>>>,
}

/// The servers that are wanted.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    sds: Option<sds::Server>,
    workload_api: Option<workload_api::Server>,
}

impl Readers {
    /// Nothing is open yet. Each socket goes with those who may have something there.
    pub(crate) fn new(
        sds: Option<(LocalSocket, Roster)>,
        workload_api: Option<(LocalSocket, Roster)>,
        offers: &Offers,
        statuses: &Statuses,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let given = || (offers.clone(), statuses.clone(), Arc::clone(clock));
        Self {
            sds: sds.map(|(socket, roster)| {
                let (offers, statuses, clock) = given();
                sds::Server::new(socket, roster, offers, statuses, clock)
            }),
            workload_api: workload_api.map(|(socket, roster)| {
                let (offers, statuses, clock) = given();
                workload_api::Server::new(socket, roster, offers, statuses, clock)
            }),
        }
    }

    /// What waits for readers of the workload at `place`, where there may be some.
    pub(crate) fn gate(&self, place: usize) -> Option<sds::Gate> {
        self.sds.as_ref().map(|server| server.gate(place))
    }

    /// Never ends by itself.
    pub(crate) async fn run(self) {
        tokio::join!(
            async {
                if let Some(server) = self.sds {
                    server.run().await;
                }
            },
            async {
                if let Some(server) = self.workload_api {
                    server.run().await;
                }
            },
            std::future::pending::<()>(),
        );
    }
}
