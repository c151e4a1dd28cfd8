//! Is the CA's answer what we asked for? Every check happens before anything is written.
//!
//! Chains are judged by [`proto::chain`]; this file adds what only the asker knows: which key, which
//! name, which roots.

use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;
use proto::chain;
use proto::chain::Profile;
use proto::spiffe::SpiffeId;

use super::Svid;
use super::SvidError;
use crate::clock::CLOCK_TOLERANCE;
use crate::clock::moment_to_judge;
use crate::csr::KeyAndCsr;

/// What the asker knows before the answer comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    /// The name that was asked for, where it is known.
    pub(crate) spiffe_id: Option<&'a SpiffeId>,
    /// The roots that authenticated the CA's own TLS certificate.
    pub(crate) trusted: &'a [Certificate],
    /// Our time.
    pub(crate) now: SystemTime,
}

impl Svid {
    /// Makes an SVID of a CA's answer: leaf, one certificate per element, all roots in the last.
    ///
    /// # Errors
    /// The first thing that is not as asked for.
    pub(crate) fn from_answer(
        elements: &[String],
        asked: &KeyAndCsr,
        expected: Expected<'_>,
    ) -> Result<Self, SvidError> {
        let (chain, answered_roots) = split(elements)?;
        let leaf = chain.first().ok_or(SvidError::NoLeaf)?;
        if leaf.facts().spki_der != asked.spki_der {
            return Err(SvidError::AnotherKey);
        }
        check_name(leaf, expected.spiffe_id)?;
        check_dates(leaf, expected.now)?;
        let path = verified_path(&chain, &answered_roots, expected)?;
        let (anchor, above_leaf) = split_path(&path)?;
        let roots = anchor_first(anchor, answered_roots);
        Self::assemble(leaf.clone(), above_leaf.to_vec(), roots, asked.key.clone())
    }
}

/// The leaf's one name.
pub(super) fn only_spiffe_id(leaf: &Certificate) -> Result<SpiffeId, SvidError> {
    let uris = match &leaf.facts().subject_alt_name {
        Some(names) => names.uris.as_slice(),
        None => &[],
    };
    let [name] = uris else {
        return Err(SvidError::NotOneName { found: uris.len() });
    };
    name.parse().map_err(|source| SvidError::NotSpiffe {
        name: name.clone(),
        source,
    })
}

/// The certificates of one element.
pub(super) fn certificates(number: usize, pem: &[u8]) -> Result<Vec<Certificate>, SvidError> {
    Certificate::all_from_pem(pem).map_err(|source| SvidError::Certificate { number, source })
}

fn split(elements: &[String]) -> Result<(Vec<Certificate>, Vec<Certificate>), SvidError> {
    let found = elements.len();
    let (last, first) = match elements.split_last() {
        Some((last, first)) if !first.is_empty() => (last, first),
        _ => return Err(SvidError::TooShort { found }),
    };
    let chain = first
        .iter()
        .enumerate()
        .map(|(index, element)| single(index + 1, element))
        .collect::<Result<Vec<_>, _>>()?;
    let roots = certificates(found, last.as_bytes())?;
    if let Some(stranger) = roots.iter().find(|root| !root.is_ca()) {
        return Err(SvidError::NotARoot {
            subject: stranger.facts().subject.clone(),
        });
    }
    if !roots.iter().any(Certificate::is_self_issued) {
        return Err(SvidError::NoRoots);
    }
    Ok((chain, roots))
}

fn single(number: usize, element: &str) -> Result<Certificate, SvidError> {
    let mut found = certificates(number, element.as_bytes())?;
    match (found.pop(), found.len()) {
        (Some(certificate), 0) => Ok(certificate),
        (Some(_), others) => Err(SvidError::NotSingle {
            number,
            found: others + 1,
        }),
        (None, _) => Err(SvidError::NotSingle { number, found: 0 }),
    }
}

fn check_name(leaf: &Certificate, expected: Option<&SpiffeId>) -> Result<(), SvidError> {
    let seen = only_spiffe_id(leaf)?;
    match expected {
        Some(expected) if *expected != seen => Err(SvidError::AnotherName {
            expected: expected.clone(),
            seen,
        }),
        _ => Ok(()),
    }
}

fn check_dates(leaf: &Certificate, now: SystemTime) -> Result<(), SvidError> {
    let facts = leaf.facts();
    if facts.not_before > now + CLOCK_TOLERANCE {
        return Err(SvidError::NotYetValid {
            not_before: facts.not_before,
            now,
        });
    }
    if !leaf.is_valid_at(now.max(facts.not_before)) {
        return Err(SvidError::Expired {
            not_after: facts.not_after,
            now,
        });
    }
    Ok(())
}

fn verified_path(
    chain: &[Certificate],
    answered_roots: &[Certificate],
    expected: Expected<'_>,
) -> Result<Vec<Certificate>, SvidError> {
    let at = moment_to_judge(expected.now, chain);
    let verify = |roots| chain::verify(chain, roots, None, Profile::X509Svid, at);
    match verify(expected.trusted) {
        Ok(verified) => Ok(verified.path),
        // A chain that its own roots vouch for is sound; it is only not ours.
        Err(_) if verify(answered_roots).is_ok() => Err(SvidError::ForeignRoot {
            trusted: fingerprints(expected.trusted),
            seen: fingerprints(answered_roots),
        }),
        Err(source) => Err(SvidError::Chain { source }),
    }
}

/// The root at the end of a verified path, and everything above the leaf.
fn split_path(path: &[Certificate]) -> Result<(&Certificate, &[Certificate]), SvidError> {
    match path {
        [_leaf, above @ ..] => above
            .last()
            .map(|anchor| (anchor, above))
            .ok_or(SvidError::NoRoots),
        [] => Err(SvidError::NoLeaf),
    }
}

fn anchor_first(anchor: &Certificate, roots: Vec<Certificate>) -> Vec<Certificate> {
    let mut ordered = vec![anchor.clone()];
    for root in roots {
        if !ordered.contains(&root) {
            ordered.push(root);
        }
    }
    ordered
}

fn fingerprints(certificates: &[Certificate]) -> Vec<Fingerprint> {
    certificates.iter().map(Certificate::fingerprint).collect()
}
