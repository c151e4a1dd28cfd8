//! One stream, from both sides: what is pushed waits for a watcher that reads, what it says is taken at a pace.

use std::sync::Arc;
use std::time::Duration;

use proto::signet::TrustBundle;
use proto::signet::WatchTrustBundleRequest;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio::time::MissedTickBehavior;
use tokio::time::interval;
use tokio::time::sleep_until;
use tokio::time::timeout;
use tonic::Code;
use tonic::Status;
use tonic::Streaming;
use tracing::debug;

use super::Shown;
use super::Trust;
use super::crowd::Place;
use super::speaker::Speaker;
use super::streams::End;
use crate::attest::Caller;
use crate::ledger::InstanceId;

/// One stream.
pub(super) struct Watcher {
    trust: Trust,
    shown: Shown,
    caller: Caller,
    pushed: mpsc::Sender<Result<TrustBundle, Status>>,
    news: News,
    speaker: Option<Speaker>,
    _place: Place,
}

/// What is still to be pushed: the latest state only, however many there were.
#[derive(Default)]
struct News {
    told: Option<Arc<TrustBundle>>,
    waiting: Option<Arc<TrustBundle>>,
    since: Option<Instant>,
}

/// Why there is nothing more to say.
enum Over {
    /// The watcher has left.
    Left(End),
    /// It is sent away.
    Refused(Status),
    /// Everybody is.
    Stopping,
}

impl From<Status> for Over {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl Watcher {
    pub(super) fn new(
        trust: Trust,
        shown: Shown,
        caller: Caller,
        pushed: mpsc::Sender<Result<TrustBundle, Status>>,
        place: Place,
    ) -> Self {
        Self {
            trust,
            shown,
            caller,
            pushed,
            news: News::default(),
            speaker: None,
            _place: place,
        }
    }

    /// Pushes and listens until one side ends it.
    pub(super) async fn follow(mut self, mut said: Streaming<WatchTrustBundleRequest>) {
        self.trust.metrics.watchers.inc();
        let Err(over) = self.converse(&mut said).await;
        self.trust.metrics.watchers.dec();
        let (end, farewell) = match over {
            Over::Left(end) => (Some(end), None),
            Over::Refused(status) => (Some(End::Broken), Some(status)),
            // Nobody is told apart from anybody by our end.
            Over::Stopping => (None, Some(Status::unavailable("the server is stopping"))),
        };
        if let (Some(speaker), Some(end)) = (self.speaker.take(), end) {
            speaker.leave(&self.trust, end).await;
        }
        if let Some(status) = farewell {
            debug!(spiffe_id = %self.caller.spiffe_id(), reason = status.message(), "watcher sent away");
            // It may have gone by itself, or not read.
            drop(timeout(FAREWELL, self.pushed.send(Err(status))).await);
        }
    }

    async fn converse(
        &mut self,
        said: &mut Streaming<WatchTrustBundleRequest>,
    ) -> Result<std::convert::Infallible, Over> {
        let (stop, pushed) = (self.trust.stop.clone(), self.pushed.clone());
        let mut changes = self.trust.changes.clone();
        changes.mark_changed();
        let mut recheck = interval(RECHECK);
        recheck.tick().await;
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut listens = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Err(Over::Stopping),
                () = pushed.closed() => return Err(Over::Left(End::Broken)),
                changed = changes.changed() => match changed {
                    Ok(()) => self.note_change(),
                    Err(_nobody_changes_anything_any_more) => return Err(Over::Stopping),
                },
                place = pushed.reserve(), if self.news.waiting.is_some() => match (place, self.news.take()) {
                    (Ok(place), Some(bundle)) => place.send(Ok(bundle)),
                    _ => return Err(Over::Left(End::Broken)),
                },
                () = self.news.overdue() => return Err(does_not_read().into()),
                heard = said.message(), if listens => {
                    listens = false;
                    pace.reset();
                    match heard {
                        Ok(Some(said)) => self.hear(said).await?,
                        Ok(None) => return Err(Over::Left(End::InOrder)),
                        Err(_broken) => return Err(Over::Left(End::Broken)),
                    }
                },
                _ = pace.tick(), if !listens => listens = true,
                _ = recheck.tick() => self.look_again().await?,
            }
        }
    }

    fn note_change(&mut self) {
        let trust_domain = self.caller.spiffe_id().trust_domain();
        let generation = self.trust.authority.current();
        let latest = self.trust.bulletin.of(&generation, trust_domain.as_str());
        self.news.note(latest);
    }

    async fn hear(&mut self, said: WatchTrustBundleRequest) -> Result<(), Status> {
        let instance: InstanceId = said
            .instance
            .parse()
            .map_err(|error| Status::invalid_argument(format!("instance: {error}")))?;
        self.trust.attest_again(&self.shown, &self.caller).await?;
        let speaker = match &self.speaker {
            Some(known) if known.instance() == instance => known,
            Some(_) => {
                return Err(Status::invalid_argument(
                    "instance: it changed in mid-stream",
                ));
            }
            None => {
                let spiffe_id = self.caller.spiffe_id().clone();
                let joined = Speaker::join(&self.trust, instance, spiffe_id).await?;
                self.speaker.insert(joined)
            }
        };
        match &said.in_use {
            Some(in_use) => speaker.acknowledge(&self.trust, in_use).await,
            None => Ok(()),
        }
    }

    /// A ledger that is away for a moment is no reason to send everybody away: nothing is believed meanwhile.
    async fn look_again(&self) -> Result<(), Status> {
        let again = self.trust.attest_again(&self.shown, &self.caller).await;
        again.or_else(|status| match status.code() {
            Code::Unavailable => Ok(()),
            _ => Err(status),
        })
    }
}

impl News {
    fn note(&mut self, latest: Arc<TrustBundle>) {
        let is_told = self
            .told
            .as_ref()
            .is_some_and(|told| Arc::ptr_eq(told, &latest));
        if is_told {
            (self.waiting, self.since) = (None, None);
            return;
        }
        self.since.get_or_insert_with(Instant::now);
        self.waiting = Some(latest);
    }

    fn take(&mut self) -> Option<TrustBundle> {
        self.since = None;
        self.told = self.waiting.take();
        self.told.as_deref().cloned()
    }

    /// Ends when something has waited for too long.
    async fn overdue(&self) {
        match self.since {
            Some(since) => sleep_until(since + PATIENCE).await,
            None => std::future::pending().await,
        }
    }
}

fn does_not_read() -> Status {
    Status::deadline_exceeded("the trust bundle was not read in time; come again and read")
}

/// How often the evidence is looked at again, if nothing is said.
const RECHECK: Duration = Duration::from_secs(60);
/// Between two words of one watcher: each may cost a durable write.
const PACE: Duration = Duration::from_millis(100);
/// How long a push may wait for its watcher to read the one before.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a refusal waits for the same.
const FAREWELL: Duration = Duration::from_secs(5);
