//! How does a record come into force? Persist, publish, set the terms, swap, tell; in this order and no other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;
use tracing::info;
use tracing::warn;

use super::super::ca::CaError;
use super::super::promises::Promises;
use super::Conductor;
use super::admit::first_uncovered;
use crate::authority::Conditions;
use crate::authority::Generation;
use crate::authority::RenewBy;
use crate::authority::Source;
use crate::authority::StandingBy;
use crate::authority::crl;
use crate::authority::crl::Published;
use crate::authority::self_signed;
use crate::authority::trust_bundle::Merged;
use crate::authority::trust_bundle::Wanted;
use crate::ledger::Ledger;
use crate::ledger::Terms;
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
        super::store::write(&self.settings.data_dir, &record)?;
        let news = record
            .journal
            .iter()
            .skip_while(|entry| self.record.journal.contains(entry));
        for entry in news {
            info!(forced = entry.forced, "rotation: {}", entry.what);
        }
        self.record = record;
        self.enact(now).await
    }

    /// Makes everything else what the record says. May be done as often as you like.
    pub(super) async fn enact(&mut self, now: SystemTime) -> Result<(), CaError> {
        self.unfinished = true;
        self.mark_self_signed_in_force(now)?;
        let merged = self.publish().await?;
        let generation = self.generation(&merged)?;
        let terms = Terms {
            issuer: generation.issuer().fingerprint(),
            bundle: merged.sequence,
        };
        if self.ledger.terms().await? != Some(terms) {
            self.ledger.set_terms(terms).await?;
        }
        self.authority.replace(generation);
        self.changes.send_replace(self.authority.current().number());
        self.forget_retired()?;
        self.destroy_leftovers();
        let others = self.signers.others(&self.record);
        self.others.store(Arc::new(others));
        self.note_anchors(now)?;
        self.unfinished = false;
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

    /// Stores the trust bundle that the record asks for.
    async fn publish(&mut self) -> Result<Merged, CaError> {
        let promises = Promises::of(
            &self.ledger,
            &self.settings.data_dir,
            self.settings.limits.max_ttl,
        )
        .await?;
        let stored = self.trust_bundle.roots()?;
        let known = self.signers.roots().chain(&stored);
        let known: HashMap<Fingerprint, &Certificate> =
            known.map(|root| (root.fingerprint(), root)).collect();
        let roots: Vec<Certificate> = self
            .record
            .roots(&[])
            .iter()
            .filter_map(|root| known.get(root).map(|root| (*root).clone()))
            .collect();
        let wanted = Wanted {
            roots: &roots,
            source: self.active_source_name(),
        };
        let revocations = self.revocations().await?;
        let evidence = promises.at(self.gate_time.now(), &self.record.dropped_roots);
        let merged = self.trust_bundle.merge(
            &self.settings.trust_domain,
            &[wanted],
            &revocations,
            evidence,
        )?;
        for root in &merged.dropped {
            info!(sha256 = %root, "root left the trust bundle");
        }
        if merged.changed {
            info!(
                number = merged.sequence,
                roots = merged.roots.len(),
                "trust bundle"
            );
        }
        Ok(merged)
    }

    /// The revocation lists to be given out: none as long as they would reject somebody who signed and has not retired,
    /// or is to sign and can have none.
    async fn revocations(&self) -> Result<Published, CaError> {
        let signers = self.record.signers.iter();
        let published: Vec<&Signer> = signers.filter(|signer| signer.published).collect();
        let loaded = published
            .iter()
            .filter_map(|signer| self.signers.get(&signer.issuer));
        let loaded: Vec<&Generation> = loaded.map(AsRef::as_ref).collect();
        let lists = crl::published(&loaded);
        if lists.crls.is_empty() {
            return Ok(lists);
        }
        let must_pass = published
            .iter()
            .filter(|signer| signer.has_signed || signer.origin == Origin::SelfSigned);
        let must_pass = must_pass.map(|signer| &signer.issuer);
        let mut rejected = first_uncovered(must_pass, &lists.covered);
        if rejected.is_none() && self.trust_bundle.crl_since().is_none() {
            let live = self.ledger.holdings(self.alive_since()).await?;
            rejected = first_uncovered(live.iter().map(|leaf| &leaf.issuer), &lists.covered);
        }
        let Some(issuer) = rejected else {
            return Ok(lists);
        };
        // Said when something is put in force, and not at every look.
        if self.unfinished {
            warn!(%issuer, "no revocation list is given out: there is none for this issuer, and its leaves would be refused");
        }
        Ok(Published::default())
    }

    fn active_source_name(&self) -> &'static str {
        let active = self.signers.get(&self.record.active);
        active.map_or("", |active| active.source().name())
    }

    /// What the record and the stored trust bundle amount to.
    fn generation(&self, merged: &Merged) -> Result<Generation, CaError> {
        let issuer = self.record.active;
        let active = self.signers.get(&issuer);
        let active = active.ok_or(CaError::SignerGone { issuer })?;
        let loaded = |signer: &Signer| self.signers.get(&signer.issuer).cloned();
        let next = self.record.next_signer().filter(|next| next.published);
        let standing_by = StandingBy {
            before: self.record.draining().filter_map(loaded).collect(),
            next: next.and_then(loaded),
        };
        let conditions = Conditions {
            roots: merged.roots.clone(),
            crls: merged.crls.clone(),
            bundle_number: merged.sequence,
            distrusted: self.record.distrusted_roots(),
            longest_ttl: self.longest_ttl(),
            renew_by: self.renew_by(),
        };
        Ok(active.in_force(conditions, standing_by))
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

    /// The keys of signers that the record does not have any more are destroyed.
    fn forget_retired(&mut self) -> Result<(), CaError> {
        let record = &self.record;
        let gone: Vec<Arc<Generation>> = self
            .signers
            .all()
            .filter(|signer| record.signer(&signer.issuer().fingerprint()).is_none())
            .cloned()
            .collect();
        for signer in gone {
            let issuer = signer.issuer().fingerprint();
            match signer.source() {
                Source::SelfSigned { .. } => {
                    self_signed::destroy(&self.settings.data_dir, &mut self.state, &issuer)?;
                }
                Source::PluggedIn { .. } => self.vault.destroy(&issuer)?,
            }
            info!(%issuer, "the key of a retired signer was destroyed");
            self.signers.remove(&issuer);
        }
        Ok(())
    }
}

/// How far apart agents renew when a key is compromised and nobody said otherwise.
const TAINTED_SPREAD: std::time::Duration = std::time::Duration::from_secs(5 * 60);
