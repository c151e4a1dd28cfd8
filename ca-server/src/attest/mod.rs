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

use crate::ledger::Evidence;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;

/// Somebody we believe. Only [`Attestor::attest`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    spiffe_id: SpiffeId,
    evidence: Evidence,
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
        let mut refusals = Vec::new();
        match peer::attest(presented.client_chain, roots, &self.trust_domain, now) {
            Ok(caller) => return Ok(caller),
            Err(refusal) => refusals.push(refusal),
        }
        match self.attest_bearer(presented.bearer_tokens, now).await {
            Ok(caller) => return Ok(caller),
            Err(BearerError::Ledger(error)) => return Err(AttestError::Ledger(error)),
            Err(BearerError::Refused(refusal)) => refusals.push(refusal),
        }
        Err(AttestError::Refused(refusals))
    }

    async fn attest_bearer(&self, tokens: &[&str], now: SystemTime) -> Result<Caller, BearerError> {
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
            return enrolment::attest(token, &*self.ledger, now).await;
        }
        Ok(jwt::attest(token, &self.issuers, &self.trust_domain, now)?)
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
enum BearerError {
    Ledger(LedgerError),
    Refused(Refusal),
}

impl From<Refusal> for BearerError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<jwt::JwtError> for BearerError {
    fn from(error: jwt::JwtError) -> Self {
        Self::Refused(error.into())
    }
}

fn join(refusals: &[Refusal]) -> String {
    let texts: Vec<String> = refusals.iter().map(Refusal::to_string).collect();
    texts.join("; ")
}
