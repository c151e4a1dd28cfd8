//! Who signs when nobody brought a CA? A root and an issuing CA under it, made once and kept.
//!
//! `<data-dir>/ca` is a symlink to `<data-dir>/ca.<n>`, a complete bundle in Istio's shape with the root's
//! key beside it. A new set becomes the set by the renaming of that one link, so that neither a crash nor a
//! reader ever sees parts of two. A set is synced before it gets its number: what has one is whole.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use proto::spiffe::TrustDomain;
use zeroize::Zeroizing;

use super::Generation;
use super::Source;
use super::bundle;
use super::bundle::BundleError;
use super::bundle::Loaded;
use super::bundle::Presence;
use super::ca_certificate::MakeError;
use super::key::KeyError;
use super::state::State;
use super::state::StateError;
use crate::x509::Entropy;

mod make;
mod sets;

use make::Made;
use make::Under;
use sets::Sets;

/// What to do when there was a root and it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewRoot {
    /// Make another one; nobody who trusts the old one will trust it.
    Allow,
    /// Refuse to start.
    Refuse,
}

/// The self-signed signer as it was found or made.
#[derive(Debug)]
pub struct Opened {
    /// The signer.
    pub generation: Generation,
    /// Whether the root was made just now.
    pub is_new: bool,
    /// The last second of the chain, when that is over: the issuing CA is to be renewed before anything else.
    pub expired: Option<SystemTime>,
}

/// Opens the self-signed CA in `data_dir`, or makes it where there never was one. The data directory is locked.
///
/// # Errors
/// When the files are gone, in part or whole, do not fit together, or cannot be written. A half-made CA
/// is not left behind.
pub fn open_or_create(
    data_dir: &Path,
    state: &mut State,
    new_root: NewRoot,
    now: SystemTime,
    entropy: &dyn Entropy,
) -> Result<Opened, SelfSignedError> {
    let sets = Sets::of(data_dir);
    sets.remove_unfinished()?;
    let is_there = bundle::detect(&sets.link())? != Presence::Absent;
    let before = is_there || sets.adopt(state.self_signed_root())?;
    if !before {
        if let (Some(root), NewRoot::Refuse) = (state.self_signed_root(), new_root) {
            return Err(SelfSignedError::Lost {
                dir: sets.link(),
                root,
            });
        }
        let made = make::root_and_issuer(state.trust_domain(), None, now, entropy)?;
        let set = number(&sets, &made, now)?;
        sets.point_link_to_set(&set)?;
    }
    let loaded = open(&sets.link(), now)?;
    let root = loaded.generation.root().fingerprint();
    check_root(state.self_signed_root(), root, new_root, &sets)?;
    state.record_self_signed_root(root)?;
    Ok(Opened {
        generation: loaded.generation,
        is_new: !before,
        expired: loaded.expired,
    })
}

/// Makes a new issuing CA under the root in force, and does not put it in force. The only reader of `root-key.pem`.
/// One at a time, in the process that holds the lock on the data directory.
///
/// # Errors
/// Nothing was made.
pub fn make_issuer(
    data_dir: &Path,
    trust_domain: &TrustDomain,
    now: SystemTime,
    entropy: &dyn Entropy,
) -> Result<Generation, SelfSignedError> {
    let sets = Sets::of(data_dir);
    sets.remove_unfinished()?;
    let before = open(&sets.link(), now)?.generation;
    let under = Under {
        root: before.root(),
        root_key_pem: &sets.root_key()?,
        cross: before.cross(),
    };
    let made = make::issuer_under(under, trust_domain, now, entropy)?;
    number_pending(&sets, &made, now)
}

/// Makes another root and an issuing CA under it, and does not put them in force. Where there is a self-signed CA in
/// force, its root signs the new one across: who trusts that one accepts leaves of the other at once.
///
/// # Errors
/// Nothing was made.
pub fn make_root(
    data_dir: &Path,
    trust_domain: &TrustDomain,
    now: SystemTime,
    entropy: &dyn Entropy,
) -> Result<Generation, SelfSignedError> {
    let sets = Sets::of(data_dir);
    sets.remove_unfinished()?;
    let before = root_in_force(&sets, now);
    let before = before.as_ref().and_then(|(generation, pem)| {
        let root = generation.root();
        Some((root, make::root_key(root, pem).ok()?))
    });
    let made = make::root_and_issuer(trust_domain, before, now, entropy)?;
    number_pending(&sets, &made, now)
}

/// The signer in force and its root's key; `None` without either, or when the root is over: then a new root goes its way
/// alone.
fn root_in_force(sets: &Sets, now: SystemTime) -> Option<(Generation, Zeroizing<String>)> {
    let generation = open(&sets.link(), now).ok()?.generation;
    let is_valid = generation.root().is_valid_at(now);
    let key = sets.root_key().ok()?;
    is_valid.then_some((generation, key))
}

/// The signer that was made with the issuing certificate `issuer`, whether it is in force or not; `None` when it is gone.
///
/// # Errors
/// When its files are there and do not work.
pub fn find(
    data_dir: &Path,
    issuer: &Fingerprint,
    now: SystemTime,
) -> Result<Option<Generation>, SelfSignedError> {
    match Sets::of(data_dir).of_issuer(issuer)? {
        Some(set) => open(&set, now).map(|loaded| Some(loaded.generation)),
        None => Ok(None),
    }
}

/// Puts the signer of `issuer` in force: the next start begins with it.
///
/// # Errors
/// When there is none; what was in force stays so. When only the state was not written, the next call mends it.
pub fn put_in_force(
    data_dir: &Path,
    state: &mut State,
    issuer: &Fingerprint,
    now: SystemTime,
) -> Result<(), SelfSignedError> {
    let sets = Sets::of(data_dir);
    let Some(set) = sets.of_issuer(issuer)? else {
        return Err(SelfSignedError::NoSuchIssuer { issuer: *issuer });
    };
    let root = open(&set, now)?.generation.root().fingerprint();
    sets.point_link_to_set(&set)?;
    state.record_self_signed_root(root)?;
    Ok(())
}

/// Removes the files of `issuer`, with its keys. Fine where there are none. If it was in force, there is no self-signed
/// CA then, and the next one may have another root.
///
/// # Errors
/// Some files may be left.
pub fn destroy(
    data_dir: &Path,
    state: &mut State,
    issuer: &Fingerprint,
) -> Result<(), SelfSignedError> {
    let sets = Sets::of(data_dir);
    if sets.is_in_force(issuer) {
        state.forget_self_signed_root()?;
        sets.unlink()?;
    }
    sets.remove(issuer)
}

/// Removes signers, with their keys, that were made for a rotation that a crash cut off before it was put down: `held`
/// does not name them. Only at a start is it sure that nobody is about to put one down.
///
/// # Errors
/// Some may be left.
pub fn remove_pending(
    data_dir: &Path,
    state: &mut State,
    held: &[Fingerprint],
) -> Result<Vec<Fingerprint>, SelfSignedError> {
    let sets = Sets::of(data_dir);
    let mut removed = Vec::new();
    for (_set, issuer) in sets.pending()? {
        if !held.contains(&issuer) && !sets.is_in_force(&issuer) {
            destroy(data_dir, state, &issuer)?;
            removed.push(issuer);
        }
    }
    Ok(removed)
}

/// Removes signers, with their keys, that a crash left behind: those that nobody holds any more and whose root is one of
/// `known`, also where the link still leads to one. A set of another root, which somebody put there, is left alone.
///
/// # Errors
/// Some may be left.
pub fn remove_leftovers(
    data_dir: &Path,
    state: &mut State,
    held: &[Fingerprint],
    known: &[Fingerprint],
) -> Result<Vec<Fingerprint>, SelfSignedError> {
    let sets = Sets::of(data_dir);
    sets.remove_half_removed()?;
    sets.settle(held)?;
    let mut removed = Vec::new();
    for (issuer, root) in sets.signers()? {
        if !held.contains(&issuer) && known.contains(&root) {
            destroy(data_dir, state, &issuer)?;
            removed.push(issuer);
        }
    }
    Ok(removed)
}

/// Whether the self-signed root should be replaced: a fifth of its life is left, or less than three of the longest-lived
/// leaves. Never for an operator's bundle.
#[must_use]
pub fn root_renewal_due(generation: &Generation, longest_ttl: Duration, now: SystemTime) -> bool {
    let root = generation.root().facts();
    let life = root.not_after.duration_since(root.not_before);
    let margin = (life.unwrap_or(Duration::ZERO) / 5).max(longest_ttl * 3);
    matches!(generation.source(), Source::SelfSigned { .. }) && now + margin > root.not_after
}

/// Whether the issuing CA should be renewed: two thirds of its life are over, and a new one could live longer.
/// Never for an operator's bundle.
#[must_use]
pub fn issuer_renewal_due(generation: &Generation, now: SystemTime) -> bool {
    let issuer = generation.issuer().facts();
    let outlived_by_root = issuer.not_after < generation.root().facts().not_after;
    let life = issuer.not_after.duration_since(issuer.not_before);
    let due = issuer.not_before + life.unwrap_or(Duration::ZERO) / 3 * 2;
    matches!(generation.source(), Source::SelfSigned { .. }) && outlived_by_root && now > due
}

/// Why there is no self-signed CA to sign with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelfSignedError {
    /// The files do not make a signer.
    #[error(
        "the self-signed CA does not work: restore its directory from a backup, or move it away and give --allow-new-root"
    )]
    Bundle(#[from] BundleError),
    /// A file cannot be read or written.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The root's key cannot be used.
    #[error("{} cannot be used; restore it from a backup", path.display())]
    RootKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// There are no files of this issuing certificate.
    #[error(
        "the self-signed CA with issuing certificate {issuer} is gone: restore its directory from a backup"
    )]
    NoSuchIssuer {
        /// SHA-256 of the issuing certificate.
        issuer: Fingerprint,
    },
    /// There was a root, and it is gone.
    #[error(
        "the self-signed CA with root {root} was in {} and is gone: restore it from a backup, or give --allow-new-root to make another one that no workload trusts yet",
        dir.display()
    )]
    Lost {
        /// Where it was.
        dir: PathBuf,
        /// SHA-256 of the root that was there.
        root: Fingerprint,
    },
    /// The certificates could not be made.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// The root in the directory is not the one that was there.
    #[error(
        "{} has root {found}, but this data directory belongs to root {expected}: restore it from a backup, or give --allow-new-root to go on with the root that is there",
        dir.display()
    )]
    OtherRoot {
        /// The directory with the files.
        dir: PathBuf,
        /// SHA-256 of the root that should be there.
        expected: Fingerprint,
        /// SHA-256 of the root that is there.
        found: Fingerprint,
    },
    /// The state could not be written.
    #[error(transparent)]
    State(#[from] StateError),
}

/// A set that nobody needs until a rotation to it was put down: a crash before leaves keys that the next start removes.
fn number_pending(
    sets: &Sets,
    made: &Made,
    now: SystemTime,
) -> Result<Generation, SelfSignedError> {
    let unfinished = write_checked(sets, made, now)?;
    Sets::mark_pending(&unfinished)?;
    open(&sets.number(&unfinished)?, now).map(|loaded| loaded.generation)
}

/// A set that would not load never gets a number.
fn number(sets: &Sets, made: &Made, now: SystemTime) -> Result<PathBuf, SelfSignedError> {
    sets.number(&write_checked(sets, made, now)?)
}

fn write_checked(sets: &Sets, made: &Made, now: SystemTime) -> Result<PathBuf, SelfSignedError> {
    let unfinished = sets.write(made)?;
    if let Err(error) = bundle::load(&unfinished, now) {
        sets.remove_unfinished()?;
        return Err(error.into());
    }
    Ok(unfinished)
}

fn open(dir: &Path, now: SystemTime) -> Result<Loaded, SelfSignedError> {
    let loaded = bundle::load(dir, now)?;
    let source = Source::SelfSigned {
        dir: dir.to_owned(),
    };
    Ok(Loaded {
        generation: loaded.generation.with_source(source),
        ..loaded
    })
}

fn check_root(
    expected: Option<Fingerprint>,
    found: Fingerprint,
    new_root: NewRoot,
    sets: &Sets,
) -> Result<(), SelfSignedError> {
    match expected {
        Some(expected) if expected != found && new_root == NewRoot::Refuse => {
            Err(SelfSignedError::OtherRoot {
                dir: sets.link(),
                expected,
                found,
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
