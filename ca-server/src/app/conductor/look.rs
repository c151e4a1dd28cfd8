//! Did the operator change the files? Whatever woke us, the contents decide, and a bad set changes nothing.

use std::io;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use tokio::task::spawn_blocking;
use tracing::debug;
use tracing::error;
use tracing::info;
use tracing::warn;

use super::super::ca::CaError;
use super::super::report;
use super::Conductor;
use super::directory::Failure;
use crate::authority::Generation;
use crate::authority::Source;
use crate::authority::bundle::BundleError;
use crate::authority::bundle::Content;
use crate::authority::self_signed;
use crate::rotation::Origin;
use crate::rotation::Record;
use crate::rotation::Refusal;
use crate::x509::SystemEntropy;

impl Conductor {
    /// Looks at the operator's directory, and takes what is new there. What does not work is noted, and tried again at
    /// the next look: a disk may have room then, a date may have come.
    pub(super) async fn look(&mut self, now: SystemTime) -> Result<(), CaError> {
        if self.unfinished {
            self.enact(now).await?;
        }
        self.directory.looks += 1;
        let dir = self.settings.root_ca_dir.clone();
        let read = spawn_blocking(move || Content::read(&dir)).await;
        let content = match read.unwrap_or_else(|ended| Err(ended.into())) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                debug!(%error, "the CA bundle is looked at again");
                return Ok(());
            }
            Err(error) => {
                self.note_unreadable(&error);
                return Ok(());
            }
        };
        let hash = content.hash();
        self.directory.on_disk = hash;
        match hash {
            None => self.note_empty(now).await,
            Some(hash) => {
                self.directory.empty_since = None;
                self.take_if_new(&content, hash, now).await;
            }
        }
        Ok(())
    }

    /// A directory that is not there is never a removal: it may be on its way back.
    fn note_unreadable(&mut self, error: &io::Error) {
        self.directory.on_disk = None;
        self.directory.empty_since = None;
        if error.kind() == io::ErrorKind::NotFound && !self.is_plugged_in() {
            self.directory.note_loaded(None);
            return;
        }
        let dir = self.settings.root_ca_dir.display();
        let message = format!(
            "{dir} cannot be read: {error}; going on with what was there, put it back or mount it again"
        );
        self.note_failure(None, message);
    }

    /// Whether the last signer that came is an operator's.
    fn is_plugged_in(&self) -> bool {
        let waiting = self.record.next_signer();
        let last = waiting.or_else(|| self.record.active_signer());
        last.is_some_and(|signer| signer.origin == Origin::PluggedIn)
    }

    /// One that is there without any of the files is a removal, when it still is so an interval later.
    async fn note_empty(&mut self, now: SystemTime) {
        if !self.is_plugged_in() {
            self.directory.note_loaded(None);
            return;
        }
        let elapsed = self.started.elapsed();
        let since = *self.directory.empty_since.get_or_insert(elapsed);
        // Hints may come one upon the other while files are moved away and new ones in.
        if elapsed <= since || elapsed - since < self.settings.reload_interval {
            return;
        }
        match self.go_self_signed(now).await {
            Ok(()) => {
                warn!(dir = %self.settings.root_ca_dir.display(), "the CA bundle was removed: going over to the self-signed CA");
                self.directory.note_loaded(None);
            }
            Err(error) => self.note_failure(None, report::chain_of(&error)),
        }
    }

    async fn go_self_signed(&mut self, now: SystemTime) -> Result<(), CaError> {
        let active = self.record.active_signer();
        if active.is_some_and(|signer| signer.origin == Origin::SelfSigned) {
            let record = self.record.abort(None, now)?;
            return self.commit(record, now).await;
        }
        let generation = self.dormant_or_new_root(now)?;
        self.introduce(generation, true, now).await
    }

    fn dormant_or_new_root(&mut self, now: SystemTime) -> Result<Generation, CaError> {
        let held = self
            .record
            .signers
            .iter()
            .rev()
            .find(|signer| signer.origin == Origin::SelfSigned && signer.tainted.is_none());
        let held = held.and_then(|signer| self.signers.get(&signer.issuer));
        if let Some(held) = held {
            return Ok(held.as_ref().clone());
        }
        Ok(self_signed::make_root(
            &self.settings.data_dir,
            &self.settings.trust_domain,
            now,
            &SystemEntropy,
        )?)
    }

    async fn take_if_new(&mut self, content: &Content, hash: Fingerprint, now: SystemTime) {
        let is_aborted = self.record.aborted.as_deref() == Some(&hash.to_string());
        if self.directory.loaded == Some(hash) || is_aborted {
            self.directory.failure = None;
            return;
        }
        match self.take(content, now).await {
            Ok(()) => self.directory.note_loaded(Some(hash)),
            Err(error) => self.note_failure(Some(hash), report::chain_of(&error)),
        }
    }

    /// May be done again after it failed, however far it came.
    async fn take(&mut self, content: &Content, now: SystemTime) -> Result<(), CaError> {
        let loaded = content.load(now)?;
        let issuer = loaded.generation.issuer().fingerprint();
        if loaded.expired.is_some() && self.record.active != issuer {
            let report = Box::new(loaded.report);
            return Err(BundleError::Refused { report }.into());
        }
        let record = self.after_introducing(&loaded.generation, true, now)?;
        // Only what may come is copied, and it is copied before anything depends on it.
        if self.settings.keeps_copies {
            self.vault.keep(content, &issuer, now)?;
        }
        self.adopt(loaded.generation, record, now).await?;
        report::bundle_warnings(&loaded.report);
        info!(%issuer, "CA bundle loaded");
        self.destroy_leftovers();
        Ok(())
    }

    /// Takes `generation` as the next signer, or what is new about one that is held.
    pub(super) async fn introduce(
        &mut self,
        generation: Generation,
        auto: bool,
        now: SystemTime,
    ) -> Result<(), CaError> {
        let record = self.after_introducing(&generation, auto, now)?;
        // Files that were given up stay so, whoever else comes.
        let aborted = self.record.aborted.clone();
        let record = Record { aborted, ..record };
        self.adopt(generation, record, now).await
    }

    fn after_introducing(
        &self,
        generation: &Generation,
        auto: bool,
        now: SystemTime,
    ) -> Result<Record, CaError> {
        let signer = self.admit(generation, now)?;
        let known = match self.record.signer(&signer.issuer) {
            Some(_) => self.record.refresh(signer.clone(), now)?,
            None => self.record.clone(),
        };
        match known.introduce(signer, auto, now) {
            // The same signer with other roots beside it, or nothing new at all.
            Err(Refusal::AlreadyActive { .. } | Refusal::AlreadyNext { .. }) => Ok(Record {
                aborted: None,
                ..known
            }),
            introduced => Ok(introduced?),
        }
    }

    async fn adopt(
        &mut self,
        generation: Generation,
        record: Record,
        now: SystemTime,
    ) -> Result<(), CaError> {
        let issuer = generation.issuer().fingerprint();
        let is_ours = matches!(generation.source(), Source::SelfSigned { .. });
        let was_held = self.signers.get(&issuer).is_some();
        self.signers.put(generation);
        let adopted = match record == self.record {
            true => self.enact(now).await,
            false => self.commit(record, now).await,
        };
        if adopted.is_err() && !was_held && self.record.signer(&issuer).is_none() {
            self.signers.remove(&issuer);
            // Each new attempt makes another one.
            if is_ours {
                self_signed::destroy(&self.settings.data_dir, &mut self.state, &issuer)?;
            }
        }
        adopted
    }

    /// Nobody would know of copies of keys that a crash left.
    pub(super) fn destroy_leftovers(&self) {
        let signers = &self.record.signers;
        let held: Vec<Fingerprint> = signers.iter().map(|signer| signer.issuer).collect();
        let roots = signers.iter().map(|signer| signer.root);
        let known: Vec<Fingerprint> = roots.chain(self.record.dropped_roots.clone()).collect();
        match self_signed::remove_leftovers(&self.settings.data_dir, &held, &known) {
            Ok(removed) => {
                for issuer in removed {
                    info!(%issuer, "a self-signed signer that nobody needs was destroyed");
                }
            }
            Err(error) => {
                warn!(error = %report::chain_of(&error), "self-signed signers that nobody needs are left");
            }
        }
        match self.vault.destroy_others(&held) {
            Ok(0) => {}
            Ok(copies) => info!(
                copies,
                "copies of CA bundles that nobody needs were destroyed"
            ),
            Err(error) => {
                warn!(error = %report::chain_of(&error), "copies of CA bundles that nobody needs are left");
            }
        }
    }

    fn note_failure(&mut self, hash: Option<Fingerprint>, message: String) {
        let failure = Failure {
            hash,
            message: message.clone(),
        };
        if self.directory.note_failure(failure) {
            error!(
                on_disk = self.directory.figures().on_disk,
                loaded = self.directory.figures().loaded,
                "keeping the last good CA: {message}"
            );
        }
    }
}
