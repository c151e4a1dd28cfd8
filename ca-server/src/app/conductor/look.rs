//! Did the operator change the files? Whatever woke us, the contents decide, and a bad set changes nothing.

use std::io;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use tracing::error;
use tracing::info;
use tracing::warn;

use super::super::ca::CaError;
use super::super::report;
use super::Conductor;
use super::directory::Failure;
use super::signers::describe;
use crate::authority::bundle;
use crate::authority::bundle::Loaded;
use crate::authority::self_signed;
use crate::rotation::Origin;
use crate::rotation::Refusal;
use crate::x509::SystemEntropy;

impl Conductor {
    /// Looks at the operator's directory, and takes what is new there.
    pub(super) async fn look(&mut self, now: SystemTime) -> Result<(), CaError> {
        self.directory.looks += 1;
        let hash = match bundle::hash(&self.settings.root_ca_dir) {
            Ok(hash) => hash,
            Err(error) => {
                self.note_unreadable(&error);
                return Ok(());
            }
        };
        self.directory.on_disk = hash;
        match hash {
            None => self.note_empty(now).await,
            Some(hash) => {
                self.directory.empty_looks = 0;
                self.take_if_new(hash, now).await
            }
        }
    }

    /// A directory that is not there is never a removal: it may be on its way back.
    fn note_unreadable(&mut self, error: &io::Error) {
        self.directory.on_disk = None;
        let is_expected =
            error.kind() == io::ErrorKind::NotFound && self.directory.loaded.is_none();
        if is_expected {
            self.directory.failure = None;
            return;
        }
        let dir = self.settings.root_ca_dir.display();
        let message = format!(
            "{dir} cannot be read: {error}; going on with the copy of what was there, put it back or mount it again"
        );
        self.note_failure(None, message);
    }

    /// One that is there without any of the files is a removal, when it is so twice.
    async fn note_empty(&mut self, now: SystemTime) -> Result<(), CaError> {
        self.directory.empty_looks = self.directory.empty_looks.saturating_add(1);
        let active = self.record.next_signer();
        let active = active.or_else(|| self.record.active_signer());
        let is_plugged_in = active.is_some_and(|signer| signer.origin == Origin::PluggedIn);
        if self.directory.empty_looks < LOOKS_OF_A_REMOVAL || !is_plugged_in {
            return Ok(());
        }
        warn!(dir = %self.settings.root_ca_dir.display(), "the CA bundle was removed: going over to the self-signed CA");
        self.directory.note_loaded(None);
        let waiting = self.record.active_signer();
        if waiting.is_some_and(|signer| signer.origin == Origin::SelfSigned) {
            let record = self.record.abort(None, now)?;
            return self.commit(record, now).await;
        }
        let generation = self.dormant_or_new_root(now)?;
        self.introduce(generation, true, now).await
    }

    fn dormant_or_new_root(
        &mut self,
        now: SystemTime,
    ) -> Result<crate::authority::Generation, CaError> {
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

    async fn take_if_new(&mut self, hash: Fingerprint, now: SystemTime) -> Result<(), CaError> {
        let is_aborted = self.record.aborted.as_deref() == Some(&hash.to_string());
        let failed_before = |failure: &Failure| failure.hash == Some(hash);
        if self.directory.loaded == Some(hash) {
            self.directory.failure = None;
            return Ok(());
        }
        if is_aborted || self.directory.failure.as_ref().is_some_and(failed_before) {
            return Ok(());
        }
        match bundle::load(&self.settings.root_ca_dir, now) {
            Ok(loaded) => self.take(loaded, hash, now).await,
            Err(error) => {
                // Half-written files are looked at again as soon as they change.
                let message = report::chain_of(&error);
                self.note_failure(Some(hash), message);
                Ok(())
            }
        }
    }

    async fn take(
        &mut self,
        loaded: Loaded,
        hash: Fingerprint,
        now: SystemTime,
    ) -> Result<(), CaError> {
        if bundle::hash(&self.settings.root_ca_dir).ok().flatten() != Some(hash) {
            // Replaced while it was read: what was loaded may be of two moments.
            return Ok(());
        }
        let issuer = loaded.generation.issuer().fingerprint();
        if let Some(not_after) = loaded.expired
            && self.record.active != issuer
        {
            let ended = humantime::format_rfc3339_seconds(not_after);
            let dir = self.settings.root_ca_dir.display();
            let message = format!(
                "{dir}: the chain of {issuer} ended at {ended}: put a bundle there that is valid"
            );
            self.note_failure(Some(hash), message);
            return Ok(());
        }
        report::bundle_warnings(&loaded.report);
        if self.settings.keeps_copies {
            self.vault.keep(&self.settings.root_ca_dir, &issuer, now)?;
        }
        let taken = self.introduce(loaded.generation, true, now).await;
        match taken {
            Ok(()) => {
                info!(%issuer, "CA bundle loaded");
                self.directory.note_loaded(Some(hash));
                Ok(())
            }
            Err(CaError::Rotation(refusal)) => {
                self.note_failure(Some(hash), refusal.to_string());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Takes `generation` as the next signer, or what is new about one that is held.
    pub(super) async fn introduce(
        &mut self,
        generation: crate::authority::Generation,
        auto: bool,
        now: SystemTime,
    ) -> Result<(), CaError> {
        let signer = describe(&generation, now);
        let (issuer, is_held) = (signer.issuer, self.record.signer(&signer.issuer).is_some());
        let known = match is_held {
            true => self.record.refresh(signer.clone(), now)?,
            false => self.record.clone(),
        };
        let record = match known.introduce(signer, auto, now) {
            Ok(record) => record,
            // The same signer with other roots beside it, or nothing new at all.
            Err(Refusal::AlreadyActive { .. } | Refusal::AlreadyNext { .. }) => known,
            Err(refusal) => return Err(refusal.into()),
        };
        self.signers.put(generation);
        let is_new_material = record == self.record && self.record.signer(&issuer).is_some();
        match is_new_material {
            true => self.enact(now).await,
            false => self.commit(record, now).await,
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

/// A volume may be empty for a moment while it is filled anew.
const LOOKS_OF_A_REMOVAL: u32 = 2;
