//! What becomes of a signer that comes? It is admitted and kept, or leaves nothing behind.

use std::time::SystemTime;

use proto::certificate::Fingerprint;
use tracing::info;
use tracing::warn;

use super::super::ca::CaError;
use super::super::report;
use super::Conductor;
use super::manner::Manner;
use crate::authority::Generation;
use crate::authority::Source;
use crate::authority::bundle::BundleError;
use crate::authority::bundle::Content;
use crate::authority::self_signed;
use crate::rotation::Record;
use crate::rotation::Refusal;

impl Conductor {
    pub(super) async fn take_if_new(
        &mut self,
        content: &Content,
        hash: Fingerprint,
        now: SystemTime,
    ) {
        if self.is_given_up() {
            self.note_given_up();
            return;
        }
        // The files that sign came back: what was given up is forgotten.
        if self.directory.loaded == Some(hash) && self.record.aborted.is_none() {
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
        let manner = self.directory.manner();
        let record = self.after_introducing(&loaded.generation, manner, now)?;
        // Only what may come is copied, and it is copied before anything depends on it.
        if self.settings.keeps_copies {
            self.vault.keep(content, &issuer, now)?;
        }
        self.adopt(loaded.generation, record, now).await?;
        report::bundle_warnings(&loaded.report);
        info!(%issuer, "CA bundle loaded");
        Ok(())
    }

    /// Takes `generation` as the next signer, or what is new about one that is held. One of our own that is not taken is
    /// destroyed: each attempt makes another.
    pub(super) async fn introduce(
        &mut self,
        generation: Generation,
        auto: bool,
        now: SystemTime,
    ) -> Result<(), CaError> {
        let manner = Manner {
            auto,
            ..Manner::BY_ITSELF
        };
        self.introduce_in(generation, manner, now).await
    }

    /// The same, in that `manner`.
    pub(super) async fn introduce_in(
        &mut self,
        generation: Generation,
        manner: Manner,
        now: SystemTime,
    ) -> Result<(), CaError> {
        let record = match self.after_introducing(&generation, manner, now) {
            Ok(record) => record,
            Err(error) => {
                self.discard(&generation);
                return Err(error);
            }
        };
        let record = self.still_given_up(record);
        self.adopt(generation, record, now).await
    }

    fn after_introducing(
        &self,
        generation: &Generation,
        manner: Manner,
        now: SystemTime,
    ) -> Result<Record, CaError> {
        let signer = self.admit(generation, now)?;
        let known = match self.record.signer(&signer.issuer) {
            Some(_) => self.record.refresh(signer.clone(), now)?,
            None => self.record.clone(),
        };
        match known.introduce(signer, manner.auto, now) {
            // The same signer with other roots beside it, or nothing new at all.
            Err(Refusal::AlreadyActive { .. } | Refusal::AlreadyNext { .. }) => Ok(Record {
                aborted: None,
                ..known
            }),
            introduced => Ok(manner.begin(introduced?, now)?),
        }
    }

    async fn adopt(
        &mut self,
        generation: Generation,
        record: Record,
        now: SystemTime,
    ) -> Result<(), CaError> {
        self.signers.put(generation.clone());
        let adopted = match record == self.record {
            true => self.enact(now).await,
            false => self.commit(record, now).await,
        };
        if adopted.is_err() {
            self.discard(&generation);
        }
        adopted
    }

    /// Forgets a signer that was not taken after all, with its key where that is ours; one that the record has is kept.
    pub(super) fn discard(&mut self, generation: &Generation) {
        let issuer = generation.issuer().fingerprint();
        if self.record.signer(&issuer).is_some() {
            return;
        }
        self.signers.remove(&issuer);
        let is_ours = matches!(generation.source(), Source::SelfSigned { .. });
        if !is_ours || self.may_be_stored(&issuer) {
            return;
        }
        match self_signed::destroy(&self.settings.data_dir, &mut self.state, &issuer) {
            Ok(()) => info!(%issuer, "a self-signed signer that was not taken was destroyed"),
            Err(error) => {
                warn!(%issuer, error = %report::chain_of(&error), "a self-signed signer that was not taken is left");
            }
        }
    }

    /// A record that was written counts at the next start, although a disk failed right after it.
    fn may_be_stored(&self, issuer: &Fingerprint) -> bool {
        match super::store::read(&self.settings.data_dir) {
            Ok(Some(stored)) => stored.signer(issuer).is_some(),
            Ok(None) | Err(_) => true,
        }
    }

    /// What was made for a rotation and never put down, because a crash came before.
    pub(super) fn destroy_pending(&mut self) {
        let signers = self.record.signers.iter();
        let held: Vec<Fingerprint> = signers.map(|signer| signer.issuer).collect();
        match self_signed::remove_pending(&self.settings.data_dir, &mut self.state, &held) {
            Ok(removed) => {
                for issuer in removed {
                    info!(%issuer, "a self-signed signer whose rotation never began was destroyed");
                }
            }
            Err(error) => {
                warn!(error = %report::chain_of(&error), "self-signed signers whose rotation never began are left");
            }
        }
    }

    /// Nobody would know of copies of keys that a crash left, or whose signers were not loaded.
    pub(super) fn destroy_leftovers(&mut self) {
        let signers = &self.record.signers;
        let held: Vec<Fingerprint> = signers.iter().map(|signer| signer.issuer).collect();
        let roots = signers.iter().map(|signer| signer.root);
        let known: Vec<Fingerprint> = roots.chain(self.record.dropped_roots.clone()).collect();
        match self_signed::remove_leftovers(&self.settings.data_dir, &mut self.state, &held, &known)
        {
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
}
