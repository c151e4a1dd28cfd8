//! What does the agent do next? One loop: look at clocks and files, try when something is due, wait a
//! little. It looks at least once a second, so nothing that happens to the machine is missed for long.

mod disk;
mod errand;
mod estranged;
mod failing;
mod hearing;
mod hooks;
mod running;
mod trying;

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::SystemTime;

use proto::signet::TrustBundle;
use proto::spiffe::SpiffeId;
use tokio::sync::Notify;
use tokio::sync::watch;
use zeroize::Zeroizing;

pub(super) use hooks::Hooks;

use super::AgentBuilder;
use super::Output;
use super::aside::Aside;
use super::attempt::Evidence;
use super::follow::Advice;
use super::follow::EngineEnds;
use super::follow::Published;
use super::moment::Moment;
use super::status::Status;
use super::watched::Watched;
use crate::bundle::Bundle;
use crate::csr::KeyAndCsr;
use crate::instance::InstanceId;
use crate::svid::Svid;
use errand::Tended;

/// The agent at work.
#[derive(Debug)]
pub(super) struct Engine {
    settings: AgentBuilder,
    output: Option<Arc<Mutex<Output>>>,
    svids: watch::Sender<Option<Arc<Svid>>>,
    status: Arc<watch::Sender<Status>>,
    ends: EngineEnds,
    instance: Option<InstanceId>,
    /// What an earlier run had told everybody.
    told: Option<Published>,
    held: Option<Current>,
    /// What an earlier run held, and since when: expired, if our clock is right.
    expired: Option<(Arc<Svid>, Option<SystemTime>)>,
    /// What authenticates the CA, once there is a bundle.
    bundle: Option<Arc<Bundle>>,
    /// The message that was heard last.
    heard: Option<Arc<TrustBundle>>,
    /// The bundle that the certificate did not lead to when it was heard of.
    unfit: Option<u64>,
    /// To renew before it is due.
    advice: Option<Advice>,
    /// Renewals keep this name.
    insisted: Option<SpiffeId>,
    /// What the CA is asked to certify, until it did.
    key: Option<Arc<KeyAndCsr>>,
    first: Evidence,
    token: Watched,
    roots: Watched,
    tokens: Aside<io::Result<Zeroizing<String>>>,
    given_roots: Aside<io::Result<Vec<u8>>>,
    disk: Aside<Tended>,
    retry: Option<Retry>,
    /// The failure that the log had last, and when.
    complaint: Option<(String, Moment)>,
    last_look: Moment,
    on_disk: bool,
    /// Replaced when files are found lost: what was published before is in nobody's use for certain.
    standing: Arc<()>,
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
        ends: EngineEnds,
    ) -> Self {
        let roots = settings.first_contact.as_ref().and_then(|it| it.file());
        Self {
            output: settings.output.take().map(Mutex::new).map(Arc::new),
            token: Watched::new(settings.token_file.clone()),
            roots: Watched::new(roots.cloned()),
            tokens: Aside::new(),
            given_roots: Aside::new(),
            disk: Aside::new(),
            last_look: Moment::now(settings.clock.as_ref()),
            settings,
            svids,
            status,
            ends,
            instance: None,
            told: None,
            held: None,
            expired: None,
            bundle: None,
            heard: None,
            unfit: None,
            advice: None,
            insisted: None,
            key: None,
            first: Evidence::Token,
            retry: None,
            complaint: None,
            on_disk: false,
            standing: Arc::default(),
            forced: false,
        }
    }

    /// Never ends by itself.
    pub(super) async fn run(mut self, wake: &Notify) {
        self.load().await;
        loop {
            let now = self.look().await;
            self.take_up_if_good(now);
            self.hear(now);
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
                () = self.ends.word() => {}
            }
        }
    }

    /// Notices what happened to clocks, token and roots since the last look.
    async fn look(&mut self) -> Moment {
        let now = Moment::now(self.settings.clock.as_ref());
        let jump = now.jump_since(self.last_look);
        self.last_look = now;
        if let Some(jump) = jump {
            let by = humantime::format_duration(Duration::from_secs(jump.by.as_secs()));
            tracing::warn!(%by, direction = jump.direction, "the clock jumped, or the machine slept");
            self.status.send_modify(|status| {
                status.clock_jumps += 1;
                status.ca_clock_offset = None;
            });
        }
        let token = self.token.has_changed().await;
        let roots = self.roots.has_changed().await;
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
        self.held.as_ref().map_or(now.wall, |held| {
            now.not_before(held.svid.not_before(), held.received)
        })
    }

    /// How long until something should be tried; zero is now.
    fn until_due(&self, now: Moment) -> Duration {
        let due = match &self.held {
            None => Duration::ZERO,
            Some(_) if self.forced => Duration::ZERO,
            Some(held) if held.svid.not_after() < now.wall => Duration::ZERO,
            Some(held) => {
                let planned = held.renew_after.saturating_sub(now.since(held.received));
                self.advised(now)
                    .map_or(planned, |early| early.min(planned))
            }
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
