//! When is everybody who holds a leaf looked at, and when is forgotten who holds none? Seldom where there are many: a look
//! reads a row for each of them.

use std::time::Duration;
use std::time::SystemTime;

use super::super::ca::CaError;
use super::Conductor;
use super::upkeep::Seen;
use crate::ledger::Ledger;
use crate::rotation::Pace;
use crate::rotation::Step;
use crate::rotation::awaited;
use crate::rotation::due;

/// When the next ones may be.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    look: Pace,
    /// The number of the generation that was in force at the last look: after a step the next one is looked for at once.
    generation: Option<u64>,
    release: Pace,
    prune: Pace,
    next_prune: Duration,
}

impl Conductor {
    /// What is seen, and the step that is due then; `None` when it was looked a moment ago.
    pub(super) async fn look_if_allowed(
        &mut self,
    ) -> Result<Option<(Seen, Option<Step>)>, CaError> {
        let began = self.started.elapsed();
        let generation = Some(self.authority.current().number());
        if self.lookout.generation == generation && !self.lookout.look.allows(began) {
            return Ok(None);
        }
        let seen = self.see().await;
        // What fails is tried again, at the same pace: it may have failed because it took too long.
        self.lookout.look = Pace::after(began, self.started.elapsed());
        self.lookout.generation = generation;
        let seen = seen?;
        let evidence = seen.evidence(self);
        let step = due(&self.record, &evidence);
        self.awaited = awaited(&self.record, &evidence);
        self.lookout.look = Pace::after(began, self.started.elapsed());
        Ok(Some((seen, step)))
    }

    /// Publishes again what may have been let go of by now: roots that no signer has, from before there was a record, stay
    /// as long as leaves under them live, and so does what was withheld.
    pub(super) async fn release_roots(&mut self, now: SystemTime) -> Result<(), CaError> {
        let began = self.started.elapsed();
        if !self.has_surplus() || !self.lookout.release.allows(began) {
            return Ok(());
        }
        let released = self.enact_if_changed(now).await;
        self.lookout.release = Pace::after(began, self.started.elapsed());
        released
    }

    fn has_surplus(&self) -> bool {
        let needed = self.record.roots(&[]);
        let stored = self.trust_bundle.since();
        self.withheld.is_any()
            || stored.keys().any(|root| !needed.contains(root))
            || self.trust_bundle.has_outlived_root(self.gate_time.now())
    }

    /// Forgets marks of leaves that are long over: some now and then, more as long as there are more.
    pub(super) async fn prune(&mut self) -> Result<(), CaError> {
        let began = self.started.elapsed();
        if began < self.lookout.next_prune || !self.lookout.prune.allows(began) {
            return Ok(());
        }
        let pruned = self.ledger.prune_marks(self.gate_time.now()).await;
        let ended = self.started.elapsed();
        self.lookout.prune = Pace::after(began, ended);
        self.lookout.next_prune = match pruned? {
            0 => ended + BETWEEN_PRUNINGS,
            _ => ended,
        };
        Ok(())
    }
}

/// Whoever is of no use any more may stay for a while.
const BETWEEN_PRUNINGS: Duration = Duration::from_secs(10 * 60);
