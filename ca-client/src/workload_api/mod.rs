//! How do workloads get what the agent holds without files? The SPIFFE Workload API on a unix socket: certificate, key
//! and roots as a stream that has everything again whenever anything changes.
//!
//! It changes nothing of what the agent holds. Its callers cannot acknowledge: the CA hears of what is in use after the
//! time that readers of files have too.

mod allow;
mod answers;
mod host;
mod report;
mod service;
#[cfg(test)]
mod tests;
mod visitors;

use std::sync::Arc;
use std::time::Duration;

use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

pub use allow::AllowRule;
pub use allow::AllowRuleError;
pub use report::WorkloadApiStatus;

use crate::agent::one_line;
use crate::clock::Clock;
use crate::offer::Offers;
use crate::readers::Statuses;
use crate::roster::Roster;
use crate::socket;
use crate::socket::LocalSocket;
use host::Host;
use report::Report;
use service::Service;
use visitors::Visitors;

/// Where it is, and for whom.
#[derive(Clone, Debug)]
pub struct WorkloadApi {
    socket: LocalSocket,
    allow: AllowRule,
}

impl WorkloadApi {
    /// The two parts.
    pub(crate) fn into_parts(self) -> (LocalSocket, AllowRule) {
        (self.socket, self.allow)
    }

    /// At `socket`, for those of whom `allow` is true.
    #[must_use]
    pub fn new(socket: LocalSocket, allow: AllowRule) -> Self {
        Self { socket, allow }
    }
}

/// The server, with nothing open yet.
#[derive(Debug)]
pub(crate) struct Server {
    socket: LocalSocket,
    roster: Roster,
    offers: Offers,
    report: Arc<Report>,
    clock: Arc<dyn Clock>,
}

impl Server {
    /// A server at `socket` of what is offered, to those whom `roster` names.
    pub(crate) fn new(
        socket: LocalSocket,
        roster: Roster,
        offers: Offers,
        statuses: Statuses,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            socket,
            roster,
            offers,
            report: Arc::new(Report::new(statuses)),
            clock,
        }
    }

    /// Never ends by itself. The socket is there from the start: who comes before there is a certificate is told so.
    pub(crate) async fn run(self) {
        let (health, health_service) = tonic_health::server::health_reporter();
        let service = Service {
            offers: self.offers.clone(),
            roster: self.roster.clone(),
            report: Arc::clone(&self.report),
            clock: Arc::clone(&self.clock),
        };
        let visitors = Visitors::new(self.roster, Arc::clone(&self.report));
        match Host::new(service, health_service, Arc::new(visitors)) {
            Ok(host) => tokio::select! {
                () = socket::run(&self.socket, &host) => {}
                () = tell_health(&health, self.offers, self.clock.as_ref()) => {}
            },
            Err(error) => self.report.not_listening(one_line(&error)),
        }
        std::future::pending::<()>().await;
    }
}

/// Serving is who has a certificate that has not expired, of any workload.
async fn tell_health(health: &HealthReporter, mut offers: Offers, clock: &dyn Clock) {
    let mut told = None;
    loop {
        let now = clock.now();
        let is_good = offers
            .borrow_and_update()
            .places()
            .flatten()
            .any(|offer| offer.svid.not_after() >= now);
        if told != Some(is_good) {
            let status = match is_good {
                true => ServingStatus::Serving,
                false => ServingStatus::NotServing,
            };
            for name in ["", SERVICE] {
                health.set_service_status(name, status).await;
            }
            told = Some(is_good);
        }
        tokio::select! {
            changed = offers.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// The name on the wire; the standard gives it no package.
const SERVICE: &str = "SpiffeWorkloadAPI";
const LOOK: Duration = Duration::from_secs(1);
