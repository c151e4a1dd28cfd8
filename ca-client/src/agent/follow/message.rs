//! Does what the CA pushed make sense? Whatever does not changes nothing at all, and is told.

use std::sync::Arc;

use proto::certificate::Certificate;
use proto::certificate::CertificateError;
use proto::certificate::Fingerprint;
use proto::certificate::FingerprintError;
use proto::signet::TrustBundle;
use proto::spiffe::TrustDomain;

use super::Advice;
use crate::bundle::Beyond;
use crate::svid::SvidError;

/// A message that makes sense by itself.
#[derive(Debug)]
pub(in crate::agent) struct Heard {
    pub(in crate::agent) number: u64,
    /// Those of our own trust domain.
    pub(in crate::agent) roots: Vec<Certificate>,
    pub(in crate::agent) beyond: Arc<Beyond>,
    pub(in crate::agent) distrusted: Vec<Fingerprint>,
    pub(in crate::agent) advice: Option<Advice>,
}

impl Heard {
    /// Reads `message` for a workload of the trust domain `own`.
    ///
    /// # Errors
    /// The first thing that makes no sense.
    pub(in crate::agent) fn read(
        message: &TrustBundle,
        own: &TrustDomain,
    ) -> Result<Self, NonsenseError> {
        if message.number == 0 {
            return Err(NonsenseError::NoNumber);
        }
        if message.trust_domain != own.as_str() {
            return Err(NonsenseError::OtherTrustDomain {
                own: own.clone(),
                seen: message.trust_domain.escape_debug().take(80).collect(),
            });
        }
        let distrusted = message
            .distrusted
            .iter()
            .map(|text| text.parse())
            .collect::<Result<Vec<_>, _>>()?;
        if distrusted.len() > MOST {
            return Err(NonsenseError::TooMany { most: MOST });
        }
        Ok(Self {
            number: message.number,
            roots: roots(message, own)?,
            beyond: Arc::new(beyond(message, own)?),
            distrusted,
            advice: message.renew_by.as_ref().map(Advice::read).transpose()?,
        })
    }
}

/// Why a pushed trust bundle is not used.
#[derive(Debug, thiserror::Error)]
pub(in crate::agent) enum NonsenseError {
    /// The advice to renew cannot be understood.
    #[error("its advice to renew early has a bad '{what}'")]
    Advice { what: &'static str },
    /// A root is no certificate.
    #[error("root {number} is not a certificate")]
    Certificate {
        number: usize,
        source: CertificateError,
    },
    /// A fingerprint is none.
    #[error("a root to be distrusted is not named by its fingerprint")]
    Fingerprint(#[from] FingerprintError),
    /// Nobody would be the CA any more.
    #[error("no root would be left that authenticates the CA; look at its distrusted roots")]
    NobodyLeft,
    /// The number is missing.
    #[error("it has no number")]
    NoNumber,
    /// There are none of our trust domain.
    #[error("it has no roots for the trust domain {own}")]
    NoRoots { own: TrustDomain },
    /// A certificate that signs nothing.
    #[error("root {number} ({subject}) is not a CA certificate")]
    NotACa { number: usize, subject: String },
    /// The present certificate would be worth nothing.
    #[error(
        "the certificate in use does not lead to its roots; it is renewed soon, which brings both"
    )]
    NotOurRoots { source: SvidError },
    /// The CA is another domain's.
    #[error("it is for the trust domain '{seen}', and this workload is of {own}")]
    OtherTrustDomain { own: TrustDomain, seen: String },
    /// More than anybody has.
    #[error("it has more than {most} roots")]
    TooMany { most: usize },
}

fn roots(message: &TrustBundle, own: &TrustDomain) -> Result<Vec<Certificate>, NonsenseError> {
    let none = || NonsenseError::NoRoots { own: own.clone() };
    let ders = &message
        .domains
        .get(own.as_str())
        .ok_or_else(none)?
        .certificates;
    if ders.is_empty() {
        return Err(none());
    }
    if ders.len() > MOST {
        return Err(NonsenseError::TooMany { most: MOST });
    }
    ders.iter()
        .enumerate()
        .map(|(index, der)| root(index + 1, der))
        .collect()
}

/// What is wrong with another trust domain's roots must not keep ours from us: those are left out.
fn beyond(message: &TrustBundle, own: &TrustDomain) -> Result<Beyond, NonsenseError> {
    if message.domains.len() > MOST || message.crls.len() > MOST {
        return Err(NonsenseError::TooMany { most: MOST });
    }
    let others = message
        .domains
        .iter()
        .filter(|(name, _)| *name != own.as_str() && name.parse::<TrustDomain>().is_ok());
    let mut beyond = Beyond {
        crls: message.crls.clone(),
        ..Beyond::default()
    };
    for (name, roots) in others {
        let ders = roots.certificates.iter().take(MOST);
        let good: Vec<Certificate> = ders
            .filter_map(|der| Certificate::from_der(der).ok())
            .filter(Certificate::is_ca)
            .collect();
        if good.len() < roots.certificates.len() {
            tracing::warn!(trust_domain = %name, good = good.len(), "roots of another trust domain are left out");
        }
        if !good.is_empty() {
            beyond.others.insert(name.clone(), good);
        }
    }
    Ok(beyond)
}

fn root(number: usize, der: &[u8]) -> Result<Certificate, NonsenseError> {
    let root = Certificate::from_der(der)
        .map_err(|source| NonsenseError::Certificate { number, source })?;
    match root.is_ca() {
        true => Ok(root),
        false => Err(NonsenseError::NotACa {
            number,
            subject: root.facts().subject.clone(),
        }),
    }
}

const MOST: usize = 1000;
