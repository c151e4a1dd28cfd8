//! What does one signer consist of, and what comes out of it?
//!
//! A generation never changes; whoever holds one signs and answers with a set that belongs together.

use std::collections::HashSet;
use std::sync::Arc;

use proto::certificate::Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::Source;
use super::algorithm;
use super::algorithm::Signature;
use super::crl::Crl;
use super::key::IssuerKey;
use super::twins;
use crate::x509::LeafTemplate;
use crate::x509::Validity;
use crate::x509::leaf;
use crate::x509::leaf::IssuerFields;

mod parts;
mod signed_leaf;

pub use parts::Conditions;
pub use parts::Material;
pub use parts::RenewBy;
pub use parts::StandingBy;
pub use signed_leaf::Leaf;
pub use signed_leaf::SignError;

/// One immutable set of key, chain and trust bundle.
#[derive(Clone, Debug)]
pub struct Generation {
    number: u64,
    source: Source,
    key: Arc<IssuerKey>,
    key_id: Vec<u8>,
    issuer: Certificate,
    /// The issuing certificate first, then its issuers, without the root, then the cross-certificates.
    chain: Vec<Certificate>,
    cross: Vec<Certificate>,
    crls: Vec<Crl>,
    root: Certificate,
    own_roots: Vec<Certificate>,
    conditions: Conditions,
    standing_by: StandingBy,
    window: Option<Validity>,
    /// Why verifiers built on rustls refuse every leaf, although others may accept them.
    rustls_refuses: Option<String>,
}

impl Generation {
    /// Puts `material` together, with no other roots than its own.
    #[must_use]
    pub fn new(material: Material) -> Self {
        let issuer_is_root = material.issuer == material.root;
        let chain = match issuer_is_root {
            true => Vec::new(),
            false => [vec![material.issuer.clone()], material.intermediates].concat(),
        };
        let own_roots = none_twice([vec![material.root.clone()], material.other_roots].concat());
        Self {
            number: 0,
            source: material.source,
            key: Arc::new(material.key),
            key_id: key_id(&material.issuer),
            // Who needs a cross-certificate has until its end; who does not, loses nothing by it.
            window: common_window(chain.iter().chain([&material.root])),
            issuer: material.issuer,
            chain: [&*chain, &*material.cross].concat(),
            cross: material.cross,
            crls: material.crls,
            root: material.root,
            conditions: Conditions {
                roots: own_roots.clone(),
                ..Conditions::default()
            },
            standing_by: StandingBy::default(),
            own_roots,
            rustls_refuses: None,
        }
    }

    /// The same signer under `conditions`, whose roots its own ones go before, with others `standing_by`.
    ///
    /// A root that was certified again and is there in its newer form alone stays away.
    #[must_use]
    pub fn in_force(&self, conditions: Conditions, standing_by: StandingBy) -> Self {
        let others = &conditions.roots;
        let is_missed = |own: &&Certificate| {
            others.contains(own) || !others.iter().any(|one| twins::is_same_root(one, own))
        };
        let own = self.own_roots.iter().filter(is_missed).cloned();
        let roots = none_twice(own.chain(others.iter().cloned()).collect());
        let roots = twins::longest_lived_first(&roots);
        let known = |signer: Arc<Self>| Arc::new(signer.known_under(&roots));
        Self {
            standing_by: StandingBy {
                before: standing_by.before.into_iter().map(known).collect(),
                next: standing_by.next.into_iter().map(known).collect(),
            },
            ..self.known_under(&roots)
        }
        .under(Conditions {
            roots,
            ..conditions
        })
    }

    fn under(self, conditions: Conditions) -> Self {
        Self { conditions, ..self }
    }

    /// The same signer without what it sends for roots that nobody is to trust any more: our own CA is signed across
    /// for the time in which the root before it is in the bundle. An operator's is as the operator wants it.
    fn known_under(&self, roots: &[Certificate]) -> Self {
        let is_known = |cross: &Certificate| {
            let is_issuer =
                |root: &Certificate| algorithm::check_signature(cross, root) == Signature::Good;
            matches!(self.source, Source::PluggedIn { .. }) || roots.iter().any(is_issuer)
        };
        let is_sent = |one: &&Certificate| !self.cross.contains(one) || is_known(one);
        Self {
            chain: self.chain.iter().filter(is_sent).cloned().collect(),
            ..self.clone()
        }
    }

    pub(super) fn refused_by_rustls(self, reason: String) -> Self {
        Self {
            rustls_refuses: Some(reason),
            ..self
        }
    }

    pub(super) fn with_source(self, source: Source) -> Self {
        Self { source, ..self }
    }

    pub(super) fn numbered(self, number: u64) -> Self {
        Self { number, ..self }
    }

    /// Rises with every replacement in this process; 0 as long as it is not in force.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Where the CA material came from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The certificate whose key signs.
    #[must_use]
    pub fn issuer(&self) -> &Certificate {
        &self.issuer
    }

    /// Issuer first, without the root; after its issuers the cross-certificates that are sent. When the issuer is itself
    /// a root, there are only those.
    #[must_use]
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// Certificates by other CAs for the keys of the root or an intermediate.
    #[must_use]
    pub fn cross(&self) -> &[Certificate] {
        &self.cross
    }

    /// The revocation lists that came with the signer.
    #[must_use]
    pub fn crls(&self) -> &[Crl] {
        &self.crls
    }

    /// Every CA of its own path: the issuer first, the root last.
    pub fn cas(&self) -> impl Iterator<Item = &Certificate> {
        let below = self.chain.iter().filter(|one| !self.cross.contains(one));
        below.chain([&self.root])
    }

    /// What its leaves name as the key identifier of their issuer.
    pub(super) fn key_id(&self) -> &[u8] {
        &self.key_id
    }

    /// The root that anchors the chain.
    #[must_use]
    pub fn root(&self) -> &Certificate {
        &self.root
    }

    /// The roots that came with the signer, the anchoring one first, none twice.
    #[must_use]
    pub fn own_roots(&self) -> &[Certificate] {
        &self.own_roots
    }

    /// Every root that relying parties must hold, the anchoring one first, none twice.
    #[must_use]
    pub fn roots(&self) -> &[Certificate] {
        &self.conditions.roots
    }

    /// The number of the trust bundle that [`Self::roots`] is.
    #[must_use]
    pub fn bundle_number(&self) -> u64 {
        self.conditions.bundle_number
    }

    /// What is in force besides the signer.
    #[must_use]
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Every signer that somebody may know: those of before, the oldest first, the one that signs, the next, and
    /// those that were to be.
    pub fn signers(&self) -> impl Iterator<Item = &Self> {
        let StandingBy { before, next } = &self.standing_by;
        let before = before.iter().map(AsRef::as_ref);
        before.chain([self]).chain(next.iter().map(AsRef::as_ref))
    }

    /// The time in which all certificates of the chain and the root are valid: no leaf may go beyond it.
    /// `None` when there is no such time.
    #[must_use]
    pub fn window(&self) -> Option<Validity> {
        self.window
    }

    /// The key that signs: its kind, never its bytes.
    #[must_use]
    pub fn key(&self) -> &IssuerKey {
        &self.key
    }

    /// Why verifiers built on rustls refuse every leaf of this signer, where they do.
    #[must_use]
    pub fn rustls_refuses(&self) -> Option<&str> {
        self.rustls_refuses.as_deref()
    }

    /// Signs the leaf that `template` describes and reads it back against the template. Blocks the
    /// thread while the key works: 4 ms for RSA with 4096 bits, a fraction of one on a curve.
    ///
    /// # Errors
    /// When the key does not sign, or what came out is not what was intended; nothing may leave then.
    pub fn sign(&self, template: &LeafTemplate<'_>) -> Result<Leaf, SignError> {
        let issuer = IssuerFields {
            subject_der: &self.issuer.facts().subject_der,
            key_id: &self.key_id,
            signature_algorithm_der: self.key.signature_algorithm_der(),
        };
        let tbs = leaf::encode_tbs(template, &issuer);
        let signature = self.key.sign(&tbs).map_err(|_refused| SignError::Key)?;
        let der = leaf::assemble(&tbs, issuer.signature_algorithm_der, &signature);
        leaf::check(&der, template, &issuer)?;
        Ok(Leaf {
            der,
            issuer: self.issuer.fingerprint(),
        })
    }

    /// A leaf from the ledger, where it was one of these signers who signed it.
    #[must_use]
    pub fn own_leaf(&self, der: Vec<u8>) -> Option<Leaf> {
        let leaf = Certificate::from_der(&der).ok()?;
        let is_ours =
            |signer: &Self| algorithm::check_signature(&leaf, &signer.issuer) == Signature::Good;
        let signer = self.signers().find(|signer| is_ours(signer))?;
        Some(Leaf {
            der,
            issuer: signer.issuer.fingerprint(),
        })
    }

    /// The elements of an answer on the wire: `leaf`, one per certificate of its chain, and last all
    /// roots in one. Each is PEM and ends with one newline.
    #[must_use]
    pub fn leaf_chain_pem(&self, leaf: &Leaf) -> Vec<String> {
        let is_issuer = |signer: &&Self| signer.issuer.fingerprint() == leaf.issuer;
        let signer = self.signers().find(is_issuer).unwrap_or(self);
        let roots: String = self.roots().iter().map(Certificate::to_pem).collect();
        let mut elements = vec![leaf.to_pem()];
        elements.extend(signer.chain.iter().map(Certificate::to_pem));
        elements.push(roots);
        elements
    }

    /// What a TLS server presents that shows its root, as DER: `leaf`, the chain, the anchoring root.
    #[must_use]
    pub fn presented_chain(&self, leaf: &Leaf) -> Vec<Vec<u8>> {
        let above = self.chain.iter().chain([&self.root]);
        [leaf.der.clone()]
            .into_iter()
            .chain(above.map(|certificate| certificate.der().to_vec()))
            .collect()
    }
}

/// The issuer's subjectKeyIdentifier; where it has none, method 1 of RFC 5280 section 4.2.1.2.
fn key_id(issuer: &Certificate) -> Vec<u8> {
    let facts = issuer.facts();
    facts.subject_key_id.clone().unwrap_or_else(|| {
        let bits = SubjectPublicKeyInfo::from_der(&facts.spki_der)
            .map(|(_, spki)| spki.subject_public_key.data.to_vec())
            .unwrap_or_default();
        let sha1 = &ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
        ring::digest::digest(sha1, &bits).as_ref().to_vec()
    })
}

fn common_window<'a>(certificates: impl Iterator<Item = &'a Certificate>) -> Option<Validity> {
    certificates
        .map(|certificate| {
            let facts = certificate.facts();
            Validity::new(facts.not_before, facts.not_after)
        })
        .reduce(|all, one| all?.intersection(one?))?
}

fn none_twice(certificates: Vec<Certificate>) -> Vec<Certificate> {
    let mut seen = HashSet::new();
    certificates
        .into_iter()
        .filter(|certificate| seen.insert(certificate.fingerprint()))
        .collect()
}

#[cfg(test)]
mod tests;
