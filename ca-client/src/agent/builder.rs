//! How is an [`Agent`] put together? A request, what to trust first, a token, and where files go.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ring::rand::SecureRandom as _;
use ring::rand::SystemRandom;
use tokio::sync::Notify;
use tokio::sync::watch;

use super::Agent;
use super::FirstContact;
use super::Hook;
use super::Output;
use super::Renewal;
use super::Status;
use super::status::Files;
use crate::builder::CaClientBuilder;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::socket::LocalSocket;
use crate::workload_api::WorkloadApi;

/// Gathers the settings of an [`Agent`].
#[derive(Debug)]
#[must_use]
pub struct AgentBuilder {
    pub(super) request: CaClientBuilder,
    pub(super) first_contact: Option<FirstContact>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) output: Option<Output>,
    pub(super) hook: Option<Hook>,
    pub(super) renewal: Renewal,
    pub(super) settle: Duration,
    pub(super) sds: Option<LocalSocket>,
    pub(super) workload_api: Option<WorkloadApi>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) dice: Dice,
}

impl AgentBuilder {
    pub(super) fn new(request: CaClientBuilder) -> Self {
        Self {
            request,
            first_contact: None,
            token_file: None,
            output: None,
            hook: None,
            renewal: Renewal::default(),
            settle: SETTLE,
            sds: None,
            workload_api: None,
            clock: Arc::new(SystemClock),
            dice: Dice(Arc::new(draw)),
        }
    }

    /// What authenticates the CA until there is a trust bundle of our own.
    pub fn first_contact(mut self, first_contact: FirstContact) -> Self {
        self.first_contact = Some(first_contact);
        self
    }

    /// The file with the token, read again for each attempt. It may appear later.
    pub fn token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.token_file = Some(path.into());
        self
    }

    /// Where files are written and, after a restart, read. Without it, everything is lost with the process.
    pub fn output(mut self, output: Output) -> Self {
        self.output = Some(output);
        self
    }

    /// What happens after each swap of the files.
    pub fn hook(mut self, hook: Hook) -> Self {
        self.hook = Some(hook);
        self
    }

    /// When certificates are renewed; at half of their life by default.
    pub fn renewal(mut self, renewal: Renewal) -> Self {
        self.renewal = renewal;
        self
    }

    /// How long readers of the files have to take up new ones, before the CA is told that these are in use; ten
    /// seconds by default.
    pub fn settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// Where Envoys get what is held, by SDS; the CA is told that it is in use when they have acknowledged it.
    pub fn sds(mut self, socket: LocalSocket) -> Self {
        self.sds = Some(socket);
        self
    }

    /// Where workloads get what is held, by the SPIFFE Workload API.
    pub fn workload_api(mut self, api: WorkloadApi) -> Self {
        self.workload_api = Some(api);
        self
    }

    /// Where the time comes from; the machine's clocks by default.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Where numbers from 0 to 1 for jitter come from; the system's randomness by default.
    pub fn jitter_source(mut self, source: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        self.dice = Dice(Arc::new(source));
        self
    }

    /// The agent, which does nothing until it is [run](Agent::run).
    #[must_use]
    pub fn build(mut self) -> Agent {
        self.request = self.request.clock(Arc::clone(&self.clock));
        let files = match &self.output {
            Some(_) => Files::Pending,
            None => Files::NotWanted,
        };
        let status = Status {
            files,
            ..Status::default()
        };
        Agent {
            settings: self,
            svids: watch::Sender::new(None),
            status: Arc::new(watch::Sender::new(status)),
            wake: Arc::new(Notify::new()),
        }
    }
}

/// Readers that look at their files look at least this often, or are told by the hook.
const SETTLE: Duration = Duration::from_secs(10);

/// Draws numbers from 0 to 1.
#[derive(Clone)]
pub(super) struct Dice(Arc<dyn Fn() -> f64 + Send + Sync>);

impl Dice {
    pub(super) fn draw(&self) -> f64 {
        (self.0)()
    }
}

impl fmt::Debug for Dice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dice(..)")
    }
}

/// Without randomness there is no jitter, which is no reason to stop.
fn draw() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX),
        Err(_unspecified) => 0.5,
    }
}
