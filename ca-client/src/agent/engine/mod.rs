//! What does the agent do next? One loop: look at clocks and files, try when something is due, wait a
//! little. It looks at least once a second, so nothing that happens to the machine is missed for long.

mod disk;
mod hooks;
mod running;
mod trying;

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::spiffe::SpiffeId;
use tokio::sync::Notify;
use tokio::sync::watch;

pub(super) use hooks::run_hooks;

use super::AgentBuilder;
use super::Output;
use super::attempt::Evidence;
use super::moment::Moment;
use super::status::Status;
use super::watched::Watched;
use crate::csr::KeyAndCsr;
use crate::svid::Svid;

/// The agent at work.
#[derive(Debug)]
pub(super) struct Engine {
    settings: AgentBuilder,
    output: Option<Arc<Mutex<Output>>>,
    svids: watch::Sender<Option<Arc<Svid>>>,
    status: Arc<watch::Sender<Status>>,
    /// The serial of what was written last.
    written: watch::Sender<String>,
    held: Option<Current>,
    /// What authenticates the CA, once there is a bundle.
    bundle: Option<Vec<Certificate>>,
    /// Renewals keep this name.
    insisted: Option<SpiffeId>,
    /// What the CA is asked to certify, until it did.
    key: Option<Arc<KeyAndCsr>>,
    first: Evidence,
    token: Watched,
    roots: Watched,
    retry: Option<Retry>,
    /// The failure that the log had last, and when.
    complaint: Option<(String, Moment)>,
    last_look: Moment,
    on_disk: bool,
    /// Somebody asked for a renewal, and there was none since.
    forced: bool,
}

/// The certificate in use.
#[derive(Debug)]
struct Current {
    svid: Arc<Svid>,
    received: Moment,
    renew_after: Duration,
}

/// A wait after a failure.
#[derive(Clone, Copy, Debug)]
struct Retry {
    from: Moment,
    wait: Duration,
    /// The CA asked for it, so that only time ends it.
    pushed: bool,
}

impl Engine {
    pub(super) fn new(
        mut settings: AgentBuilder,
        svids: watch::Sender<Option<Arc<Svid>>>,
        status: Arc<watch::Sender<Status>>,
        written: watch::Sender<String>,
    ) -> Self {
        let roots = settings.first_contact.as_ref().and_then(|it| it.file());
        Self {
            output: settings.output.take().map(Mutex::new).map(Arc::new),
            token: Watched::new(settings.token_file.clone()),
            roots: Watched::new(roots.cloned()),
            last_look: Moment::now(settings.clock.as_ref()),
            settings,
            svids,
            status,
            written,
            held: None,
            bundle: None,
            insisted: None,
            key: None,
            first: Evidence::Token,
            retry: None,
            complaint: None,
            on_disk: false,
            forced: false,
        }
    }

    /// Never ends by itself.
    pub(super) async fn run(mut self, wake: &Notify) {
        self.load().await;
        loop {
            let now = self.look();
            self.tend_files(now).await;
            if self.until_due(now).is_zero() {
                self.try_once(now).await;
                continue;
            }
            let pause = self.until_due(now).min(LOOK).max(BREATH);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = wake.notified() => {
                    self.forced = true;
                    self.retry = None;
                }
            }
        }
    }

    /// Notices what happened to clocks, token and roots since the last look.
    fn look(&mut self) -> Moment {
        let now = Moment::now(self.settings.clock.as_ref());
        let jump = now.jump_since(self.last_look);
        self.last_look = now;
        if let Some(jump) = jump {
            let by = humantime::format_duration(Duration::from_secs(jump.by.as_secs()));
            tracing::warn!(%by, direction = jump.direction, "the clock jumped, or the machine slept");
            self.status.send_modify(|status| status.clock_jumps += 1);
        }
        let token = self.token.has_changed();
        let roots = self.roots.has_changed();
        if token {
            self.first = Evidence::Token;
        }
        if (token || roots || jump.is_some()) && self.retry.is_some_and(|retry| !retry.pushed) {
            self.retry = None;
        }
        if jump.is_some() {
            self.tell_next(now);
        }
        now
    }

    /// The time of day, but not earlier than the CA's clock can be: when it signed what we hold, it had
    /// passed the start of that, and time went on since.
    fn ca_has_passed(&self, now: Moment) -> SystemTime {
        let least = self
            .held
            .as_ref()
            .map(|held| held.svid.not_before() + now.steadily_since(held.received));
        least.map_or(now.wall, |least| least.max(now.wall))
    }

    /// How long until something should be tried; zero is now.
    fn until_due(&self, now: Moment) -> Duration {
        let due = match &self.held {
            None => Duration::ZERO,
            Some(_) if self.forced => Duration::ZERO,
            Some(held) if held.svid.not_after() < now.wall => Duration::ZERO,
            Some(held) => held.renew_after.saturating_sub(now.since(held.received)),
        };
        let retry = self.retry.map_or(Duration::ZERO, |retry| {
            retry.wait.saturating_sub(now.steadily_since(retry.from))
        });
        due.max(retry)
    }

    fn tell_next(&self, now: Moment) {
        let next = now.wall + self.until_due(now);
        self.status
            .send_modify(|status| status.next_attempt = Some(next));
    }
}

/// The longest time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// The shortest.
const BREATH: Duration = Duration::from_millis(1);
