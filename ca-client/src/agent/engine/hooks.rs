//! When does the hook run? After each swap, one run at a time; swaps during a run are answered by one
//! more run. One that fails runs again: nobody else tells the readers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::agent::AgentBuilder;
use crate::agent::Hook;
use crate::agent::HookRun;
use crate::agent::Status;
use crate::agent::builder::Dice;
use crate::agent::follow::Published;
use crate::agent::follow::Told;
use crate::clock::Clock;

/// Tells readers of the files.
#[derive(Debug)]
pub(in crate::agent) struct Hooks {
    /// `None` where nobody wants to be told.
    hook: Option<Hook>,
    status: Arc<watch::Sender<Status>>,
    clock: Arc<dyn Clock>,
    dice: Dice,
}

impl Hooks {
    pub(in crate::agent) fn new(
        settings: &AgentBuilder,
        status: &Arc<watch::Sender<Status>>,
    ) -> Self {
        let has_files = settings.output.is_some();
        Self {
            hook: settings.hook.clone().filter(|_| has_files),
            status: Arc::clone(status),
            clock: Arc::clone(&settings.clock),
            dice: settings.dice.clone(),
        }
    }

    /// Never ends by itself.
    pub(in crate::agent) async fn run(
        self,
        mut news: watch::Receiver<Option<Published>>,
        ended: mpsc::Sender<Told>,
    ) {
        while news.changed().await.is_ok() {
            let Some(published) = news.borrow_and_update().clone() else {
                continue;
            };
            if self.tell_until_heard(&published, &mut news).await {
                let told = Told {
                    at: Instant::now(),
                    published,
                };
                // With so many waiting to settle, a later one does as well.
                drop(ended.try_send(told));
            }
        }
        std::future::pending::<()>().await;
    }

    /// Runs the hook until it ends well; false when there is something newer to tell, or nothing to be read.
    async fn tell_until_heard(
        &self,
        published: &Published,
        news: &mut watch::Receiver<Option<Published>>,
    ) -> bool {
        let mut failures = 0;
        while !self.tell(published).await {
            failures += 1;
            let newer = tokio::time::timeout(self.wait(failures), news.changed()).await;
            if newer.is_ok() {
                news.mark_changed();
                return false;
            }
            if !published.still_stands() {
                return false;
            }
        }
        true
    }

    /// Runs the hook; whether it ended well.
    async fn tell(&self, published: &Published) -> bool {
        let Some(hook) = self.hook.as_ref().filter(|_| !published.was_told) else {
            return true;
        };
        let serial = &published.serial;
        let outcome = hook.run(serial).await;
        let result = match &outcome {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        match &outcome {
            Ok(()) => tracing::info!(serial, "the hook ran"),
            Err(error) => tracing::error!(serial, "the hook failed: {error}"),
        }
        self.status.send_modify(|status| {
            status.hook_failures += u64::from(outcome.is_err());
            status.hook = Some(HookRun {
                at: self.clock.now(),
                result,
                succeeded: outcome.is_ok(),
            });
        });
        outcome.is_ok()
    }

    fn wait(&self, failures: u32) -> Duration {
        let cap = (FIRST * 2_u32.saturating_pow(failures.min(10))).min(LONGEST);
        cap.mul_f64(0.5 + self.dice.draw().clamp(0.0, 1.0) / 2.0)
    }
}

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);
