//! Is there a path from the leaf to a root that keeps every rule? RFC 5280 section 6.
//!
//! webpki leaves out keyUsage of CAs and everything about roots but name and key: checked here, per path, so
//! that a path that breaks a rule does not hide one that keeps it.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::TrustAnchor;
use rustls::pki_types::UnixTime;
use webpki::EndEntityCert;
use webpki::Error;
use webpki::ExtendedKeyUsageValidator;
use webpki::KeyPurposeId;
use webpki::KeyPurposeIdIter;
use webpki::VerifiedPath;

use super::error::ChainError;
use super::error::subject;
use super::explain;
use super::reach::Reach;
use super::signed;
use crate::certificate::Certificate;

/// Which key purposes the leaf and its CAs must allow, where they say anything of purposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// serverAuth and clientAuth.
    Both,
    /// clientAuth.
    Client,
    /// One of the two: the same one all the way up.
    Either,
    /// serverAuth.
    Server,
}

/// The path, leaf first and root last.
pub(super) fn find(
    chain: &[Certificate],
    roots: &[Certificate],
    purpose: Purpose,
    at: SystemTime,
) -> Result<Vec<Certificate>, ChainError> {
    let [leaf, others @ ..] = chain else {
        return Err(ChainError::Empty);
    };
    if chain.len() > MAX_CERTIFICATES {
        return Err(ChainError::TooLong {
            found: chain.len(),
            max: MAX_CERTIFICATES,
        });
    }
    let reach = Reach::new(leaf, others, roots)?;
    let search = Search {
        leaf,
        intermediates: &reach.intermediates,
        roots: &reach.roots,
        at,
    };
    for one in purpose.alternatives() {
        if let Ok(path) = search.run(*one, |path| fault(path, at).is_none()) {
            return Ok(path.into_iter().cloned().collect());
        }
    }
    // Again without our own rules, to learn which one stands in the way.
    match search.run(purpose, |_| true) {
        Ok(path) => Err(fault(&path, at).unwrap_or_else(|| explain::key_purpose(leaf, purpose))),
        Err(Error::UnknownIssuer) => {
            let strangers: Vec<&Certificate> = others.iter().chain(roots).collect();
            let unreadable = reach.unreadable_root();
            Err(unreadable.unwrap_or_else(|| reach.dead_end(&strangers)))
        }
        Err(error) => Err(explain::explain(&error, &reach, purpose, at)),
    }
}

/// What webpki is asked.
struct Search<'a> {
    leaf: &'a Certificate,
    intermediates: &'a [&'a Certificate],
    roots: &'a [&'a Certificate],
    at: SystemTime,
}

impl<'a> Search<'a> {
    /// The first path that webpki and `accepts` find good.
    fn run(
        &self,
        purpose: Purpose,
        accepts: impl Fn(&[&'a Certificate]) -> bool,
    ) -> Result<Vec<&'a Certificate>, Error> {
        let leaf_der = CertificateDer::from(self.leaf.der());
        let leaf = EndEntityCert::try_from(&leaf_der)?;
        let ders = self
            .intermediates
            .iter()
            .map(|c| CertificateDer::from(c.der()));
        let ders: Vec<CertificateDer<'_>> = ders.collect();
        let root_ders = self.roots.iter().map(|c| CertificateDer::from(c.der()));
        let root_ders: Vec<CertificateDer<'_>> = root_ders.collect();
        // A root that webpki cannot read must not take the others with it.
        let roots = self.roots.iter().zip(&root_ders).filter_map(|(root, der)| {
            let anchor = webpki::anchor_from_trusted_cert(der).ok()?;
            Some((*root, anchor))
        });
        let (roots, anchors): (Vec<&Certificate>, Vec<TrustAnchor<'_>>) = roots.unzip();
        let certificates = |path: &VerifiedPath<'_>| {
            // Two roots may have one name and key, so only the place tells them apart.
            let mut places = anchors.iter().zip(&roots);
            let (_, root) = places.find(|(anchor, _)| std::ptr::eq(*anchor, path.anchor()))?;
            self.certificates(path, root)
        };
        let since_1970 = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let check = |path: &VerifiedPath<'_>| match certificates(path) {
            Some(path) if accepts(&path) => Ok(()),
            _ => Err(Error::UnknownIssuer),
        };
        let path = leaf.verify_for_usage(
            signed::algorithms(),
            &anchors,
            &ders,
            UnixTime::since_unix_epoch(since_1970),
            purpose,
            None,
            Some(&check),
        )?;
        certificates(&path).ok_or(Error::UnknownIssuer)
    }

    /// webpki's path in our own terms.
    fn certificates(
        &self,
        path: &VerifiedPath<'_>,
        root: &'a Certificate,
    ) -> Option<Vec<&'a Certificate>> {
        let mut certificates = vec![self.leaf];
        for intermediate in path.intermediate_certificates() {
            let der = intermediate.der();
            let ours = self.intermediates.iter().find(|c| c.der() == der.as_ref());
            certificates.push(ours?);
        }
        certificates.push(root);
        Some(certificates)
    }
}

impl ExtendedKeyUsageValidator for Purpose {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let (mut any, mut server, mut client) = (false, false, false);
        for purpose in purposes {
            let purpose = purpose?;
            any = true;
            server |= purpose == KeyPurposeId::new(SERVER_AUTH);
            client |= purpose == KeyPurposeId::new(CLIENT_AUTH);
        }
        if self.is_allowed_by(server, client) || !any {
            return Ok(());
        }
        let required = webpki::KeyUsage::server_auth();
        let present = Vec::new();
        Err(Error::RequiredEkuNotFoundContext(
            webpki::RequiredEkuNotFoundContext { required, present },
        ))
    }
}

/// The first rule that webpki does not check and `path` breaks.
fn fault(path: &[&Certificate], at: SystemTime) -> Option<ChainError> {
    let (_leaf, issuers) = path.split_first()?;
    for issuer in issuers {
        let usage = issuer.facts().key_usage;
        if !issuer.is_ca() {
            let subject = subject(issuer);
            return Some(ChainError::NotACa { subject });
        }
        if usage.is_some_and(|usage| !usage.key_cert_sign) {
            let subject = subject(issuer);
            return Some(ChainError::KeyCertSignMissing { subject });
        }
    }
    let (root, intermediates) = issuers.split_last()?;
    out_of_time(root, at).or_else(|| path_length(root, intermediates))
}

/// Self-issued certificates do not count (RFC 5280 section 6.1.4 (l)).
fn path_length(root: &Certificate, intermediates: &[&Certificate]) -> Option<ChainError> {
    let max = root.facts().basic_constraints?.path_len?;
    let below = intermediates.iter().filter(|c| !c.is_self_issued()).count();
    let fits = usize::try_from(max).is_ok_and(|max| below <= max);
    (!fits).then(|| ChainError::PathLength {
        subject: subject(root),
        max,
    })
}

pub(super) fn out_of_time(certificate: &Certificate, at: SystemTime) -> Option<ChainError> {
    let facts = certificate.facts();
    if certificate.is_valid_at(at) {
        None
    } else if at < facts.not_before {
        Some(ChainError::NotYetValid {
            subject: subject(certificate),
            not_before: facts.not_before,
        })
    } else {
        Some(ChainError::Expired {
            subject: subject(certificate),
            not_after: facts.not_after,
        })
    }
}

impl Purpose {
    /// What is searched for in turn: the validator sees one certificate at a time.
    fn alternatives(self) -> &'static [Self] {
        match self {
            Self::Both => &[Self::Both],
            Self::Client => &[Self::Client],
            Self::Either => &[Self::Server, Self::Client],
            Self::Server => &[Self::Server],
        }
    }

    /// Whether an extendedKeyUsage with these of serverAuth and clientAuth allows it.
    pub(super) fn is_allowed_by(self, server: bool, client: bool) -> bool {
        match self {
            Self::Both => server && client,
            Self::Client => client,
            Self::Either => server || client,
            Self::Server => server,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Both => "serverAuth or clientAuth, both are needed",
            Self::Client => "clientAuth",
            Self::Either => "both serverAuth and clientAuth, one is needed",
            Self::Server => "serverAuth",
        }
    }
}

/// What a TLS handshake carries is far below.
pub(super) const MAX_CERTIFICATES: usize = 64;

// Content octets of id-kp-serverAuth and id-kp-clientAuth (RFC 5280 section 4.2.1.12).
const SERVER_AUTH: &[u8] = &[43, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u8] = &[43, 6, 1, 5, 5, 7, 3, 2];
