//! How does a workload have a good certificate at every moment of its life? [`Agent`]: gets one, renews
//! it for ever, keeps files and watchers up to date, and says how it is.
//!
//! ```no_run
//! use ca_client::Agent;
//! use ca_client::CaClient;
//! use ca_client::agent::FirstContact;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let request = CaClient::builder("ca.example:15012".parse()?);
//! let agent = Agent::builder(request)
//!     .first_contact(FirstContact::roots_file("root-cert.pem"))
//!     .token_file("/var/run/secrets/tokens/istio-token")
//!     .build();
//! let mut svids = agent.svids();
//! tokio::spawn(agent.run());
//! let first = svids.wait_for(Option::is_some).await?.clone();
//! # Ok(())
//! # }
//! ```

mod aside;
mod attempt;
mod backoff;
mod builder;
mod engine;
mod first_contact;
mod follow;
mod hook;
mod moment;
mod output;
mod renewal;
mod status;
mod watched;

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::watch;

pub use builder::AgentBuilder;
pub use first_contact::FirstContact;
pub use first_contact::FirstContactError;
pub use follow::Push;
pub use follow::TrustStatus;
pub use hook::Hook;
pub use hook::HookSignal;
pub use hook::HookSignalError;
pub use output::Output;
pub use renewal::Renewal;
pub use renewal::RenewalError;
pub use status::Failure;
pub use status::Files;
pub use status::Held;
pub use status::HookRun;
pub use status::Status;
pub(crate) use status::one_line;

use crate::builder::CaClientBuilder;
use crate::offer::Place;
use crate::readers::Readers;
use crate::readers::Statuses;
use crate::roster::Roster;
use crate::sds::Gate;
use crate::svid::Svid;
use crate::workload_api::AllowRule;
use engine::Engine;

/// The latest certificate, always; `None` until there is one.
pub type Svids = watch::Receiver<Option<Arc<Svid>>>;

/// Gets certificates from one CA, for ever.
#[derive(Debug)]
pub struct Agent {
    settings: AgentBuilder,
    svids: watch::Sender<Option<Arc<Svid>>>,
    status: Arc<watch::Sender<Status>>,
    wake: Arc<Notify>,
}

impl Agent {
    /// Starts with what is asked of the CA, without trust and credential: the agent chooses those anew
    /// for each attempt.
    pub fn builder(request: CaClientBuilder) -> AgentBuilder {
        AgentBuilder::new(request)
    }

    /// The latest certificate; changes with each renewal, and never back to nothing.
    #[must_use]
    pub fn svids(&self) -> Svids {
        self.svids.subscribe()
    }

    /// How the agent is.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Makes the agent renew at once when it is notified, and try until that succeeds.
    #[must_use]
    pub fn renew_now(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Runs until dropped; there is no failure that ends it.
    pub async fn run(mut self) {
        let (mut places, offers) = Place::all(1);
        let statuses = Statuses {
            shared: Arc::clone(&self.status),
            workloads: vec![Arc::clone(&self.status)],
        };
        // Whoever can connect to the SDS socket is given the secrets: its mode says who can.
        let sds = self.settings.sds.take();
        let sds = sds.map(|socket| (socket, Roster::of_one(AllowRule::any())));
        let workload_api = self.settings.workload_api.take().map(|api| {
            let (socket, allow) = api.into_parts();
            (socket, Roster::of_one(allow))
        });
        let clock = &self.settings.clock;
        let readers = Readers::new(sds, workload_api, &offers, &statuses, clock);
        let gate = readers.gate(0);
        let Some(place) = places.pop() else { return };
        tokio::select! {
            () = self.work(place, gate) => {}
            () = readers.run() => {}
        }
    }

    /// Runs until dropped, without sockets: what is held is put in `place`, and `gate` waits for who reads it there.
    pub(crate) async fn work(self, place: Place, gate: Option<Gate>) {
        let (ends, followers) = follow::connect(&self.settings, &self.status, place, gate);
        let hooks = engine::Hooks::new(&self.settings, &self.status);
        let engine = Engine::new(self.settings, self.svids, self.status, ends);
        tokio::select! {
            () = engine.run(&self.wake) => {}
            () = hooks.run(followers.published, followers.ended) => {}
            () = followers.settling.run() => {}
            () = followers.follower.run() => {}
        }
    }

    /// Where the agent tells how it is.
    pub(crate) fn status_sender(&self) -> &Arc<watch::Sender<Status>> {
        &self.status
    }
}
