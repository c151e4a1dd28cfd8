//! When does the hook run? After each swap, one run at a time; swaps during a run are answered by one
//! more run.

use std::sync::Arc;

use tokio::sync::watch;

use crate::agent::Hook;
use crate::agent::HookRun;
use crate::agent::Status;
use crate::clock::Clock;

/// Never ends by itself.
pub(in crate::agent) async fn run_hooks(
    hook: Option<Hook>,
    mut news: watch::Receiver<String>,
    status: &watch::Sender<Status>,
    clock: Arc<dyn Clock>,
) {
    let Some(hook) = hook else {
        return std::future::pending::<()>().await;
    };
    while news.changed().await.is_ok() {
        let serial = news.borrow_and_update().clone();
        let outcome = hook.run(&serial).await;
        let result = match &outcome {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        match &outcome {
            Ok(()) => tracing::info!(serial, "the hook ran"),
            Err(error) => tracing::error!(serial, "the hook failed: {error}"),
        }
        status.send_modify(|status| {
            status.hook_failures += u64::from(outcome.is_err());
            status.hook = Some(HookRun {
                at: clock.now(),
                result,
                succeeded: outcome.is_ok(),
            });
        });
    }
    std::future::pending::<()>().await;
}
