//! Why do we believe that this server is the CA? Roots that we hold, or the fingerprint of one.

use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::certificate::CertificateError;
use proto::certificate::Fingerprint;
use proto::chain;
use proto::chain::ChainError;
use rustls::DistinguishedName;
use rustls::pki_types::ServerName;

use crate::clock::moment_to_judge;

/// What authenticates the CA before anything is asked of it.
#[derive(Clone, Debug)]
pub struct Trust(Anchor);

#[derive(Clone, Debug)]
enum Anchor {
    Fingerprint(Fingerprint),
    Roots(Vec<Certificate>),
}

impl Trust {
    /// The root whose SHA-256 is `fingerprint`. The server must present it in its TLS chain, and
    /// its certificate must verify up to it.
    #[must_use]
    pub fn fingerprint(fingerprint: Fingerprint) -> Self {
        Self(Anchor::Fingerprint(fingerprint))
    }

    /// These roots, and no others.
    ///
    /// # Errors
    /// When there is none, or one that is no CA certificate.
    pub fn roots(roots: Vec<Certificate>) -> Result<Self, TrustError> {
        if roots.is_empty() {
            return Err(TrustError::NoRoots);
        }
        match roots.iter().find(|root| !root.is_ca()) {
            Some(stranger) => Err(TrustError::NotACa {
                subject: stranger.facts().subject.clone(),
            }),
            None => Ok(Self(Anchor::Roots(roots))),
        }
    }

    /// The roots of a PEM file's content.
    ///
    /// # Errors
    /// When it is not PEM, or [`Self::roots`] refuses what is in it.
    pub fn roots_pem(pem: &[u8]) -> Result<Self, TrustError> {
        let roots = Certificate::all_from_pem(pem)
            .map_err(|source| TrustError::NotCertificates { source })?;
        Self::roots(roots)
    }

    /// Fingerprints of all that is trusted.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        match &self.0 {
            Anchor::Fingerprint(fingerprint) => vec![*fingerprint],
            Anchor::Roots(roots) => roots.iter().map(Certificate::fingerprint).collect(),
        }
    }

    /// The roots' names for TLS' `certificate_authorities` (RFC 8446 section 4.2.4): all, or none where they are not
    /// known or would not fit.
    pub(crate) fn subjects(&self) -> Vec<DistinguishedName> {
        let roots = match &self.0 {
            Anchor::Fingerprint(_) => return Vec::new(),
            Anchor::Roots(roots) => roots,
        };
        let mut names: Vec<&[u8]> = Vec::new();
        for root in roots {
            let name = root.facts().subject_der.as_slice();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let len: usize = names.iter().map(|name| name.len() + 2).sum();
        match len <= MAX_HINTS_LEN {
            true => names.iter().filter_map(|name| in_sequence(name)).collect(),
            false => Vec::new(),
        }
    }

    /// Judges the chain that a server presented, leaf first. Returns the roots it is trusted by:
    /// what the server's answer must chain to as well.
    pub(crate) fn authenticate(
        &self,
        presented: &[Certificate],
        name: &ServerName<'static>,
        now: SystemTime,
    ) -> Result<Vec<Certificate>, ServerError> {
        let roots = match &self.0 {
            Anchor::Roots(roots) => roots.clone(),
            Anchor::Fingerprint(wanted) => vec![pinned(presented, *wanted)?],
        };
        let at = moment_to_judge(now, presented);
        verify(presented, &roots, name, at)?;
        Ok(roots)
    }
}

/// Why something cannot be what we trust.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// There is no certificate.
    #[error("there is no certificate in it; give the CA's root-cert.pem")]
    NoRoots,
    /// A certificate is not a CA's.
    #[error(
        "{subject} is not a CA certificate; give the CA's root-cert.pem, not a server's certificate"
    )]
    NotACa {
        /// The certificate's subject.
        subject: String,
    },
    /// The content is not certificates.
    #[error("it does not hold PEM certificates")]
    NotCertificates {
        /// What is wrong with it.
        source: CertificateError,
    },
}

/// Why the server that answered is not taken for the CA.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// No presented certificate has the pinned fingerprint.
    #[error(
        "it presented no certificate with the fingerprint {wanted}, but {}; \
         compare with 'openssl x509 -fingerprint -sha256' of the CA's root-cert.pem",
        list(presented)
    )]
    FingerprintAbsent {
        /// What was asked for.
        wanted: Fingerprint,
        /// What was presented, leaf first.
        presented: Vec<Fingerprint>,
    },
    /// The pinned fingerprint is that of a certificate that signs nothing.
    #[error(
        "the fingerprint {wanted} belongs to {subject}, which is not a CA certificate; give the root's fingerprint"
    )]
    FingerprintOfLeaf {
        /// What was asked for.
        wanted: Fingerprint,
        /// Whose it is.
        subject: String,
    },
    /// The chain is broken in another way.
    #[error("its certificate is not valid")]
    Invalid {
        /// The rule.
        source: ChainError,
    },
    /// The certificate is for other names.
    #[error(
        "its certificate is for {}, not for {expected}; is the address right? If it is, name the server with --server-name",
        names.join(", ")
    )]
    NotThisName {
        /// The name that was expected.
        expected: String,
        /// The names in the certificate.
        names: Vec<String>,
    },
    /// The chain does not lead to a root that we trust.
    #[error(
        "its certificate does not lead to a trusted root: it presented {}, trusted: {}; \
         get the CA's current root-cert.pem and give it explicitly",
        list(presented),
        list(trusted)
    )]
    UnknownIssuer {
        /// Fingerprints of what was presented, leaf first.
        presented: Vec<Fingerprint>,
        /// Fingerprints of the roots that we trust.
        trusted: Vec<Fingerprint>,
    },
    /// What was presented is not certificates.
    #[error("it presented bytes that are not a certificate")]
    Unreadable {
        /// What is wrong with them.
        source: CertificateError,
    },
}

/// rustls wants what is inside of a `Name`'s SEQUENCE.
fn in_sequence(name: &[u8]) -> Option<DistinguishedName> {
    let header = match name.get(1)? {
        short if *short < 0x80 => 2,
        long => 2 + usize::from(long & 0x7f),
    };
    Some(DistinguishedName::in_sequence(name.get(header..)?))
}

/// A handshake must not grow without bound.
const MAX_HINTS_LEN: usize = 8192;

fn pinned(presented: &[Certificate], wanted: Fingerprint) -> Result<Certificate, ServerError> {
    let found = presented
        .iter()
        .find(|certificate| certificate.fingerprint() == wanted)
        .ok_or_else(|| ServerError::FingerprintAbsent {
            wanted,
            presented: fingerprints(presented),
        })?;
    if !found.is_ca() {
        return Err(ServerError::FingerprintOfLeaf {
            wanted,
            subject: found.facts().subject.clone(),
        });
    }
    Ok(found.clone())
}

fn fingerprints(certificates: &[Certificate]) -> Vec<Fingerprint> {
    certificates.iter().map(Certificate::fingerprint).collect()
}

fn list(fingerprints: &[Fingerprint]) -> String {
    let texts: Vec<String> = fingerprints.iter().map(Fingerprint::to_string).collect();
    texts.join(", ")
}

fn verify(
    presented: &[Certificate],
    roots: &[Certificate],
    name: &ServerName<'static>,
    at: SystemTime,
) -> Result<(), ServerError> {
    match chain::verify_tls_server(presented, roots, name, at) {
        Ok(_) => Ok(()),
        Err(ChainError::UnknownIssuer { .. }) => Err(ServerError::UnknownIssuer {
            presented: fingerprints(presented),
            trusted: fingerprints(roots),
        }),
        Err(ChainError::WrongName { expected, found }) => Err(ServerError::NotThisName {
            expected,
            names: found,
        }),
        Err(source) => Err(ServerError::Invalid { source }),
    }
}
