//! Which certificates can stand on a path from this leaf? Strangers, repeats and the like are left behind.
//!
//! Following names *and* signatures keeps the search that comes after small, whatever a peer sends.

use super::error::ChainError;
use super::error::subject;
use super::explain;
use super::signed::Signature;
use super::signed::link;
use crate::certificate::Certificate;

/// The certificates that can be reached from a leaf by going from each to its issuers.
#[derive(Debug)]
pub(super) struct Reach<'a> {
    /// Where it starts.
    pub(super) leaf: &'a Certificate,
    /// Those of the chain, none twice, none that is also a root.
    pub(super) intermediates: Vec<&'a Certificate>,
    /// Those that are trusted, none twice.
    pub(super) roots: Vec<&'a Certificate>,
    /// All that is trusted, reached or not.
    trusted: &'a [Certificate],
    /// Signatures that may still be looked at.
    budget: usize,
}

impl<'a> Reach<'a> {
    pub(super) fn new(
        leaf: &'a Certificate,
        others: &'a [Certificate],
        roots: &'a [Certificate],
    ) -> Result<Self, ChainError> {
        let mut reach = Self {
            leaf,
            intermediates: Vec::new(),
            roots: Vec::new(),
            trusted: roots,
            budget: MAX_SIGNATURES,
        };
        let mut next = Some(leaf);
        let mut done = 0;
        while let Some(certificate) = next {
            reach.add_issuers(certificate, others)?;
            next = reach.intermediates.get(done).copied();
            done += 1;
        }
        Ok(reach)
    }

    fn add_issuers(
        &mut self,
        certificate: &'a Certificate,
        others: &'a [Certificate],
    ) -> Result<(), ChainError> {
        for root in self.trusted {
            if !self.roots.contains(&root) && self.may_have_signed(root, certificate)? {
                self.roots.push(root);
            }
        }
        for other in others {
            let known = self.trusted.contains(other) || self.intermediates.contains(&other);
            if !known && self.may_have_signed(other, certificate)? {
                self.intermediates.push(other);
            }
        }
        if self.intermediates.len() > MAX_INTERMEDIATES {
            return Err(ChainError::SearchExhausted);
        }
        Ok(())
    }

    /// Algorithms that are not accepted pass here, so that the verifier names them.
    fn may_have_signed(
        &mut self,
        issuer: &Certificate,
        certificate: &Certificate,
    ) -> Result<bool, ChainError> {
        if !is_named_issuer(issuer, certificate) {
            return Ok(false);
        }
        self.budget = self
            .budget
            .checked_sub(1)
            .ok_or(ChainError::SearchExhausted)?;
        Ok(link(certificate, issuer) != Signature::Bad)
    }

    /// Every certificate on the way: leaf first, roots last.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a Certificate> {
        self.below_roots().chain(self.roots.iter().copied())
    }

    /// The leaf and the intermediates.
    pub(super) fn below_roots(&self) -> impl Iterator<Item = &'a Certificate> {
        std::iter::once(self.leaf).chain(self.intermediates.iter().copied())
    }

    /// The shortest way up from the leaf to a root, whatever rules it breaks, and `true`; without a root, the longest of
    /// the shortest ways to where names and signatures lead, and `false`.
    pub(super) fn way_up(&self) -> (Vec<&'a Certificate>, bool) {
        let mut ways = vec![vec![self.leaf]];
        let mut done = 0;
        while let Some(way) = ways.get(done).cloned() {
            let last = way.last().copied().unwrap_or(self.leaf);
            if self.trusted.contains(last) {
                return (way, true);
            }
            for issuer in self.roots.iter().chain(&self.intermediates).copied() {
                let seen = ways.iter().any(|way| way.last() == Some(&issuer));
                if !seen && signed(issuer, last) {
                    ways.push([way.as_slice(), &[issuer]].concat());
                }
            }
            done += 1;
        }
        (ways.pop().unwrap_or_default(), false)
    }

    /// The first root that webpki cannot read.
    pub(super) fn unreadable_root(&self) -> Option<ChainError> {
        self.roots.iter().find_map(|root| {
            let reason = webpki::anchor_from_trusted_cert(&root.der().into()).err()?;
            Some(ChainError::Malformed {
                subject: subject(root),
                reason: explain::words(&reason),
            })
        })
    }

    /// The first certificate whose signature nobody here can check.
    pub(super) fn unsupported(&self) -> Option<ChainError> {
        let is_unsupported = |certificate: &&Certificate| {
            self.all()
                .filter(|issuer| is_named_issuer(issuer, certificate))
                .any(|issuer| link(certificate, issuer) == Signature::Unsupported)
        };
        let certificate = self.all().find(is_unsupported)?;
        Some(ChainError::UnsupportedSignature {
            subject: subject(certificate),
            algorithm: certificate.facts().signature_algorithm.clone(),
        })
    }

    /// Why no root is reached: the first certificate that has no issuer, and whether some CA has its issuer's name.
    pub(super) fn dead_end(&self, strangers: &[&Certificate]) -> ChainError {
        let has_issuer = |certificate: &&Certificate| {
            self.all()
                .any(|issuer| issuer != *certificate && is_named_issuer(issuer, certificate))
        };
        let Some(end) = self.below_roots().find(|c| !has_issuer(c)) else {
            // Issuers go round in a circle.
            let end = self.intermediates.last().copied().unwrap_or(self.leaf);
            return ChainError::UnknownIssuer {
                subject: subject(end),
                issuer: end.facts().issuer.clone(),
                other_key: false,
            };
        };
        let mut namesakes = strangers
            .iter()
            .filter(|issuer| **issuer != end && is_named_issuer(issuer, end))
            .peekable();
        let other_key = namesakes.peek().is_some();
        if namesakes.any(|issuer| has_key_id_of(issuer, end)) {
            let subject = subject(end);
            return ChainError::BadSignature { subject };
        }
        ChainError::UnknownIssuer {
            subject: subject(end),
            issuer: end.facts().issuer.clone(),
            other_key,
        }
    }
}

/// Whether `issuer` may have signed `certificate`; an algorithm that is not accepted says nothing against it.
fn signed(issuer: &Certificate, certificate: &Certificate) -> bool {
    is_named_issuer(issuer, certificate) && link(certificate, issuer) != Signature::Bad
}

/// RFC 5280 section 6.1.3 (a)(4), byte for byte as webpki does.
pub(super) fn is_named_issuer(issuer: &Certificate, certificate: &Certificate) -> bool {
    issuer.facts().subject_der == certificate.facts().issuer_der
}

/// Whether the two name one key (RFC 5280 section 4.2.1.1), so that only a change explains a wrong signature.
fn has_key_id_of(issuer: &Certificate, certificate: &Certificate) -> bool {
    let named = &certificate.facts().authority_key_id;
    named.is_some() && *named == issuer.facts().subject_key_id
}

/// Bounds the time for a chain full of CAs of one name: about 20 ms.
const MAX_SIGNATURES: usize = 256;
/// webpki goes six deep and tries all orders; real chains have one to three.
const MAX_INTERMEDIATES: usize = 16;
