//! Which signers are loaded? Those of the record whose keys are here, by issuing certificate.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;

use crate::authority::Generation;
use crate::authority::Source;
use crate::authority::self_signed;
use crate::authority::vault::Vault;
use crate::rotation::Origin;
use crate::rotation::Record;
use crate::rotation::Signer;

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

/// What a rotation needs to know of `generation`, seen first at `now`.
pub(super) fn describe(generation: &Generation, now: SystemTime) -> Signer {
    let issuer = generation.issuer();
    let chain = generation.chain().iter().chain([generation.root()]);
    let first_days = chain.clone().map(|one| one.facts().not_before);
    let last_days = chain.map(|one| one.facts().not_after);
    Signer {
        issuer: issuer.fingerprint(),
        key: Fingerprint::of(&issuer.facts().spki_der),
        root: generation.root().fingerprint(),
        roots: generation
            .own_roots()
            .iter()
            .map(Certificate::fingerprint)
            .collect(),
        also_accepted_by: recertified(generation),
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
        tainted: None,
        deadline: None,
    }
}

/// Roots of the same source with the anchor's own name and key: a root that was certified again.
fn recertified(generation: &Generation) -> Vec<Fingerprint> {
    let anchor = generation.root().facts();
    let same = |root: &&Certificate| {
        let facts = root.facts();
        facts.subject_der == anchor.subject_der
            && facts.spki_der == anchor.spki_der
            && facts.subject_key_id == anchor.subject_key_id
            && *root != generation.root()
    };
    let roots = generation.own_roots().iter().filter(same);
    roots.map(Certificate::fingerprint).collect()
}
