//! Whom must relying parties trust? The roots of now, and those of before that leaves still chain to.
//!
//! Kept in `<data-dir>/trust-bundle.json`. When a root's last leaf is over is told by the caller. Every change gets a
//! number above all before it, and each root knows from which number on every bundle has held it: whoever uses a
//! bundle of that number or a later one accepts what chains to the root.

use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use proto::certificate::Certificate;
use proto::certificate::CertificateError;
use proto::certificate::Fingerprint;
use proto::spiffe::TrustDomain;

use super::Generation;
use super::crl::Published;
use super::state::StateError;
use super::state::read_versioned;
use super::state::write_versioned;
use super::twins;

mod revocations;
mod stored;

use revocations::Numbers;
use stored::Stored;
use stored::StoredRoot;
use stored::crl_pem;

/// The trust bundle as it was last stored.
#[derive(Debug)]
pub struct TrustBundle {
    path: PathBuf,
    stored: Option<Stored>,
}

/// What decides over the roots of before.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// For each root that leaves were signed under, the last second of the longest-lived of them.
    pub last_leaf_under: &'a HashMap<Fingerprint, SystemTime>,
    /// Until when roots are kept at least, because `last_leaf_under` may know too little; `None` where it knows all.
    pub keep_unknown_until: Option<SystemTime>,
    /// Roots that were let go on purpose, whatever still chains to them.
    pub let_go: &'a [Fingerprint],
    /// When everything was put back from a backup: higher numbers may be out there, but none above that second.
    pub newer_than: Option<SystemTime>,
    /// How slow a clock may be on which a leaf is to be dead before its root goes.
    pub slow_clocks: Duration,
    /// The time of day.
    pub now: SystemTime,
}

/// Roots to be trusted because of one signer.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The roots, in the order in which they are to stand.
    pub roots: &'a [Certificate],
    /// Where they came from: `self-signed` or `plugged-in`.
    pub source: &'static str,
}

impl<'a> Wanted<'a> {
    /// What `generation` brought with it.
    #[must_use]
    pub fn of(generation: &'a Generation) -> Self {
        Self {
            roots: generation.own_roots(),
            source: generation.source().name(),
        }
    }
}

/// The trust bundle as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Every root to be trusted, the anchoring one first, none twice.
    pub roots: Vec<Certificate>,
    /// DER of the revocation lists that go with them.
    pub crls: Vec<Vec<u8>>,
    /// Rises with every change of `roots` or `crls`, also across restarts.
    pub sequence: u64,
    /// Whether `roots` or `crls` is not what was stored before.
    pub changed: bool,
    /// The roots of before that are still needed.
    pub retained: Vec<Retained>,
    /// The roots of before that nobody needs any more.
    pub dropped: Vec<Fingerprint>,
    /// Those of them that go because the same root, certified again, stays: it accepts whatever they did.
    pub outlived: Vec<Fingerprint>,
}

/// A root of before that is still needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retained {
    /// SHA-256 of the root.
    pub root: Fingerprint,
    /// The last second at which anything that chains to it can be valid.
    pub until: SystemTime,
}

impl Merged {
    /// Puts the roots in order that are one root certified more than once, and drops what is about to expire of them.
    fn let_go_of_outlived(&mut self, stored: &HashMap<Fingerprint, u64>, now: SystemTime) {
        let ordered = twins::longest_lived_first(&self.roots);
        let (gone, kept) = ordered
            .iter()
            .cloned()
            .partition(|root| twins::is_outlived(root, &ordered, now));
        let gone: Vec<Certificate> = gone;
        self.roots = kept;
        self.outlived = gone.iter().map(Certificate::fingerprint).collect();
        self.retained
            .retain(|retained| !self.outlived.contains(&retained.root));
        let stored = |root: &&Fingerprint| stored.contains_key(root);
        self.dropped.extend(self.outlived.iter().filter(stored));
    }
}

impl TrustBundle {
    /// Reads what is stored in `data_dir`; nothing yet is fine.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged or of a later version. It is left as it is: it may be all
    /// that is known of a root that leaves still chain to.
    pub fn open(data_dir: &Path) -> Result<Self, TrustBundleError> {
        let path = data_dir.join("trust-bundle.json");
        let stored = read_versioned::<Stored>(&path, VERSION)?;
        for root in stored.iter().flat_map(|stored| &stored.roots) {
            root.certificate(&path)?;
        }
        Ok(Self { path, stored })
    }

    /// The stored sequence; 0 as long as nothing was stored.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.stored.as_ref().map_or(0, |stored| stored.sequence)
    }

    /// For each root, the number of the first bundle of the unbroken run of bundles that hold it.
    #[must_use]
    pub fn since(&self) -> HashMap<Fingerprint, u64> {
        let stored = self.stored.iter().flat_map(|stored| &stored.roots);
        stored
            .filter_map(|root| Some((root.fingerprint.parse().ok()?, root.since)))
            .collect()
    }

    /// For each issuer that revocation lists cover, the first number from which on no bundle's lists left it out;
    /// `None` where no bundle ever had a list.
    #[must_use]
    pub fn crl_since(&self) -> Option<HashMap<Fingerprint, u64>> {
        let since = self.stored.as_ref()?.revocations.since.as_ref()?;
        let parsed = |(issuer, from): (&String, &u64)| Some((issuer.parse().ok()?, *from));
        Some(since.iter().filter_map(parsed).collect())
    }

    /// The first number from which on no bundle had a list, where some had before.
    #[must_use]
    pub fn crl_free_since(&self) -> Option<u64> {
        self.stored.as_ref()?.revocations.free_since
    }

    /// Whether there is a root to be let go of because the same root, certified again, lives longer.
    #[must_use]
    pub fn has_outlived_root(&self, now: SystemTime) -> bool {
        let roots = self.roots().unwrap_or_default();
        roots
            .iter()
            .any(|root| twins::is_outlived(root, &roots, now))
    }

    /// When the root came in that came last, to the second; `None` as long as nothing was stored.
    #[must_use]
    pub fn newest_root_since(&self) -> Option<SystemTime> {
        let stored = self.stored.iter().flat_map(|stored| &stored.roots);
        stored
            .filter_map(|root| humantime::parse_rfc3339(&root.first_seen).ok())
            .max()
    }

    /// The stored roots, in their order.
    ///
    /// # Errors
    /// When a stored root does not parse.
    pub fn roots(&self) -> Result<Vec<Certificate>, TrustBundleError> {
        let stored = self.stored.iter().flat_map(|stored| &stored.roots);
        stored.map(|root| root.certificate(&self.path)).collect()
    }

    /// Puts together the roots that signers need, the one that signs first, and those of before that are still
    /// needed, and stores them with the revocation lists that go with them.
    ///
    /// # Errors
    /// When it cannot be stored; what was stored before stays, and the merged bundle must not be used.
    pub fn merge(
        &mut self,
        trust_domain: &TrustDomain,
        wanted: &[Wanted<'_>],
        revocations: &Published,
        evidence: Evidence<'_>,
    ) -> Result<Merged, TrustBundleError> {
        let mut merged = self.draft(wanted, revocations, evidence)?;
        let covered = (!merged.crls.is_empty()).then_some(revocations.covered.as_slice());
        self.store(trust_domain, wanted, covered, &mut merged, evidence)?;
        Ok(merged)
    }

    /// What [`Self::merge`] would store, for whoever has to agree first; under the number of what is stored now.
    ///
    /// # Errors
    /// When a stored root does not parse.
    pub fn draft(
        &self,
        wanted: &[Wanted<'_>],
        revocations: &Published,
        evidence: Evidence<'_>,
    ) -> Result<Merged, TrustBundleError> {
        let mut merged = Merged {
            roots: Vec::new(),
            crls: revocations.crls.clone(),
            sequence: self.sequence(),
            changed: false,
            retained: Vec::new(),
            dropped: Vec::new(),
            outlived: Vec::new(),
        };
        for root in wanted.iter().flat_map(|wanted| wanted.roots) {
            if !merged.roots.contains(root) {
                merged.roots.push(root.clone());
            }
        }
        let besides = self.roots()?;
        let besides = besides
            .into_iter()
            .filter(|root| !merged.roots.contains(root));
        for root in besides.collect::<Vec<_>>() {
            match needed_until(&root, evidence) {
                Some(until) => {
                    merged.retained.push(Retained {
                        root: root.fingerprint(),
                        until,
                    });
                    merged.roots.push(root);
                }
                None => merged.dropped.push(root.fingerprint()),
            }
        }
        merged.let_go_of_outlived(&self.since(), evidence.now);
        Ok(merged)
    }

    fn store(
        &mut self,
        trust_domain: &TrustDomain,
        wanted: &[Wanted<'_>],
        covered: Option<&[Fingerprint]>,
        merged: &mut Merged,
        evidence: Evidence<'_>,
    ) -> Result<(), TrustBundleError> {
        let now = evidence.now;
        let sequence = self.next_sequence(evidence);
        let roots = merged.roots.iter();
        let mut next = Stored {
            version: VERSION,
            trust_domain: trust_domain.clone(),
            sequence,
            roots: roots
                .map(|root| self.stored_root(root, wanted, sequence, now))
                .collect(),
            crls: merged.crls.iter().map(|der| crl_pem(der)).collect(),
            revocations: Numbers::default(),
        };
        let oldest = evidence.newer_than.map_or(0, seconds);
        let is_new = |old: &Stored| old.sequence <= oldest || !old.has_content_of(&next);
        merged.changed = self.stored.as_ref().is_none_or(is_new);
        if !merged.changed {
            // Lists may cover another issuer without being others.
            next.sequence = merged.sequence;
        }
        let before = self.stored.as_ref().map(|old| &old.revocations);
        let before = before.cloned().unwrap_or_default();
        next.revocations = before.after(covered, next.sequence);
        if merged.changed || next.revocations != before {
            let sequence = next.sequence;
            write_versioned(&self.path, &next)?;
            merged.sequence = sequence;
            self.stored = Some(next);
        }
        Ok(())
    }

    /// Never below the seconds since 1970, so that neither a lost file nor one put back from a backup lets the number
    /// fall behind what is out there, as long as there is less than one change in a second.
    fn next_sequence(&self, evidence: Evidence<'_>) -> u64 {
        let after_loss = evidence.newer_than.map_or(0, seconds).saturating_add(1);
        let after_stored = self.sequence().saturating_add(1);
        seconds(evidence.now).max(after_stored).max(after_loss)
    }

    /// As it was stored before, or new with the bundle of number `sequence`.
    fn stored_root(
        &self,
        root: &Certificate,
        wanted: &[Wanted<'_>],
        sequence: u64,
        now: SystemTime,
    ) -> StoredRoot {
        let fingerprint = root.fingerprint().to_string();
        let mut known = self.stored.iter().flat_map(|stored| &stored.roots);
        let known = known.find(|known| known.fingerprint == fingerprint);
        let brought = || wanted.iter().find(|wanted| wanted.roots.contains(root));
        known.cloned().unwrap_or_else(|| StoredRoot {
            fingerprint,
            pem: root.to_pem(),
            source: brought().map_or("", |wanted| wanted.source).to_owned(),
            first_seen: humantime::format_rfc3339_seconds(now).to_string(),
            since: sequence,
        })
    }
}

/// Why there is no trust bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustBundleError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] StateError),
    /// A stored root is not a certificate, or not the one it is called.
    #[error("root {fingerprint} in {} is damaged: restore the file from a backup", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// What the root is called.
        fingerprint: String,
        /// What is wrong with it, where it does not parse.
        source: Option<CertificateError>,
    },
}

/// The last second at which something that chains to `root` can be valid; `None` when that is over.
fn needed_until(root: &Certificate, evidence: Evidence<'_>) -> Option<SystemTime> {
    if evidence.let_go.contains(&root.fingerprint()) {
        return None;
    }
    let last_leaf = evidence.last_leaf_under.get(&root.fingerprint()).copied();
    // What is known may be less than what was issued, where a ledger was lost: the later moment counts.
    let until = last_leaf.max(evidence.keep_unknown_until)?;
    let until = until.min(root.facts().not_after);
    // The last second counts whole, also where a clock is slow.
    let gone_at = until + Duration::from_secs(1) + evidence.slow_clocks;
    (evidence.now < gone_at).then_some(until)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs()
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests;
