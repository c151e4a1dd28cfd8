//! `istio.v1.auth.IstioCertificateService/CreateCertificate`: messages in, values down, messages out.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use prost_types::Struct;
use prost_types::value::Kind;
use proto::istio::IstioCertificateRequest;
use proto::istio::IstioCertificateResponse;
use proto::istio::istio_certificate_service_server::IstioCertificateService;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tracing::Instrument as _;
use tracing::info;
use tracing::warn;

use super::connection::Connection;
use super::messages;
use super::status;
use crate::attest::Attestor;
use crate::attest::Presented;
use crate::clock::Clock;
use crate::issuance;
use crate::issuance::Issuance;
use crate::issuance::Issued;
use crate::ledger::Denial;
use crate::ledger::InstanceId;
use crate::telemetry::metrics::Metrics;
use crate::x509::Entropy;

/// The service that agents call.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// Who is calling?
    pub attestor: Arc<Attestor>,
    /// Issues.
    pub issuance: Arc<Issuance>,
    /// What time is it?
    pub clock: Arc<dyn Clock>,
    /// For request ids.
    pub entropy: Arc<dyn Entropy>,
    /// Counts.
    pub metrics: Metrics,
}

#[tonic::async_trait]
impl IstioCertificateService for Certificates {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        self.metrics.requests.inc();
        let request_id = self.request_id();
        let peer = Connection::of(request.extensions());
        let peer_addr = peer
            .as_ref()
            .map_or_else(String::new, |peer| peer.peer_addr());
        let span = tracing::info_span!("create_certificate", request_id, peer = peer_addr);
        self.create(request, peer, &request_id)
            .instrument(span)
            .await
    }
}

impl Certificates {
    async fn create(
        &self,
        request: Request<IstioCertificateRequest>,
        peer: Option<Arc<Connection>>,
        request_id: &str,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        let started = Instant::now();
        let (metadata, _, message) = request.into_parts();
        let tokens = bearer_tokens(&metadata);
        let presented = Presented {
            bearer_tokens: &tokens,
            client_chain: peer.as_ref().map_or(&[], |peer| peer.client_chain()),
        };
        let now = self.clock.now();
        let generation = self.issuance.authority.current();
        let caller = match self
            .attestor
            .attest(presented, generation.roots(), now)
            .await
        {
            Ok(caller) => caller,
            Err(error) => {
                self.note_refusal(error.denial());
                warn!(reason = %error, "caller not recognised");
                return Err(status::not_attested(&error));
            }
        };
        let asked = issuance::Request {
            csr_pem: &message.csr,
            ttl_seconds: message.validity_duration,
            impersonated: metadata_string(message.metadata.as_ref(), "ImpersonatedIdentity"),
            request_id,
            instance: instance(&metadata),
        };
        match self.issuance.issue(&caller, asked, now).await {
            Ok(issued) => {
                self.metrics.issued.inc();
                self.metrics
                    .issue_seconds
                    .observe(started.elapsed().as_secs_f64());
                Ok(answer(&issued))
            }
            Err(error) => {
                self.note_failure(&error);
                let spiffe_id = caller.spiffe_id();
                warn!(%spiffe_id, evidence = %caller.evidence(), reason = %error, "not issued");
                Err(status::not_issued(&error))
            }
        }
    }

    fn note_refusal(&self, denial: Option<&Denial>) {
        self.metrics.attest_failures.inc();
        if let Some(denial) = denial {
            let kind = denial.target.kind();
            self.metrics.denied.with_label_values(&[kind]).inc();
        }
    }

    fn note_failure(&self, error: &issuance::IssueError) {
        if let Some(denial) = error.denial() {
            return self.note_refusal(Some(denial));
        }
        if matches!(error, issuance::IssueError::Csr(_)) {
            self.metrics.csr_refusals.inc();
        }
        self.metrics
            .sign_failures
            .with_label_values(&[status::metric_label(error)])
            .inc();
    }

    /// 16 hex digits. Names a request in the log and the ledger; not a secret, so zeros would do in need.
    fn request_id(&self) -> String {
        let mut bytes = [0; 8];
        if self.entropy.fill(&mut bytes).is_err() {
            warn!("no randomness for a request id");
        }
        bytes
            .iter()
            .fold(String::with_capacity(16), |mut text, byte| {
                let _infallible = write!(text, "{byte:02x}");
                text
            })
    }
}

fn answer(issued: &Issued) -> Response<IstioCertificateResponse> {
    let intent = &issued.intent;
    info!(
        serial = %intent.serial,
        name = messages::leaf_name(&intent.name).0,
        evidence = %intent.evidence,
        not_after = %humantime::format_rfc3339_seconds(intent.validity.not_after()),
        repeated = issued.repeated,
        "issued",
    );
    let cert_chain = issued.generation.leaf_chain_pem(&issued.leaf);
    let mut response = Response::new(IstioCertificateResponse { cert_chain });
    let number = issued.generation.bundle_number();
    response.metadata_mut().insert(BUNDLE, number.into());
    response
}

/// Which agent asks. A caller who does not say it properly is one that says nothing.
fn instance(metadata: &MetadataMap) -> Option<InstanceId> {
    metadata.get(INSTANCE)?.to_str().ok()?.parse().ok()
}

/// Every bearer token of the `authorization` headers. Values of other schemes are not ours to judge.
pub(super) fn bearer_tokens(metadata: &MetadataMap) -> Vec<&str> {
    metadata
        .get_all("authorization")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .filter_map(|value| value.strip_prefix("Bearer "))
        .map(str::trim)
        .collect()
}

/// A non-empty string in the request's metadata.
fn metadata_string<'a>(metadata: Option<&'a Struct>, key: &str) -> Option<&'a str> {
    match metadata?.fields.get(key)?.kind.as_ref()? {
        Kind::StringValue(text) => Some(text.as_str()).filter(|text| !text.is_empty()),
        // Whatever else stands there, it asks for another's identity in a way that we do not know.
        Kind::NullValue(_) => None,
        _ => Some("?"),
    }
}

/// Metadata of a request: the agent's instance id.
const INSTANCE: &str = "signet-instance";
/// Metadata of an answer: the number of the trust bundle in it.
const BUNDLE: &str = "signet-bundle";
