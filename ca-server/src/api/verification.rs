//! `signet.v1.VerificationService`: is this chain good under the current trust bundle? Chains in, verdicts out.
//!
//! Whoever reaches the port may ask. What that costs is bounded here: by the sizes of messages and batches, by the
//! time that one call may take of a core, and by the number of cores that verify at the same time.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use proto::certificate::Certificate;
use proto::chain::ChainError;
use proto::chain::Profile;
use proto::signet;
use proto::signet::verification_service_server::VerificationService;
use proto::spiffe::SpiffeId;
use proto::spiffe::TrustDomain;
use proto::verdict::Question;
use proto::verdict::Verdict;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tonic::Request;
use tonic::Response;
use tonic::Status;

use super::messages;
use super::verdicts;
use crate::authority::Authority;
use crate::clock::Clock;

/// The service that judges chains.
#[derive(Clone, Debug)]
pub struct Verification {
    trust_domain: TrustDomain,
    authority: Arc<Authority>,
    clock: Arc<dyn Clock>,
    slots: Arc<Semaphore>,
}

impl Verification {
    /// Judges by the roots of `authority`, which are those of `trust_domain`, on half of the machine's cores at most.
    #[must_use]
    pub fn new(
        trust_domain: TrustDomain,
        authority: Arc<Authority>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            trust_domain,
            authority,
            clock,
            slots: Arc::new(Semaphore::new((cores / 2).max(1))),
        }
    }

    /// Verdicts on all `items`, or none when that costs too much.
    async fn judge(&self, items: Vec<Item>) -> Result<Vec<signet::Verdict>, Status> {
        let slot = self.slot().await?;
        let generation = self.authority.current();
        let trust_domain = self.trust_domain.clone();
        let judging = tokio::task::spawn_blocking(move || {
            let _until_done = slot;
            let started = Instant::now();
            let mut verdicts = Vec::with_capacity(items.len());
            for item in &items {
                if started.elapsed() > LONGEST_CALL {
                    return Err(too_much(
                        "these chains take too long; send fewer in one call",
                    ));
                }
                verdicts.push(item.verdict(&trust_domain, generation.roots()));
            }
            Ok(verdicts)
        });
        judging
            .await
            .unwrap_or_else(|_stopping| Err(Status::unavailable("the server is stopping")))
    }

    async fn slot(&self) -> Result<OwnedSemaphorePermit, Status> {
        let slot = Arc::clone(&self.slots).acquire_owned();
        match tokio::time::timeout(LONGEST_WAIT, slot).await {
            Ok(Ok(slot)) => Ok(slot),
            _ => Err(too_much("too many chains are being verified; try again")),
        }
    }
}

#[tonic::async_trait]
impl VerificationService for Verification {
    async fn verify_certificate(
        &self,
        request: Request<signet::VerifyCertificateRequest>,
    ) -> Result<Response<signet::VerifyCertificateResponse>, Status> {
        let item =
            Item::read(request.into_inner(), self.clock.now()).map_err(Status::invalid_argument)?;
        let verdict = self.judge(vec![item]).await?.pop();
        Ok(Response::new(signet::VerifyCertificateResponse { verdict }))
    }

    async fn verify_certificates(
        &self,
        request: Request<signet::VerifyCertificatesRequest>,
    ) -> Result<Response<signet::VerifyCertificatesResponse>, Status> {
        let items = request.into_inner().items;
        if items.len() > MAX_BATCH {
            return Err(Status::invalid_argument(format!(
                "a batch has at most {MAX_BATCH} items, this one {}",
                items.len()
            )));
        }
        let now = self.clock.now();
        let items = items.into_iter().enumerate().map(|(index, item)| {
            let number = index + 1;
            Item::read(item, now)
                .map_err(|reason| Status::invalid_argument(format!("item {number}: {reason}")))
        });
        let verdicts = self.judge(items.collect::<Result<_, _>>()?).await?;
        Ok(Response::new(signet::VerifyCertificatesResponse {
            verdicts,
        }))
    }
}

/// One chain and what is asked of it.
struct Item {
    chain: Chain,
    trust_domain: Option<TrustDomain>,
    spiffe_id: Option<SpiffeId>,
    profile: Profile,
    at: SystemTime,
}

enum Chain {
    Pem(String),
    Der(Vec<Vec<u8>>),
}

impl Item {
    /// Understands the question; the chain itself is read later, off the event loop.
    fn read(request: signet::VerifyCertificateRequest, now: SystemTime) -> Result<Self, String> {
        let profile = match request.profile() {
            signet::Profile::Unspecified | signet::Profile::X509Svid => Profile::X509Svid,
            signet::Profile::Pkix => Profile::Pkix,
        };
        let trust_domain = given::<TrustDomain>(&request.trust_domain, "trust domain")?;
        let spiffe_id = given::<SpiffeId>(&request.spiffe_id, "SPIFFE ID")?;
        if profile == Profile::Pkix && (trust_domain.is_some() || spiffe_id.is_some()) {
            return Err("trust_domain and spiffe_id are for PROFILE_X509_SVID only".to_owned());
        }
        let at = match request.at {
            None => now,
            Some(at) => messages::time(at)
                .filter(|at| is_in_reach(*at))
                .ok_or("at is not a time between the years 1970 and 9999")?,
        };
        let chain = match (request.chain_pem, request.chain_der) {
            (pem, der) if der.is_empty() && !pem.is_empty() => Chain::Pem(pem),
            (pem, der) if pem.is_empty() && !der.is_empty() => Chain::Der(der),
            _ => return Err("expected a chain in one of chain_pem and chain_der".to_owned()),
        };
        Ok(Self {
            chain,
            trust_domain,
            spiffe_id,
            profile,
            at,
        })
    }

    fn verdict(&self, own: &TrustDomain, roots: &[Certificate]) -> signet::Verdict {
        let chain = match self.chain.certificates() {
            Ok(chain) => chain,
            Err(reason) => return verdicts::unreadable(reason, self.at),
        };
        let question = Question {
            chain: &chain,
            roots,
            trust_domain: Some(own).filter(|_| self.profile == Profile::X509Svid),
            spiffe_id: self.spiffe_id.as_ref(),
            profile: self.profile,
            at: self.at,
        };
        let verdict = question.verdict();
        // Our roots say nothing of another trust domain, so nobody is a member of it here.
        let elsewhere = self.trust_domain.as_ref().filter(|asked| *asked != own);
        match (elsewhere, &verdict.spiffe_id) {
            (Some(expected), Some(found)) if verdict.is_valid() => {
                let (expected, found) = (expected.clone(), found.clone());
                let error = ChainError::WrongTrustDomain { expected, found };
                verdicts::message(&Verdict::of(Err(error), &question))
            }
            _ => verdicts::message(&verdict),
        }
    }
}

impl Chain {
    fn certificates(&self) -> Result<Vec<Certificate>, String> {
        let read =
            |bytes: &[u8]| Certificate::all_from_pem_or_der(bytes).map_err(|error| causes(&error));
        let certificates = match self {
            Self::Pem(text) => read(text.as_bytes())?,
            Self::Der(elements) => {
                let elements = elements.iter().map(|element| read(element));
                elements.collect::<Result<Vec<_>, _>>()?.concat()
            }
        };
        match certificates.is_empty() {
            true => Err("there is no certificate in it".to_owned()),
            false => Ok(certificates),
        }
    }
}

/// An error and what led to it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A field that may be empty.
fn given<T>(text: &str, name: &str) -> Result<Option<T>, String>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    match text {
        "" => Ok(None),
        text => match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(format!("{text:?} is not a {name}: {error}")),
        },
    }
}

fn is_in_reach(at: SystemTime) -> bool {
    at.duration_since(UNIX_EPOCH)
        .is_ok_and(|since_1970| since_1970 < END_OF_TIME)
}

fn too_much(reason: &str) -> Status {
    Status::resource_exhausted(reason)
}

/// The most chains in one call.
const MAX_BATCH: usize = 32;
/// How long one call may keep a core. Looked at between chains, of which one takes a fraction of it.
const LONGEST_CALL: Duration = Duration::from_secs(2);
/// How long a call waits for a core.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// From 1970 to the end of 9999, the last year that certificates and timestamps can have.
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_800);
