//! `signet.v1.VerificationService`: is this chain good under the current trust bundle, and not denied? Chains in,
//! verdicts out.
//!
//! Whoever reaches the port may ask. What that costs is bounded here: by the sizes of messages and batches, by the
//! time that one call may take of a core, by the number of cores that verify at the same time, and by one look into
//! the ledger for a whole batch.

mod item;

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use proto::signet;
use proto::signet::verification_service_server::VerificationService;
use proto::spiffe::TrustDomain;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tracing::warn;

use self::item::Item;
use self::item::Judged;
use super::status;
use crate::authority::Authority;
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::telemetry::metrics::Metrics;

/// The service that judges chains.
#[derive(Clone, Debug)]
pub struct Verification {
    trust_domain: TrustDomain,
    authority: Arc<Authority>,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    slots: Arc<Semaphore>,
}

impl Verification {
    /// Judges by the roots of `authority`, which are those of `trust_domain`, on half of the machine's cores at most,
    /// and by the denials in `ledger`.
    #[must_use]
    pub fn new(
        trust_domain: TrustDomain,
        authority: Arc<Authority>,
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            trust_domain,
            authority,
            ledger,
            clock,
            metrics,
            slots: Arc::new(Semaphore::new((cores / 2).max(1))),
        }
    }

    /// Verdicts on all `items`, or none when that costs too much or the ledger does not answer.
    async fn verdicts(&self, items: Vec<Item>) -> Result<Vec<signet::Verdict>, Status> {
        let judged = self.by_roots(items).await?;
        let judged = self.by_ledger(judged).await?;
        let counted = judged.into_iter().map(|judged| {
            let label = judged.label();
            self.metrics.verifications.with_label_values(&[label]).inc();
            judged.into_message()
        });
        Ok(counted.collect())
    }

    async fn by_roots(&self, items: Vec<Item>) -> Result<Vec<Judged>, Status> {
        let slot = self.slot().await?;
        let generation = self.authority.current();
        let trust_domain = self.trust_domain.clone();
        let judging = tokio::task::spawn_blocking(move || {
            let _until_done = slot;
            let started = Instant::now();
            let mut judged = Vec::with_capacity(items.len());
            for item in &items {
                if started.elapsed() > LONGEST_CALL {
                    return Err(too_much(
                        "these chains take too long; send fewer in one call",
                    ));
                }
                judged.push(item.judge(&trust_domain, generation.roots()));
            }
            Ok(judged)
        });
        judging
            .await
            .unwrap_or_else(|_stopping| Err(Status::unavailable("the server is stopping")))
    }

    /// Asks once about all chains that are good so far. Without an answer none of them is called good.
    async fn by_ledger(&self, judged: Vec<Judged>) -> Result<Vec<Judged>, Status> {
        let targets: Vec<_> = judged.iter().map(|one| one.deniable().to_vec()).collect();
        if targets.iter().all(Vec::is_empty) {
            return Ok(judged);
        }
        let denials = self.ledger.denials_of(targets).await.map_err(|error| {
            warn!(reason = %error, "chains not judged: denials cannot be read");
            status::not_judged()
        })?;
        let both = judged.into_iter().zip(denials);
        let judged = both.map(|(judged, denial)| match denial {
            Some(denial) => judged.forbidden_by(&denial),
            None => judged,
        });
        Ok(judged.collect())
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
        let verdict = self.verdicts(vec![item]).await?.pop();
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
        let verdicts = self.verdicts(items.collect::<Result<_, _>>()?).await?;
        Ok(Response::new(signet::VerifyCertificatesResponse {
            verdicts,
        }))
    }
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
