//! What do workloads use? What was published, told to readers by the hook, had time to settle, and is acknowledged by
//! those who read over SDS.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::Weak;
use std::time::Duration;

use proto::signet::InUse;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::Instant;

use super::memory;
use crate::agent::status::one_line;
use crate::sds::Gate;

/// A set that workloads can have: files renamed, watchers informed.
#[derive(Clone, Debug)]
pub(in crate::agent) struct Published {
    pub(in crate::agent) serial: String,
    /// `None` of a CA that does not count its bundles: then there is nothing to acknowledge.
    pub(in crate::agent) bundle: Option<u64>,
    /// An earlier run told everybody.
    pub(in crate::agent) was_told: bool,
    /// Held by the engine until it finds that the files were taken away.
    pub(in crate::agent) standing: Weak<()>,
}

impl Published {
    pub(in crate::agent) fn is_as(&self, other: &Self) -> bool {
        (&self.serial, self.bundle) == (&other.serial, other.bundle)
    }

    /// Whether the files were there ever since.
    pub(in crate::agent) fn still_stands(&self) -> bool {
        self.standing.strong_count() > 0
    }

    fn in_use(&self) -> Option<InUse> {
        Some(InUse {
            bundle: self.bundle?,
            serial: self.serial.clone(),
        })
    }
}

/// Readers were told.
#[derive(Debug)]
pub(in crate::agent) struct Told {
    pub(in crate::agent) at: Instant,
    pub(in crate::agent) published: Published,
}

/// Waits until readers have taken up what they were told of.
#[derive(Debug)]
pub(in crate::agent) struct Settling {
    pub(super) settle: Duration,
    pub(super) told: mpsc::Receiver<Told>,
    pub(super) in_use: watch::Sender<Option<InUse>>,
    /// Waits for readers over SDS, where there may be some.
    pub(super) gate: Option<Gate>,
    /// Where it is remembered, if anywhere.
    pub(super) memory: Option<Arc<Path>>,
}

impl Settling {
    /// Never ends by itself. Each waits its own time, so that swaps in quick succession put off nothing; of those that
    /// wait for readers over SDS, the latest speaks for all.
    pub(in crate::agent) async fn run(mut self) {
        let mut settling: VecDeque<Told> = VecDeque::new();
        let mut settled: Option<Published> = None;
        loop {
            let next = settling.front().map(|told| self.until(told));
            tokio::select! {
                biased;
                () = passed(self.gate.as_ref()), if settled.is_some() => {
                    if let Some(published) = settled.take() {
                        self.acknowledge(published).await;
                    }
                }
                () = sleep_until(next) => {
                    settled = settling.pop_front().map(|told| told.published);
                }
                Some(told) = self.told.recv() => settling.push_back(told),
            }
        }
    }

    fn until(&self, told: &Told) -> Instant {
        match told.published.was_told {
            true => told.at,
            false => told.at + self.settle,
        }
    }

    /// What was lost meanwhile is published again when it is back.
    async fn acknowledge(&self, published: Published) {
        if !published.was_told {
            if !published.still_stands() {
                return;
            }
            self.remember(published.clone()).await;
        }
        if let Some(in_use) = published.in_use() {
            self.in_use.send_replace(Some(in_use));
        }
    }

    async fn remember(&self, published: Published) {
        let Some(dir) = self.memory.clone() else {
            return;
        };
        let kept = tokio::task::spawn_blocking(move || memory::keep_told(&dir, &published)).await;
        if let Ok(Err(error)) = kept {
            tracing::debug!("what is in use is not kept: {}", one_line(&error));
        }
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn passed(gate: Option<&Gate>) {
    if let Some(gate) = gate {
        gate.passed().await;
    }
}
