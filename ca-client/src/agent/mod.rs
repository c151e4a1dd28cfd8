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
use crate::sds;
use crate::svid::Svid;
use crate::workload_api;
use engine::Engine;

/// The latest certificate, always; `None` until there is one.
pub type Svids = watch::Receiver<Option<Arc<Svid>>>;

/// Gets certificates from one CA, for ever.
#[derive(Debug)]
pub struct Agent {
    settings: AgentBuilder,
    svids: watch::Sender<Option<Arc<Svid>>>,
    status: watch::Sender<Status>,
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
    pub async fn run(self) {
        let status = Arc::new(self.status);
        let (ends, followers) = follow::connect(&self.settings, &status);
        let hooks = engine::Hooks::new(&self.settings, &status);
        let engine = Engine::new(self.settings, self.svids, status, ends);
        tokio::select! {
            () = engine.run(&self.wake) => {}
            () = hooks.run(followers.published, followers.ended) => {}
            () = followers.settling.run() => {}
            () = followers.follower.run() => {}
            () = serve_envoys(followers.sds) => {}
            () = serve_workloads(followers.workload_api) => {}
        }
    }
}

async fn serve_envoys(server: Option<sds::Server>) {
    match server {
        Some(server) => server.run().await,
        None => std::future::pending().await,
    }
}

async fn serve_workloads(server: Option<workload_api::Server>) {
    match server {
        Some(server) => server.run().await,
        None => std::future::pending().await,
    }
}
