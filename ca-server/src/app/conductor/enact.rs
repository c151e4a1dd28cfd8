//! How does a record come into force? Persist, publish, set the terms, swap, tell; in this order and no other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;
use tracing::info;
use tracing::warn;

use super::super::ca::CaError;
use super::Conductor;
use crate::authority::Conditions;
use crate::authority::Generation;
use crate::authority::RenewBy;
use crate::authority::Source;
use crate::authority::StandingBy;
use crate::authority::self_signed;
use crate::authority::trust_bundle::Merged;
use crate::ledger::Ledger;
use crate::ledger::Terms;
use crate::rotation::AtHand;
use crate::rotation::Origin;
use crate::rotation::Phase;
use crate::rotation::Record;
use crate::rotation::Signer;

impl Conductor {
    /// Persists `record` and puts it in force. What could not be done of it is done again later.
    pub(super) async fn commit(&mut self, record: Record, now: SystemTime) -> Result<(), CaError> {
        if record == self.record {
            return Ok(());
        }
        // What is persisted is what the next start begins with.
        if self.signers.get(&record.active).is_none() {
            return Err(CaError::SignerGone {
                issuer: record.active,
            });
        }
        let written = super::store::write(&self.settings.data_dir, &record);
        if written.is_err() && !super::store::holds(&self.settings.data_dir, &record) {
            return Ok(written?);
        }
        let news = record
            .journal
            .iter()
            .skip_while(|entry| self.record.journal.contains(entry));
        for entry in news {
            info!(forced = entry.forced, "rotation: {}", entry.what);
        }
        self.record = record;
        self.unfinished = true;
        // A restart would begin with it: so do we, once it is sure to last.
        self.unsure = written.is_err();
        written?;
        self.enact(now).await
    }

    /// Makes everything else what the record says. May be done as often as you like.
    pub(super) async fn enact(&mut self, now: SystemTime) -> Result<(), CaError> {
        self.unfinished = true;
        if self.unsure {
            super::store::write(&self.settings.data_dir, &self.record)?;
            self.unsure = false;
        }
        self.mark_self_signed_in_force(now)?;
        // A root that comes may accept leaves of one that goes with it.
        self.note_anchors(now)?;
        let merged = self.publish().await?;
        let generation = self.generation(&merged, now)?;
        let terms = Terms {
            issuer: generation.issuer().fingerprint(),
            bundle: merged.sequence,
        };
        if self.ledger.terms().await? != Some(terms) {
            self.ledger.set_terms(terms).await?;
        }
        self.signing = Some(terms.issuer);
        self.authority.replace(generation);
        self.changes.send_replace(self.authority.current().number());
        let others = self.signers.others(&self.record);
        self.others.store(Arc::new(others));
        self.note_anchors(now)?;
        self.unfinished = false;
        // Also where one that is retired cannot be destroyed: that holds up nobody.
        self.forget_retired();
        self.destroy_leftovers();
        Ok(())
    }

    /// Does it all again when the trust bundle is not what it should be.
    pub(super) async fn enact_if_changed(&mut self, now: SystemTime) -> Result<(), CaError> {
        match self.publish().await?.changed {
            true => self.enact(now).await,
            false => Ok(()),
        }
    }

    /// The next start, should it come without a record, begins with the signer that is active now.
    fn mark_self_signed_in_force(&mut self, now: SystemTime) -> Result<(), CaError> {
        let active = self.record.active_signer();
        if active.is_some_and(|signer| signer.origin == Origin::SelfSigned) {
            let (data_dir, issuer) = (&self.settings.data_dir, &self.record.active);
            self_signed::put_in_force(data_dir, &mut self.state, issuer, now)?;
        }
        Ok(())
    }

    /// What the record and the stored trust bundle amount to.
    fn generation(&self, merged: &Merged, now: SystemTime) -> Result<Generation, CaError> {
        let issuer = self.record.active;
        let active = self.signers.get(&issuer);
        let active = active.ok_or(CaError::SignerGone { issuer })?;
        let standing_by = self.standing_by();
        let here: Vec<Fingerprint> = self.signers.issuers().collect();
        let at_hand = AtHand {
            loaded: &here,
            same_root: &same_roots(merged.roots.iter().chain(self.signers.roots())),
        };
        let conditions = Conditions {
            roots: merged.roots.clone(),
            crls: merged.crls.clone(),
            bundle_number: merged.sequence,
            distrusted: self.record.distrusted_roots(&at_hand, now),
            longest_ttl: self.longest_ttl(),
            renew_by: self.renew_by(),
        };
        Ok(active.in_force(conditions, standing_by))
    }

    /// Who signs nothing but our own leaf. Who never signed comes last: whoever names no CA is shown the first.
    fn standing_by(&self) -> StandingBy {
        let loaded = |signer: &Signer| self.signers.get(&signer.issuer).cloned();
        let next = self.record.next_signer().filter(|next| next.published);
        let (before, withdrawn): (Vec<&Signer>, Vec<&Signer>) =
            self.record.draining().partition(|signer| signer.has_signed);
        StandingBy {
            before: before.into_iter().filter_map(loaded).collect(),
            next: next
                .into_iter()
                .chain(withdrawn)
                .filter_map(loaded)
                .collect(),
        }
    }

    /// Whether the next signer could sign.
    pub(super) fn has_key_of_next(&self) -> bool {
        let next = self.record.next.as_ref();
        next.is_none_or(|next| self.signers.get(next).is_some())
    }

    /// From the first step to the last, leaves live shorter, so that the old root can go sooner.
    fn longest_ttl(&self) -> Option<std::time::Duration> {
        match self.record.phase() {
            Phase::Steady => None,
            _ => {
                let wished = self
                    .record
                    .renew_within
                    .unwrap_or(self.settings.rotation_ttl);
                Some(wished.min(self.settings.rotation_ttl))
            }
        }
    }

    fn renew_by(&self) -> Option<RenewBy> {
        Some(RenewBy {
            since: self.record.renew_since?,
            spread: self.record.renew_within.unwrap_or(TAINTED_SPREAD),
        })
    }

    /// The keys of signers that the record does not have any more are destroyed, now or as soon as that can be done.
    pub(super) fn forget_retired(&mut self) {
        let record = &self.record;
        let gone: Vec<Arc<Generation>> = self
            .signers
            .all()
            .filter(|signer| record.signer(&signer.issuer().fingerprint()).is_none())
            .cloned()
            .collect();
        for signer in gone {
            let issuer = signer.issuer().fingerprint();
            match self.destroy(&signer) {
                Ok(()) => {
                    info!(%issuer, "the key of a retired signer was destroyed");
                    self.signers.remove(&issuer);
                }
                Err(error) if self.undestroyed.is_due_at(self.started.elapsed()) => {
                    let error = super::super::report::chain_of(&error);
                    warn!(%issuer, %error, "the key of a retired signer cannot be destroyed; trying again");
                }
                Err(_told_a_moment_ago) => {}
            }
        }
    }

    fn destroy(&mut self, signer: &Generation) -> Result<(), CaError> {
        let issuer = signer.issuer().fingerprint();
        match signer.source() {
            Source::SelfSigned { .. } => {
                self_signed::destroy(&self.settings.data_dir, &mut self.state, &issuer)?;
            }
            Source::PluggedIn { .. } => self.vault.destroy(&issuer)?,
        }
        Ok(())
    }
}

/// Which of `roots` are one root, certified more than once.
fn same_roots<'a>(roots: impl Iterator<Item = &'a Certificate>) -> Vec<Vec<Fingerprint>> {
    let mut by_key: HashMap<&[u8], Vec<Fingerprint>> = HashMap::new();
    for root in roots {
        let same = by_key.entry(&root.facts().spki_der).or_default();
        same.push(root.fingerprint());
    }
    by_key.into_values().collect()
}

/// How far apart agents renew when a key is compromised and nobody said otherwise.
const TAINTED_SPREAD: std::time::Duration = std::time::Duration::from_secs(5 * 60);
