//! May these signers and roots live in one trust bundle? A leaf signed on trial by each of them must verify against
//! all of it, by webpki and by OpenSSL's rules.
//!
//! OpenSSL, and Envoy with it, takes the first root that has the issuer's name and does not contradict the
//! authorityKeyIdentifier, and never looks for another one when the signature is wrong. So two roots of one name are
//! told apart by key identifiers or not at all.

use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;

use super::Generation;
use super::algorithm;
use super::algorithm::Signature;
use super::trial;
use super::trial::TrialError;
use super::twins;
use crate::x509::Entropy;

/// Looks whether leaves of each of `signers` verify against `roots`: the trust bundle that is to be, with the roots
/// that are new in it last.
///
/// # Errors
/// The first two certificates that verifiers would mix up, or what is wrong with a leaf on trial.
pub fn check(
    signers: &[&Generation],
    roots: &[Certificate],
    now: SystemTime,
    entropy: &dyn Entropy,
) -> Result<(), Incompatible> {
    check_names(roots)?;
    for signer in signers {
        check_names_above(signer, roots)?;
        trial::sign_and_verify_against(signer, roots, now, entropy).map_err(|source| {
            Incompatible::Trial {
                issuer: signer.issuer().fingerprint(),
                source,
            }
        })?;
    }
    Ok(())
}

/// Whether leaves of `signer` verify, as they are sent, by who trusts `root` alone: because it is the signer's own
/// root, or that certified again, or by a cross-certificate.
#[must_use]
pub fn is_accepted_by(
    signer: &Generation,
    root: &Certificate,
    now: SystemTime,
    entropy: &dyn Entropy,
) -> bool {
    let has_signed = |cross: &Certificate| is_signed_by(cross, root);
    let is_related =
        twins::is_same_root(signer.root(), root) || signer.cross().iter().any(has_signed);
    let only = std::slice::from_ref(root);
    is_related && trial::sign_and_verify_against(signer, only, now, entropy).is_ok()
}

/// Why signers and roots cannot live in one trust bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Incompatible {
    /// Two certificates have one name and different keys, and key identifiers do not tell them apart.
    #[error(
        "{held} and {new} are both called {name} and have different keys, and no key identifiers tell them apart: OpenSSL and Envoy would take one for the other and refuse leaves of both; give the new one another subject, or have both issued with a subjectKeyIdentifier of their own that everything below them names in its authorityKeyIdentifier"
    )]
    Lookalikes {
        /// The name.
        name: String,
        /// SHA-256 of the one that was there first.
        held: Fingerprint,
        /// SHA-256 of the other one.
        new: Fingerprint,
    },
    /// A leaf signed on trial does not verify against all roots together.
    #[error(
        "a leaf of {issuer}, signed on trial, is refused by who trusts the new bundle: {source}"
    )]
    Trial {
        /// SHA-256 of the issuing certificate.
        issuer: Fingerprint,
        /// Why it is refused.
        source: TrialError,
    },
}

/// Roots of one name with different keys each need an identifier of their own.
fn check_names(roots: &[Certificate]) -> Result<(), Incompatible> {
    for (place, new) in roots.iter().enumerate() {
        let mut before = roots.iter().take(place);
        if let Some(held) = before.find(|held| are_lookalikes(held, new)) {
            return Err(lookalikes(held, new));
        }
    }
    Ok(())
}

fn are_lookalikes(held: &Certificate, new: &Certificate) -> bool {
    let (held, new) = (held.facts(), new.facts());
    let ids = (&held.subject_key_id, &new.subject_key_id);
    let told_apart = matches!(ids, (Some(held), Some(new)) if held != new);
    held.subject_der == new.subject_der && held.spki_der != new.spki_der && !told_apart
}

/// No root may pass for the issuer of anything that `signer` sends, unless it is.
fn check_names_above(signer: &Generation, roots: &[Certificate]) -> Result<(), Incompatible> {
    let above = || signer.chain().iter().chain([signer.root()]);
    // What the issuing CA signs names its key: a root of its name is told apart by that, or not at all.
    let passes_for_issuer = |root: &&Certificate| {
        let (facts, own) = (root.facts(), signer.issuer().facts());
        let key_id = facts.subject_key_id.as_deref();
        let told_apart = key_id.is_some_and(|key_id| key_id != signer.key_id());
        facts.subject_der == own.subject_der && facts.spki_der != own.spki_der && !told_apart
    };
    if let Some(root) = roots.iter().find(passes_for_issuer) {
        return Err(lookalikes(signer.issuer(), root));
    }
    for sent in signer.chain() {
        if let Some(root) = roots.iter().find(|root| passes_for_issuer_of(root, sent)) {
            let issuer = above().find(|issuer| is_signed_by(sent, issuer));
            return Err(lookalikes(issuer.unwrap_or(sent), root));
        }
    }
    Ok(())
}

/// Whether OpenSSL may take `root` for the issuer of `below` although another key signed that.
fn passes_for_issuer_of(root: &Certificate, below: &Certificate) -> bool {
    let (root_facts, facts) = (root.facts(), below.facts());
    let ids = (&facts.authority_key_id, &root_facts.subject_key_id);
    let contradicts = matches!(ids, (Some(named), Some(own)) if named != own);
    root_facts.subject_der == facts.issuer_der
        && !contradicts
        && algorithm::check_signature(below, root) == Signature::Bad
}

fn is_signed_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    certificate.facts().issuer_der == issuer.facts().subject_der
        && algorithm::check_signature(certificate, issuer) == Signature::Good
}

fn lookalikes(held: &Certificate, new: &Certificate) -> Incompatible {
    Incompatible::Lookalikes {
        name: new.facts().subject.clone(),
        held: held.fingerprint(),
        new: new.fingerprint(),
    }
}

#[cfg(test)]
mod tests;
