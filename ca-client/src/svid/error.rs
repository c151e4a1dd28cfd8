//! Why are some certificates and a key no SVID?

use std::time::SystemTime;

use proto::certificate::CertificateError;
use proto::certificate::Fingerprint;
use proto::chain::ChainError;
use proto::spiffe::SpiffeId;
use proto::spiffe::SpiffeIdError;

use crate::clock::CLOCK_TOLERANCE;

/// Why certificates and key do not make an SVID that may be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SvidError {
    /// The leaf certifies a key that is not ours.
    #[error(
        "the certificate is for another key than the one in our request; is a proxy or cache in between?"
    )]
    AnotherKey,
    /// The leaf has another name than the one asked for.
    #[error(
        "the certificate is for {seen}, expected {expected}; check the credential, or the name that was asked for"
    )]
    AnotherName {
        /// The name that was asked for.
        expected: SpiffeId,
        /// The name in the leaf.
        seen: SpiffeId,
    },
    /// A part is not certificates.
    #[error("element {number} of the chain does not hold certificates")]
    Certificate {
        /// Which element, counting from 1.
        number: usize,
        /// What is wrong with it.
        source: CertificateError,
    },
    /// The chain breaks a rule.
    #[error(
        "the chain is not valid; the CA's bundle needs a look (its 'bundle check' command names the file)"
    )]
    Chain {
        /// The rule.
        source: ChainError,
    },
    /// The leaf has expired.
    #[error("the certificate expired at {}, and it is {} here; is this machine's clock right?", utc(*not_after), utc(*now))]
    Expired {
        /// The leaf's last second.
        not_after: SystemTime,
        /// Our time.
        now: SystemTime,
    },
    /// The chain is good, but ends in a root that we have no reason to trust.
    #[error(
        "the chain ends in a root that is not trusted here: it leads to {}, trusted: {}; \
         if the CA really has a new root, give it (or its fingerprint) explicitly",
        list(seen),
        list(trusted)
    )]
    ForeignRoot {
        /// Fingerprints of the roots that we trust.
        trusted: Vec<Fingerprint>,
        /// Fingerprints of the roots in the answer.
        seen: Vec<Fingerprint>,
    },
    /// The private key is not the leaf's, or of a kind that cannot be used.
    #[error("the private key does not belong to the certificate")]
    KeyDoesNotFit {
        /// The TLS library's words.
        source: rustls::Error,
    },
    /// There is no PKCS#8 private key, or more than one.
    #[error("expected exactly one PEM block 'PRIVATE KEY'")]
    NoKey,
    /// There is no leaf.
    #[error("there is no certificate")]
    NoLeaf,
    /// The last element has no root.
    #[error(
        "the last element of the chain holds no root certificate, so the chain cannot be used; look at the CA's bundle"
    )]
    NoRoots,
    /// The last element holds a certificate that is no CA.
    #[error("the last element of the chain holds {subject}, which is not a CA certificate")]
    NotARoot {
        /// The certificate's subject.
        subject: String,
    },
    /// The leaf is not one SPIFFE identity.
    #[error("expected exactly one URI name in the certificate, found {found}")]
    NotOneName {
        /// How many there are.
        found: usize,
    },
    /// The leaf's name is not a SPIFFE ID.
    #[error("'{name}' in the certificate is not a SPIFFE ID")]
    NotSpiffe {
        /// The name in the leaf.
        name: String,
        /// The rule that it breaks.
        source: SpiffeIdError,
    },
    /// The leaf starts later than a skewed clock explains.
    #[error(
        "the certificate starts at {}, and it is {} here, more than {} minutes apart; set this machine's clock",
        utc(*not_before), utc(*now), CLOCK_TOLERANCE.as_secs() / 60
    )]
    NotYetValid {
        /// The leaf's first second.
        not_before: SystemTime,
        /// Our time.
        now: SystemTime,
    },
    /// The answer is older than what is known, and of no use beside it.
    #[error(
        "the answer comes with trust bundle {answered}, and {known} is known here already, which its certificate does \
         not lead to; asking again, since a client never goes back to older roots"
    )]
    OlderRoots {
        /// The number of the answer's roots.
        answered: u64,
        /// The number of the known roots.
        known: u64,
        /// Why the certificate does not lead to the known roots.
        source: ChainError,
    },
    /// An element other than the last holds something else than one certificate.
    #[error("element {number} of the chain holds {found} certificates, expected exactly one")]
    NotSingle {
        /// Which element, counting from 1.
        number: usize,
        /// How many certificates there are.
        found: usize,
    },
    /// Too few elements to have a leaf and a root.
    #[error("the chain has {found} elements, expected at least a leaf and the roots")]
    TooShort {
        /// How many there are.
        found: usize,
    },
}

fn list(fingerprints: &[Fingerprint]) -> String {
    let texts: Vec<String> = fingerprints.iter().map(Fingerprint::to_string).collect();
    texts.join(", ")
}

fn utc(time: SystemTime) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_seconds(time)
}
