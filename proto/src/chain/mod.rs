//! Is this chain of certificates good? RFC 5280 section 6 and X509-SVID section 5.
//!
//! rustls-webpki finds the path and checks signatures; what it leaves out is checked beside it.

mod error;
mod explain;
mod path;
mod reach;
mod signed;
mod svid;

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use webpki::EndEntityCert;

pub use self::error::ChainError;
pub use self::error::SvidRule;
use self::reach::Reach;
pub use self::signed::Signature;
pub use self::signed::signature;
use crate::certificate::Certificate;
use crate::certificate::KeyUsage;
use crate::spiffe::SpiffeId;
use crate::spiffe::TrustDomain;

/// What a leaf is verified for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// An X509-SVID: one SPIFFE ID, and the rules of that standard.
    X509Svid,
    /// Any leaf that RFC 5280 accepts for TLS servers or clients.
    Pkix,
}

/// A chain that was found good.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The leaf's SPIFFE ID; always there for [`Profile::X509Svid`].
    pub spiffe_id: Option<SpiffeId>,
    /// Leaf first, root last.
    pub path: Vec<Certificate>,
}

/// Verifies `chain` (leaf first; the rest in any order, repeats and strangers allowed) against `roots` at `at`.
///
/// With `trust_domain`, an X509-SVID must be a member of it. Only `roots` are trusted, whatever `chain` holds.
/// Signatures may be ECDSA (P-256, P-384; SHA-256, SHA-384), Ed25519, and RSA of 2048 to 8192 bits with PKCS#1 v1.5
/// or PSS (SHA-256, SHA-384, SHA-512). No revocation is looked at.
///
/// # Errors
/// The first rule that is broken, with its evidence: the leaf's own shape for an X509-SVID first, then the
/// path, then the trust domain.
pub fn verify(
    chain: &[Certificate],
    roots: &[Certificate],
    trust_domain: Option<&TrustDomain>,
    profile: Profile,
    at: SystemTime,
) -> Result<Verified, ChainError> {
    let leaf = chain.first().ok_or(ChainError::Empty)?;
    if profile == Profile::Pkix {
        let path = path::find(chain, roots, path::Purpose::Either, at)?;
        check_handshake_usage(leaf)?;
        let spiffe_id = svid::spiffe_id(leaf).ok();
        return Ok(Verified { spiffe_id, path });
    }
    let spiffe_id = svid::check(leaf).map_err(|rule| ChainError::NotASvid { rule })?;
    let path = path::find(chain, roots, path::Purpose::Both, at)?;
    if let Some(expected) = trust_domain.filter(|domain| !spiffe_id.is_member_of(domain)) {
        return Err(ChainError::WrongTrustDomain {
            expected: expected.clone(),
            found: spiffe_id,
        });
    }
    Ok(Verified {
        spiffe_id: Some(spiffe_id),
        path,
    })
}

/// Verifies `chain` as that of a TLS server called `server_name` (RFC 9525), which must be one of the leaf's
/// dNSName or iPAddress entries. Otherwise as [`verify`] with [`Profile::Pkix`].
///
/// # Errors
/// The first rule that is broken, with its evidence; the name comes last.
pub fn verify_tls_server(
    chain: &[Certificate],
    roots: &[Certificate],
    server_name: &ServerName<'_>,
    at: SystemTime,
) -> Result<Verified, ChainError> {
    let leaf = chain.first().ok_or(ChainError::Empty)?;
    let path = path::find(chain, roots, path::Purpose::Server, at)?;
    check_handshake_usage(leaf)?;
    let der = CertificateDer::from(leaf.der());
    EndEntityCert::try_from(&der)
        .and_then(|leaf| leaf.verify_is_valid_for_subject_name(server_name))
        .map_err(|_no_such_name| error::wrong_name(leaf, server_name))?;
    Ok(Verified {
        spiffe_id: svid::spiffe_id(leaf).ok(),
        path,
    })
}

/// The SPIFFE ID of `leaf`, if by its own shape it is an X509-SVID: no chain, no dates.
///
/// # Errors
/// The first rule of X509-SVID sections 2 to 4 that it breaks.
pub fn svid_id(leaf: &Certificate) -> Result<SpiffeId, SvidRule> {
    svid::check(leaf)
}

/// One way up from the leaf of `chain` as names and signatures lead, and whether it ends at one of `roots`.
///
/// It tells a person what a chain that [`verify`] refuses consists of; it proves nothing.
#[must_use]
pub fn way_up(chain: &[Certificate], roots: &[Certificate]) -> (Vec<Certificate>, bool) {
    let Some((leaf, others)) = chain.split_first() else {
        return (Vec::new(), false);
    };
    if chain.len() > path::MAX_CERTIFICATES {
        return (vec![leaf.clone()], false);
    }
    match Reach::new(leaf, others, roots) {
        Ok(reach) => {
            let (way, anchored) = reach.way_up();
            (way.into_iter().cloned().collect(), anchored)
        }
        Err(_too_much_to_search) => (vec![leaf.clone()], false),
    }
}

/// webpki does not look at the leaf's keyUsage (RFC 5280 section 4.2.1.3).
fn check_handshake_usage(leaf: &Certificate) -> Result<(), ChainError> {
    let forbids = |usage: KeyUsage| {
        !usage.digital_signature && !usage.key_encipherment && !usage.key_agreement
    };
    match leaf.facts().key_usage.is_some_and(forbids) {
        true => Err(ChainError::LeafKeyUsage {
            subject: error::subject(leaf),
        }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
