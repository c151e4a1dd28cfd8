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
use crate::bundle::Bundle;
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
    /// The trust bundle that is known already.
    pub(crate) known: Option<&'a Bundle>,
    /// What the CA calls the roots of this answer.
    pub(crate) number: Option<u64>,
    /// The latest time that we know of.
    pub(crate) now: SystemTime,
    /// What our clock says.
    pub(crate) wall: SystemTime,
}

impl Expected<'_> {
    /// The CA's clock may have been set back together with ours, so that what it makes now looks expired to whoever
    /// remembers a later time: what is valid by our clock is judged by that.
    fn at_a_time_that_suits(self, leaf: &Certificate) -> Self {
        match leaf.is_valid_at(self.wall) {
            true => Self {
                now: self.wall,
                ..self
            },
            false => self,
        }
    }

    /// The known bundle, when the answer's roots are not newer.
    fn kept(&self) -> Option<&Bundle> {
        let known = self.known?;
        let is_newer = self.number? > known.number()?;
        (!is_newer).then_some(known)
    }

    /// What the roots of the SVID are called.
    pub(crate) fn number_in_force(&self) -> Option<u64> {
        match self.kept() {
            Some(known) => known.number(),
            None => self.number,
        }
    }
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
        let expected = expected.at_a_time_that_suits(leaf);
        check_dates(leaf, expected.now)?;
        let path = verified_path(&chain, &answered_roots, expected)?;
        let (anchor, above_leaf) = split_path(&path)?;
        let roots = match expected.kept() {
            Some(known) => known.roots().to_vec(),
            None => answered_roots,
        };
        let roots = anchor_first(anchor, roots);
        let above = with_cross_certificates(above_leaf, &chain, &roots);
        Self::assemble(leaf.clone(), above, roots, asked.key.clone())
    }

    /// The same certificate and key with other roots, which the chain must lead to.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn with_roots(
        &self,
        roots: Vec<Certificate>,
        now: SystemTime,
    ) -> Result<Self, SvidError> {
        let chain: Vec<Certificate> = self.chain().cloned().collect();
        // What has expired is no argument against new roots.
        let at = moment_to_judge(now, &chain).min(self.not_after());
        let path = chain::verify(&chain, &roots, None, Profile::X509Svid, at)
            .map_err(|source| SvidError::Chain { source })?
            .path;
        let (anchor, above_leaf) = split_path(&path)?;
        let roots = anchor_first(anchor, roots);
        let above = with_cross_certificates(above_leaf, &chain, &roots);
        Self::assemble(self.leaf.clone(), above, roots, self.key.clone())
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
    let foreign = || SvidError::ForeignRoot {
        trusted: fingerprints(expected.trusted),
        seen: fingerprints(answered_roots),
    };
    let judges = match (expected.kept(), expected.number, expected.known) {
        (Some(known), _, _) => known.roots(),
        // A CA that counts its bundles moves us from one root to the next, but only by a bundle that has both.
        (None, Some(_), _) if shares_a_root(expected.trusted, answered_roots) => answered_roots,
        (None, None, Some(known)) => known.roots(),
        (None, _, _) => expected.trusted,
    };
    match (verify(judges), expected.kept()) {
        (Ok(verified), _) => Ok(verified.path),
        (Err(source), Some(known)) => Err(SvidError::OlderRoots {
            answered: expected.number.unwrap_or_default(),
            known: known.number().unwrap_or_default(),
            source,
        }),
        // A chain that its own roots vouch for is sound; it is only not ours.
        (Err(_), None) if verify(answered_roots).is_ok() => Err(foreign()),
        (Err(source), None) => Err(SvidError::Chain { source }),
    }
}

/// Whether one name and key is on both sides; a root may be certified again.
fn shares_a_root(some: &[Certificate], others: &[Certificate]) -> bool {
    let same = |one: &Certificate, other: &Certificate| {
        let (one, other) = (one.facts(), other.facts());
        one.subject_der == other.subject_der && one.spki_der == other.spki_der
    };
    some.iter()
        .any(|one| others.iter().any(|other| same(one, other)))
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

/// What stands above the leaf, with the certificates by which peers accept it who know only another of `roots`: those
/// for the name and key of one root, signed by another. They go before the anchor, as the CA sends them.
fn with_cross_certificates(
    above_leaf: &[Certificate],
    sent: &[Certificate],
    roots: &[Certificate],
) -> Vec<Certificate> {
    let is_cross = |one: &&Certificate| {
        let facts = one.facts();
        let is_of = |root: &Certificate| {
            root.facts().subject_der == facts.subject_der && root.facts().spki_der == facts.spki_der
        };
        let is_by = |root: &Certificate| root.facts().subject_der == facts.issuer_der;
        !above_leaf.contains(one)
            && !one.is_self_issued()
            && roots.iter().any(is_of)
            && roots.iter().any(is_by)
    };
    let (anchor, below) = match above_leaf.split_last() {
        Some((anchor, below)) => (Some(anchor), below),
        None => (None, above_leaf),
    };
    let cross = sent.iter().skip(1).filter(is_cross);
    below.iter().chain(cross).chain(anchor).cloned().collect()
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
