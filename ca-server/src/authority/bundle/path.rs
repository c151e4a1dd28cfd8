//! How does the chain go from the issuer to a root? (RFC 5280 section 6.1, without its validity rules)
//!
//! Names, key identifiers and signatures decide; the order of the files does not.

use std::cmp::Reverse;
use std::time::SystemTime;

use proto::certificate::Certificate;

use super::Finding;
use super::files::Files;
use crate::authority::algorithm;
use crate::authority::algorithm::Signature;

/// The way up from the issuer, as far as it goes.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) issuer: Certificate,
    /// In order, without the root.
    pub(super) intermediates: Vec<Certificate>,
    /// Where the way ends; `None` when it ends before a root. The issuer itself, where that is a root.
    pub(super) root: Option<Certificate>,
    broken: Option<Box<Finding>>,
}

impl Path {
    /// Looks for a way from `issuer` through any certificate of `files` to one of its roots.
    pub(super) fn from(issuer: &Certificate, files: &Files, now: SystemTime) -> Self {
        let mut search = Search {
            files,
            now,
            checks_left: MAX_CHECKS,
            way: vec![issuer.clone()],
            longest: Vec::new(),
        };
        let root = search.climb(issuer);
        let mut way = match root {
            Some(_) => search.way.clone(),
            None => search.longest.clone(),
        };
        let broken = match (&root, way.last()) {
            (None, Some(last)) => Some(Box::new(search.explain(last))),
            _ => None,
        };
        way.retain(|certificate| Some(certificate) != root.as_ref());
        Self {
            issuer: issuer.clone(),
            intermediates: way.into_iter().filter(|held| held != issuer).collect(),
            root,
            broken,
        }
    }

    /// The certificates in order, issuer first, without the root.
    pub(super) fn below_root(&self) -> impl Iterator<Item = &Certificate> {
        [&self.issuer]
            .into_iter()
            .chain(&self.intermediates)
            .filter(|certificate| Some(*certificate) != self.root.as_ref())
    }

    /// All certificates in order, issuer first, root last.
    pub(super) fn all(&self) -> impl Iterator<Item = &Certificate> {
        self.below_root().chain(&self.root)
    }

    /// Why the way ends before a root.
    pub(super) fn broken_link(&self) -> Option<Finding> {
        self.broken.as_deref().cloned()
    }
}

struct Search<'a> {
    files: &'a Files,
    now: SystemTime,
    checks_left: usize,
    /// From the issuer to where the search stands.
    way: Vec<Certificate>,
    longest: Vec<Certificate>,
}

impl Search<'_> {
    fn climb(&mut self, from: &Certificate) -> Option<Certificate> {
        if self.files.roots.contains(from) && is_self_signed(from) {
            return Some(from.clone());
        }
        if self.way.len() > self.longest.len() {
            self.longest.clone_from(&self.way);
        }
        for candidate in self.candidates(from) {
            if !self.is_signed_by(from, &candidate) {
                continue;
            }
            self.way.push(candidate.clone());
            if let Some(root) = self.climb(&candidate) {
                return Some(root);
            }
            self.way.pop();
        }
        // The file of roots may hold the whole chain; what was issued by another CA anchors only if nothing better does.
        self.files.roots.contains(from).then(|| from.clone())
    }

    /// What may have issued `below`, the likeliest first.
    fn candidates(&self, below: &Certificate) -> Vec<Certificate> {
        let files = self.files;
        let mut candidates: Vec<Certificate> = Vec::new();
        for certificate in files.roots.iter().chain(&files.issuer).chain(&files.chain) {
            let named = certificate.facts().subject_der == below.facts().issuer_der;
            let fresh = !self.way.contains(certificate) && !candidates.contains(certificate);
            if named && fresh {
                candidates.push(certificate.clone());
            }
        }
        candidates.sort_by_key(|certificate| {
            (
                !has_key_id(certificate, below),
                !certificate.is_ca(),
                !certificate.is_valid_at(self.now),
                !files.roots.contains(certificate),
                // Of a root that was certified again the newer one lasts.
                Reverse(certificate.facts().not_after),
            )
        });
        candidates
    }

    fn is_signed_by(&mut self, below: &Certificate, issuer: &Certificate) -> bool {
        let Some(left) = self.checks_left.checked_sub(1) else {
            return false;
        };
        self.checks_left = left;
        matches!(
            algorithm::check_signature(below, issuer),
            Signature::Good | Signature::Weak
        )
    }

    fn explain(&self, last: &Certificate) -> Finding {
        let facts = last.facts();
        let (subject, issuer) = (&facts.subject, &facts.issuer);
        let file = self.files.file_of(last);
        let roots_file = self.files.layout.roots_file();
        if is_self_signed(last) {
            return Finding::error(
                roots_file,
                "anchored",
                format!(
                    "the chain ends at the root {subject} ({}), which is not in {roots_file}",
                    last.fingerprint()
                ),
                format!("put that root into {roots_file}, if it is to be trusted"),
            );
        }
        let issuer_found = self
            .candidates(last)
            .into_iter()
            .find(|issuer| issuer != last);
        match issuer_found.map(|issuer| algorithm::check_signature(last, &issuer)) {
            Some(Signature::Unknown) => Finding::error(
                file,
                "signature-algorithm",
                format!(
                    "{subject} is signed with an algorithm ({}) that cannot be checked",
                    facts.signature_algorithm
                ),
                "have it issued with RSA or ECDSA and SHA-256 or SHA-384",
            ),
            Some(_) => Finding::error(
                file,
                "signature",
                format!(
                    "the signature of {subject} is not by the key of {issuer} that is in the bundle"
                ),
                format!(
                    "the issuer was renewed with another key, or the files are of different CAs: get the {issuer} that issued it"
                ),
            ),
            None => self.no_issuer(last),
        }
    }

    fn no_issuer(&self, last: &Certificate) -> Finding {
        let (subject, issuer) = (&last.facts().subject, &last.facts().issuer);
        let files = self.files;
        let mut held = files.roots.iter().chain(&files.issuer).chain(&files.chain);
        let (seen, fix) = match held.any(|held| held.facts().subject == *issuer) {
            true => (
                format!(
                    "{subject} names {issuer} as its issuer with other string types than that one has"
                ),
                "have one of the two issued anew: verifiers compare names byte for byte".to_owned(),
            ),
            false => (
                format!("{subject} was issued by {issuer}, which is not in the bundle"),
                format!(
                    "put {issuer} into {}, or into {} if it is the root",
                    files.layout.chain_file(),
                    files.layout.roots_file()
                ),
            ),
        };
        Finding::error(files.file_of(last), "anchored", seen, fix)
    }
}

/// Whether the certificate is a root: its own issuer, and not just one of the same name.
pub(super) fn is_self_signed(certificate: &Certificate) -> bool {
    certificate.is_self_issued()
        && algorithm::check_signature(certificate, certificate) != Signature::Bad
}

/// Whether the key identifiers of the two agree (RFC 5280 section 4.2.1.1).
fn has_key_id(issuer: &Certificate, below: &Certificate) -> bool {
    let wanted = below.facts().authority_key_id.as_ref();
    wanted.is_some() && wanted == issuer.facts().subject_key_id.as_ref()
}

/// How many signatures are checked at most: a file full of certificates of one name must not keep the server busy.
const MAX_CHECKS: usize = 500;
