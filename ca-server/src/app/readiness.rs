//! Could a leaf be issued now? Signs and verifies a trial leaf and writes the ledger; one answer serves 10 seconds of askers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::api::http::Readiness;
use crate::authority::Authority;
use crate::authority::trial;
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::telemetry::metrics::Metrics;
use crate::x509::Entropy;

/// Asks the task that checks, so that a thousand probes make one check.
#[derive(Clone, Debug)]
pub(super) struct SharedReadiness {
    asks: mpsc::Sender<oneshot::Sender<Option<String>>>,
}

/// What a check needs.
pub(super) struct Checker {
    pub(super) authority: Arc<Authority>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) metrics: Metrics,
}

impl SharedReadiness {
    /// Starts the task that checks.
    pub(super) fn start(checker: Checker) -> Self {
        let (asks, mut waiting) = mpsc::channel::<oneshot::Sender<Option<String>>>(64);
        tokio::spawn(async move {
            let mut last: Option<(Instant, Option<String>)> = None;
            while let Some(ask) = waiting.recv().await {
                let (at, answer) = match last.take() {
                    Some((at, answer)) if at.elapsed() < shared_for(answer.as_ref()) => {
                        (at, answer)
                    }
                    _ => (Instant::now(), checker.check().await),
                };
                let _asker_left = ask.send(answer.clone());
                last = Some((at, answer));
            }
        });
        Self { asks }
    }
}

#[tonic::async_trait]
impl Readiness for SharedReadiness {
    async fn not_ready(&self) -> Option<String> {
        let (ask, answer) = oneshot::channel();
        if self.asks.send(ask).await.is_err() {
            return Some("stopping".to_owned());
        }
        answer
            .await
            .unwrap_or_else(|_stopped| Some("stopping".to_owned()))
    }
}

impl Checker {
    /// `None` when a leaf could be issued, or why not.
    async fn check(&self) -> Option<String> {
        let reason = self.try_everything().await.err();
        self.metrics.ready.set(i64::from(reason.is_none()));
        reason
    }

    async fn try_everything(&self) -> Result<(), String> {
        let now = self.clock.now();
        let generation = self.authority.current();
        let window = generation
            .window()
            .ok_or("the chain's certificates are never valid at the same time")?;
        if window.is_over_at(now) {
            let ended = humantime::format_rfc3339_seconds(window.not_after());
            return Err(format!("signing certificate has expired at {ended}"));
        }
        trial::sign_and_verify(&generation, now, &*self.entropy)
            .map_err(|error| error.to_string())?;
        match timeout(LEDGER, self.ledger.probe()).await {
            Ok(probed) => probed.map_err(|error| error.to_string()),
            Err(_elapsed) => Err("the ledger does not answer".to_owned()),
        }
    }
}

impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checker").finish_non_exhaustive()
    }
}

/// How long one check answers for all. A bad answer shorter, so that recovery shows.
fn shared_for(not_ready: Option<&String>) -> Duration {
    match not_ready {
        None => Duration::from_secs(10),
        Some(_) => Duration::from_secs(1),
    }
}

/// How long the ledger may take.
const LEDGER: Duration = Duration::from_secs(5);
