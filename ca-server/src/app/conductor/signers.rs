//! Which signers are loaded? Those of the record whose keys are here, by issuing certificate.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;

use crate::authority::Generation;
use crate::authority::Source;
use crate::authority::compatibility;
use crate::authority::self_signed;
use crate::authority::vault::Vault;
use crate::rotation::Origin;
use crate::rotation::Record;
use crate::rotation::Signer;
use crate::x509::SystemEntropy;

use super::super::ca::CaError;

/// Signers by the SHA-256 of their issuing certificates.
#[derive(Debug, Default)]
pub(in crate::app) struct Signers {
    loaded: HashMap<Fingerprint, Arc<Generation>>,
}

/// A signer that is loaded and not active.
#[derive(Clone, Debug)]
pub(in crate::app) struct OtherSigner {
    /// It is to sign next; else it drains.
    pub(in crate::app) is_next: bool,
    pub(in crate::app) generation: Arc<Generation>,
}

impl Signers {
    /// Those that `record` has beside the active one, the next one first.
    pub(super) fn others(&self, record: &Record) -> Vec<OtherSigner> {
        let others = record.next_signer().into_iter().chain(record.draining());
        let others = others.filter_map(|signer| {
            let generation = Arc::clone(self.get(&signer.issuer)?);
            Some(OtherSigner {
                is_next: record.next == Some(signer.issuer),
                generation,
            })
        });
        others.collect()
    }

    pub(super) fn get(&self, issuer: &Fingerprint) -> Option<&Arc<Generation>> {
        self.loaded.get(issuer)
    }

    /// Whose keys are here.
    pub(super) fn issuers(&self) -> impl Iterator<Item = Fingerprint> {
        self.loaded.keys().copied()
    }

    pub(super) fn put(&mut self, generation: Generation) {
        let issuer = generation.issuer().fingerprint();
        self.loaded.insert(issuer, Arc::new(generation));
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Generation>> {
        self.loaded.values()
    }

    pub(super) fn remove(&mut self, issuer: &Fingerprint) {
        self.loaded.remove(issuer);
    }

    /// Every root that came with a signer.
    pub(super) fn roots(&self) -> impl Iterator<Item = &Certificate> {
        self.loaded.values().flat_map(|signer| signer.own_roots())
    }
}

/// Reads a signer from where it is kept; `None` where its files are gone.
pub(super) fn load(
    data_dir: &Path,
    signer: &Signer,
    now: SystemTime,
) -> Result<Option<Generation>, CaError> {
    match signer.origin {
        Origin::SelfSigned => Ok(self_signed::find(data_dir, &signer.issuer, now)?),
        Origin::PluggedIn => {
            let kept = Vault::of(data_dir).load(&signer.issuer, now)?;
            Ok(kept.map(|kept| kept.generation))
        }
    }
}

/// What a rotation needs to know of `generation`, seen first at `now`. `known` are roots that somebody may trust.
pub(super) fn describe(generation: &Generation, known: &[Certificate], now: SystemTime) -> Signer {
    let issuer = generation.issuer();
    let first_days = generation.cas().map(|one| one.facts().not_before);
    let last_days = generation.cas().map(|one| one.facts().not_after);
    Signer {
        issuer: issuer.fingerprint(),
        key: Fingerprint::of(&issuer.facts().spki_der),
        root: generation.root().fingerprint(),
        roots: generation
            .own_roots()
            .iter()
            .map(Certificate::fingerprint)
            .collect(),
        also_accepted_by: also_accepted_by(generation, known, now),
        origin: match generation.source() {
            Source::SelfSigned { .. } => Origin::SelfSigned,
            Source::PluggedIn { .. } => Origin::PluggedIn,
        },
        not_before: first_days.max().unwrap_or(now),
        not_after: last_days.min().unwrap_or(now),
        issuer_not_before: issuer.facts().not_before,
        first_loaded: now,
        published: false,
        has_signed: false,
        auto_retire: false,
        last_resort: false,
        tainted: None,
        deadline: None,
    }
}

/// The roots among `known` and its own that accept leaves of `generation` beside the one that anchors it.
pub(super) fn also_accepted_by(
    generation: &Generation,
    known: &[Certificate],
    now: SystemTime,
) -> Vec<Fingerprint> {
    let all = generation.own_roots().iter().chain(known);
    let others = all.filter(|root| *root != generation.root());
    let accepting =
        others.filter(|root| compatibility::is_accepted_by(generation, root, now, &SystemEntropy));
    let mut accepting: Vec<Fingerprint> = accepting.map(Certificate::fingerprint).collect();
    // The order in which roots are found says nothing.
    accepting.sort_unstable();
    accepting.dedup();
    accepting
}
