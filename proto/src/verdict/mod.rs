//! What is said of a chain? One answer in words that programs and people share, with the rule, the path and the time left.
//!
//! [`crate::chain`] decides; nothing here does. The same verdict leaves the server, the client and its files.

mod kind;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

pub use self::kind::Kind;
pub use self::kind::Rule;
use crate::certificate::Certificate;
use crate::certificate::Fingerprint;
use crate::chain;
use crate::chain::ChainError;
use crate::chain::Profile;
use crate::chain::Verified;
use crate::spiffe::SpiffeId;
use crate::spiffe::TrustDomain;

/// What is asked of a chain.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Leaf first; the rest in any order.
    pub chain: &'a [Certificate],
    /// All that is trusted.
    pub roots: &'a [Certificate],
    /// The trust domain that an X509-SVID must be in.
    pub trust_domain: Option<&'a TrustDomain>,
    /// The SPIFFE ID that the leaf must have.
    pub spiffe_id: Option<&'a SpiffeId>,
    /// What the leaf is for.
    pub profile: Profile,
    /// The moment that counts.
    pub at: SystemTime,
}

/// What is said of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// Valid, or what kind of fault it has.
    pub kind: Kind,
    /// The rule that is broken; none for a valid chain.
    pub rule: Option<Rule>,
    /// What was expected and what was seen, for people; empty for a valid chain.
    pub reason: String,
    /// The leaf's SPIFFE ID, where it has one.
    pub spiffe_id: Option<SpiffeId>,
    /// Leaf first. All the way to a root for a valid chain; otherwise as far as names and signatures lead.
    pub path: Vec<PathCertificate>,
    /// Whether the path ends at a root that is trusted.
    pub anchored: bool,
    /// From the moment that counts to the first end of validity along the path; only for a valid chain.
    pub seconds_left: Option<u64>,
    /// The moment that counts.
    pub at: SystemTime,
}

/// One certificate of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathCertificate {
    /// Its subject; empty for most SVIDs.
    pub subject: String,
    /// Its URI, DNS and IP names.
    pub names: Vec<String>,
    /// SHA-256 of its DER.
    pub sha256: Fingerprint,
    /// First second of validity.
    pub not_before: SystemTime,
    /// Last second of validity.
    pub not_after: SystemTime,
}

impl Question<'_> {
    /// Judges the chain.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let verified = chain::verify(
            self.chain,
            self.roots,
            self.trust_domain,
            self.profile,
            self.at,
        );
        Verdict::of(verified.and_then(|verified| self.expected(verified)), self)
    }

    /// Lets those pass who are who they should be.
    fn expected(&self, verified: Verified) -> Result<Verified, ChainError> {
        let (Some(expected), Some(leaf)) = (self.spiffe_id, self.chain.first()) else {
            return Ok(verified);
        };
        let found = chain::svid_id(leaf).map_err(|rule| ChainError::NotASvid { rule })?;
        match found == *expected {
            true => Ok(verified),
            false => Err(ChainError::WrongSpiffeId {
                expected: expected.clone(),
                found,
            }),
        }
    }
}

impl Verdict {
    /// The words for what [`chain::verify`] found out about `question`.
    #[must_use]
    pub fn of(outcome: Result<Verified, ChainError>, question: &Question<'_>) -> Self {
        match outcome {
            Ok(verified) => Self::good(&verified, question.at),
            Err(error) => Self::bad(&error, question),
        }
    }

    /// Whether the chain is good.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.kind == Kind::Valid
    }

    /// The verdict on a chain that is good by itself, but whose issuer has forbidden it.
    #[must_use]
    pub fn denied(self, reason: String) -> Self {
        Self {
            kind: Kind::Denied,
            rule: Some(Rule::DENIED),
            reason,
            seconds_left: None,
            ..self
        }
    }

    fn good(verified: &Verified, at: SystemTime) -> Self {
        let ends = verified.path.iter().map(|one| one.facts().not_after);
        let left = ends.min().map(|end| end.duration_since(at));
        Self {
            kind: Kind::Valid,
            rule: None,
            reason: String::new(),
            spiffe_id: verified.spiffe_id.clone(),
            path: verified.path.iter().map(PathCertificate::of).collect(),
            anchored: true,
            // In its last second a certificate is good, with nothing left.
            seconds_left: left.map(|left| left.map_or(0, |left| left.as_secs())),
            at,
        }
    }

    fn bad(error: &ChainError, question: &Question<'_>) -> Self {
        let (way, anchored) = chain::way_up(question.chain, question.roots);
        Self {
            kind: Kind::of(error),
            rule: Some(Rule::broken_by(error)),
            reason: error.to_string(),
            spiffe_id: way.first().and_then(|leaf| chain::svid_id(leaf).ok()),
            path: way.iter().map(PathCertificate::of).collect(),
            anchored,
            seconds_left: None,
            at: question.at,
        }
    }
}

impl PathCertificate {
    fn of(certificate: &Certificate) -> Self {
        let facts = certificate.facts();
        Self {
            subject: facts.subject.clone(),
            names: facts
                .subject_alt_name
                .as_ref()
                .map(crate::certificate::SubjectAltName::texts)
                .unwrap_or_default(),
            sha256: certificate.fingerprint(),
            not_before: facts.not_before,
            not_after: facts.not_after,
        }
    }
}
