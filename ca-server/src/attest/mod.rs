//! Who is calling? Evidence in, a [`Caller`] or a refusal out.
//!
//! Knows neither gRPC nor where the evidence was carried, and issues nothing.

pub mod enrolment;
pub mod issuers;
pub mod jwks;
pub mod jwt;
mod peer;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::spiffe::SpiffeId;
use proto::spiffe::TrustDomain;

use crate::ledger::Denial;
use crate::ledger::Evidence;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::Target;

/// Somebody we believe. Only [`Attestor::attest`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    spiffe_id: SpiffeId,
    evidence: Evidence,
    /// Serial and key of the certificate it showed, where that is the evidence.
    shown: Vec<Target>,
}

impl Caller {
    /// Who it is.
    #[must_use]
    pub fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// How it proved that.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Everything by which it may be denied.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        let name = Target::SpiffeId(self.spiffe_id.clone());
        [vec![name], self.shown.clone()].concat()
    }
}

/// What a caller brought.
#[derive(Clone, Copy, Default)]
pub struct Presented<'a> {
    /// Every bearer token of the request; more than one is refused.
    pub bearer_tokens: &'a [&'a str],
    /// DER of the certificates it showed in the TLS handshake, leaf first, where it proved to hold the key.
    pub client_chain: &'a [Vec<u8>],
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("bearer_tokens", &self.bearer_tokens.len())
            .field("client_chain", &self.client_chain.len())
            .finish()
    }
}

/// Tries each kind of evidence in Istio's order: the client certificate, then the bearer token.
#[derive(Debug)]
pub struct Attestor {
    trust_domain: TrustDomain,
    issuers: Vec<jwt::Issuer>,
    ledger: Arc<dyn Ledger>,
}

impl Attestor {
    /// Believes members of `trust_domain` who bring a JWT of `issuers`, a token of `ledger`, or a leaf of ours.
    #[must_use]
    pub fn new(
        trust_domain: TrustDomain,
        issuers: Vec<jwt::Issuer>,
        ledger: Arc<dyn Ledger>,
    ) -> Self {
        Self {
            trust_domain,
            issuers,
            ledger,
        }
    }

    /// Establishes who brought `presented`. `roots` are those that client certificates may chain to.
    ///
    /// # Errors
    /// Why each kind of evidence was not believed, or that the ledger could not be asked. For the log only.
    pub async fn attest(
        &self,
        presented: Presented<'_>,
        roots: &[Certificate],
        now: SystemTime,
    ) -> Result<Caller, AttestError> {
        let shown = self.attest_shown(presented.client_chain, roots, now).await;
        let first = match shown {
            Ok(caller) => return Ok(caller),
            Err(EvidenceError::Ledger(error)) => return Err(AttestError::Ledger(error)),
            Err(EvidenceError::Refused(refusal)) => refusal,
        };
        match self.attest_bearer(presented.bearer_tokens, now).await {
            Ok(caller) => Ok(caller),
            Err(EvidenceError::Ledger(error)) => Err(AttestError::Ledger(error)),
            Err(EvidenceError::Refused(refusal)) => Err(AttestError::Refused(vec![first, refusal])),
        }
    }

    async fn attest_shown(
        &self,
        client_chain: &[Vec<u8>],
        roots: &[Certificate],
        now: SystemTime,
    ) -> Result<Caller, EvidenceError> {
        let verified = peer::verify(client_chain, roots, &self.trust_domain, now)?;
        let entry = match verified.serial() {
            Some(serial) => self
                .ledger
                .find(serial)
                .await
                .map_err(EvidenceError::Ledger)?,
            None => None,
        };
        self.admit(verified.into_recorded(entry.as_ref())?).await
    }

    async fn attest_bearer(
        &self,
        tokens: &[&str],
        now: SystemTime,
    ) -> Result<Caller, EvidenceError> {
        let token = match tokens {
            [] => return Err(Refusal::NoBearerToken.into()),
            [token] => *token,
            _ => {
                return Err(Refusal::SeveralBearerTokens {
                    count: tokens.len(),
                }
                .into());
            }
        };
        if enrolment::is_enrolment_token(token) {
            let caller = enrolment::attest(token, &*self.ledger, now).await?;
            return self.admit(caller).await;
        }
        let caller = jwt::attest(token, &self.issuers, &self.trust_domain, now)?;
        self.admit(caller).await
    }

    /// Keeps out who is denied, before its request is looked at, so that it reads the same answer whatever it asks for.
    /// The last word is the ledger's, at the reservation.
    async fn admit(&self, caller: Caller) -> Result<Caller, EvidenceError> {
        let denial = self.ledger.denial_of(caller.targets()).await;
        match denial.map_err(EvidenceError::Ledger)? {
            None => Ok(caller),
            Some(denial) => Err(Refusal::Denied(Box::new(denial)).into()),
        }
    }
}

/// Why nobody was recognised. Never shown to the caller.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AttestError {
    /// The ledger could not be asked about a token.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// No evidence was believed.
    #[error("{}", join(.0))]
    Refused(Vec<Refusal>),
}

impl AttestError {
    /// The denial, where that is the reason.
    #[must_use]
    pub fn denial(&self) -> Option<&Denial> {
        let Self::Refused(refusals) = self else {
            return None;
        };
        refusals.iter().find_map(|refusal| match refusal {
            Refusal::Denied(denial) => Some(&**denial),
            _ => None,
        })
    }
}

/// Why one piece of evidence was not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The client certificate does not verify as an X509-SVID of ours.
    #[error("client certificate: {reason}")]
    ClientCertificate {
        /// The rule that it breaks.
        reason: String,
    },
    /// An operator denied the caller, or the certificate that it showed.
    #[error("{0}")]
    Denied(Box<Denial>),
    /// The enrolment token is not good.
    #[error("enrolment token: {reason}")]
    EnrolmentToken {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The JWT is not good.
    #[error("jwt: {0}")]
    Jwt(#[from] jwt::JwtError),
    /// There was no bearer token.
    #[error("no bearer token")]
    NoBearerToken,
    /// There was no client certificate.
    #[error("no client certificate")]
    NoClientCertificate,
    /// There was more than one bearer token, and we do not choose.
    #[error("{count} bearer tokens where one is expected")]
    SeveralBearerTokens {
        /// How many.
        count: usize,
    },
}

#[derive(Debug)]
enum EvidenceError {
    Ledger(LedgerError),
    Refused(Refusal),
}

impl From<Refusal> for EvidenceError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<jwt::JwtError> for EvidenceError {
    fn from(error: jwt::JwtError) -> Self {
        Self::Refused(error.into())
    }
}

fn join(refusals: &[Refusal]) -> String {
    let texts: Vec<String> = refusals.iter().map(Refusal::to_string).collect();
    texts.join("; ")
}
