//! What does one agent say it uses, and does the ledger have it so? One stream's voice, from the first word to the last.

use std::time::Duration;
use std::time::SystemTime;

use proto::signet::InUse;
use proto::spiffe::SpiffeId;
use tokio::time::Instant;
use tonic::Status;
use tracing::debug;
use tracing::info;
use tracing::warn;

use super::Trust;
use super::streams::AgentKey;
use super::streams::End;
use super::streams::Moment;
use crate::ledger::Acknowledgement;
use crate::ledger::InstanceId;
use crate::ledger::LedgerError;

/// An agent that said who it is.
#[derive(Debug)]
pub(super) struct Speaker {
    key: AgentKey,
    stream: u64,
}

impl Speaker {
    /// Takes part under `instance`; whoever else does speaks for nobody from now on.
    ///
    /// # Errors
    /// When the ledger does not answer. Leave all the same, where there is a speaker.
    pub(super) async fn join(
        trust: &Trust,
        instance: InstanceId,
        spiffe_id: SpiffeId,
    ) -> Result<Self, Status> {
        let known = trust.ledger.holder(instance, spiffe_id.clone()).await;
        let said = known.map_err(|error| unwritten(&error))?.acknowledged;
        let copied_for = said
            .filter(|said| said.shared)
            .and_then(|said| copied_for(said.at, trust.clock.now(), trust.longest_leaf));
        let key = AgentKey {
            instance,
            spiffe_id,
        };
        let (stream, others) = trust.streams.join(key.clone(), copied_for, moment(trust));
        let speaker = Self { key, stream };
        if !others.is_empty() {
            warn!(%instance, spiffe_id = %speaker.key.spiffe_id, "two streams use one instance id: neither speaks for the other");
        }
        for said in others {
            if let Err(error) = speaker.write(trust, said).await {
                speaker.leave(trust, End::Broken).await;
                return Err(error);
            }
        }
        Ok(speaker)
    }

    /// Under which id.
    pub(super) fn instance(&self) -> InstanceId {
        self.key.instance
    }

    /// Notes what is in use, durably.
    ///
    /// # Errors
    /// When it cannot be so, or the ledger does not answer.
    pub(super) async fn acknowledge(&self, trust: &Trust, in_use: &InUse) -> Result<(), Status> {
        let current = trust.authority.current().bundle_number();
        if in_use.bundle > current {
            return Err(Status::invalid_argument(format!(
                "in_use: there is no trust bundle {} yet, the newest is {current}",
                in_use.bundle
            )));
        }
        let serial = Some(in_use.serial.as_str()).filter(|serial| !serial.is_empty());
        let serial = serial
            .map(str::parse)
            .transpose()
            .map_err(|error| Status::invalid_argument(format!("in_use: {error}")))?;
        let said = Acknowledgement {
            instance: self.key.instance,
            spiffe_id: self.key.spiffe_id.clone(),
            bundle: in_use.bundle,
            serial,
            at: trust.clock.now(),
            shared: false,
        };
        let said = trust
            .streams
            .note(&self.key, self.stream, said, moment(trust));
        info!(instance = %said.instance, spiffe_id = %said.spiffe_id, bundle = said.bundle, shared = said.shared, "trust bundle acknowledged");
        trust.metrics.acknowledgements.inc();
        self.write_what_holds(trust, said, Some(self.stream)).await
    }

    /// Whoever is left alone under the id may speak for it again.
    pub(super) async fn leave(self, trust: &Trust, end: End) {
        let left = trust
            .streams
            .leave(&self.key, self.stream, end, moment(trust));
        if let Some((said, by)) = left {
            // The log has it, and until it is written nothing counts.
            drop(self.write_what_holds(trust, said, by).await);
        }
    }

    /// Streams come and go while the disk is busy: the last to write has seen who is there.
    async fn write_what_holds(
        &self,
        trust: &Trust,
        mut said: Acknowledgement,
        by: Option<u64>,
    ) -> Result<(), Status> {
        loop {
            self.write(trust, said.clone()).await?;
            match trust.streams.word(&self.key, by) {
                Some(now) if now != said => said = now,
                _ => return Ok(()),
            }
        }
    }

    /// Writes it, unless it says nothing new, or is of nobody's leaf: then it would only fill the disk.
    async fn write(&self, trust: &Trust, said: Acknowledgement) -> Result<(), Status> {
        let known = trust
            .ledger
            .holder(said.instance, said.spiffe_id.clone())
            .await
            .map_err(|error| unwritten(&error))?;
        if known.newest.is_none() {
            debug!(instance = %said.instance, spiffe_id = %said.spiffe_id, "acknowledged by an agent that no leaf was issued to");
            return Ok(());
        }
        let facts = |said: &Acknowledgement| (said.bundle, said.serial, said.shared);
        let before = known.acknowledged.as_ref().map(facts);
        if before == Some(facts(&said)) && !said.shared {
            return Ok(());
        }
        let said = self.dated(trust, said);
        let written = trust.ledger.acknowledge(said).await;
        written.map_err(|error| unwritten(&error))
    }

    /// With what does not count goes when the copy was seen, for that is what the next process has to know.
    fn dated(&self, trust: &Trust, said: Acknowledgement) -> Acknowledgement {
        if !said.shared {
            return said;
        }
        let ago = trust.streams.since_last_sign(&self.key, moment(trust));
        let now = trust.clock.now();
        let at = now.checked_sub(ago.unwrap_or_default()).unwrap_or(now);
        Acknowledgement { at, ..said }
    }
}

fn moment(trust: &Trust) -> Moment {
    Moment {
        now: Instant::now(),
        longest_leaf: trust.longest_leaf,
    }
}

/// For how long there may still be copies that an earlier process saw at `seen`; never for longer than a leaf lives,
/// whatever became of the clock.
fn copied_for(seen: SystemTime, now: SystemTime, longest_leaf: Duration) -> Option<Duration> {
    let left = match now.duration_since(seen) {
        Ok(ago) => longest_leaf.checked_sub(ago)?,
        Err(_it_lies_ahead) => longest_leaf,
    };
    (!left.is_zero()).then_some(left)
}

fn unwritten(error: &LedgerError) -> Status {
    warn!(%error, "an acknowledgement was not written");
    Status::unavailable("the ledger cannot be written now; come again")
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn what_an_earlier_process_saw_lasts_as_long_as_a_leaf_at_most() {
        let seconds = Duration::from_secs;
        let now = UNIX_EPOCH + seconds(1_000_000);
        for (seen, left) in [
            (now - seconds(100), None),
            (now - seconds(99), Some(seconds(1))),
            (now, Some(seconds(100))),
            // The clock was set back meanwhile.
            (now + seconds(1), Some(seconds(100))),
            (now + seconds(1_000_000), Some(seconds(100))),
        ] {
            assert_eq!(copied_for(seen, now, seconds(100)), left, "{seen:?}");
        }
    }
}
