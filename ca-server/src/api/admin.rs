//! `signet.v1.AdminService`: what an operator asks of the running process over `<data-dir>/admin.sock`.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use proto::signet;
use proto::signet::admin_service_server::AdminService;
use proto::spiffe::SpiffeId;
use tokio_stream::Stream;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tracing::info;

use super::messages;
use super::rotation;
use super::rotation::RotationControl;
use super::search;
use crate::backup;
use crate::clock::Clock;
use crate::issuance::policy::Policy;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::rotation::Command;
use crate::telemetry::metrics::Held;
use crate::x509::Entropy;
use crate::x509::Serial;

/// The operators' service.
#[derive(Clone)]
pub struct Admin {
    /// Who may be named.
    pub policy: Policy,
    /// What was promised.
    pub ledger: Arc<dyn Ledger>,
    /// What time is it?
    pub clock: Arc<dyn Clock>,
    /// For tokens.
    pub entropy: Arc<dyn Entropy>,
    /// What is loaded and is it well?
    pub report: Arc<dyn StatusReport>,
    /// Drives the rotation.
    pub rotation: Arc<dyn RotationControl>,
    /// Makes backups.
    pub backup: backup::Source,
}

/// Answers `status`. The house that was built knows; this room does not.
#[tonic::async_trait]
pub trait StatusReport: Send + Sync {
    /// What is loaded, and whether it is well.
    async fn status(&self) -> ServerStatus;
}

/// What is loaded, and whether it is well.
#[derive(Clone, Debug)]
pub struct ServerStatus {
    /// `self-signed` or `plugged-in`.
    pub source: &'static str,
    /// Where the CA material was read from.
    pub source_dir: PathBuf,
    /// Why it is not ready, when it is not.
    pub not_ready: Option<String>,
    /// Every certificate held.
    pub certificates: Vec<Held>,
    /// Where gRPC is served.
    pub grpc_addr: String,
    /// Where HTTP is served.
    pub http_addr: String,
    /// The authority's generation.
    pub generation: u64,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn get_status(
        &self,
        _request: Request<signet::GetStatusRequest>,
    ) -> Result<Response<signet::GetStatusResponse>, Status> {
        let status = self.report.status().await;
        let rotation = self.rotation.ask(Command::Report, false).await.ok();
        let rotation = rotation.map(|report| rotation::status_message(&report, self.clock.now()));
        let rotation = rotation.unwrap_or_default();
        Ok(Response::new(signet::GetStatusResponse {
            trust_domain: self.policy.trust_domain().to_string(),
            source: status.source.to_owned(),
            source_dir: status.source_dir.display().to_string(),
            ready: status.not_ready.is_none(),
            not_ready_reason: status.not_ready.unwrap_or_default(),
            certificates: status.certificates.iter().map(messages::held).collect(),
            grpc_addr: status.grpc_addr,
            http_addr: status.http_addr,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            generation: status.generation,
            rotation_phase: rotation.phase,
            bundle_number: rotation.bundle_number,
            directory: rotation.directory,
            warnings: rotation.warnings,
        }))
    }

    async fn create_token(
        &self,
        request: Request<signet::CreateTokenRequest>,
    ) -> Result<Response<signet::CreateTokenResponse>, Status> {
        self.mint_token(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_tokens(
        &self,
        _request: Request<signet::ListTokensRequest>,
    ) -> Result<Response<signet::ListTokensResponse>, Status> {
        self.tokens().await.map(Response::new)
    }

    async fn revoke_token(
        &self,
        request: Request<signet::RevokeTokenRequest>,
    ) -> Result<Response<signet::RevokeTokenResponse>, Status> {
        self.revoke(&request.into_inner().id)
            .await
            .map(Response::new)
    }

    async fn list_certificates(
        &self,
        request: Request<signet::ListCertificatesRequest>,
    ) -> Result<Response<signet::ListCertificatesResponse>, Status> {
        let query = search::query(request.into_inner())?;
        let page = self
            .ledger
            .list(query)
            .await
            .map_err(|error| status(&error))?;
        Ok(Response::new(signet::ListCertificatesResponse {
            certificates: self.marked(&page.entries).await?,
            next_page_token: page
                .next
                .as_ref()
                .map_or_else(String::new, search::page_token),
        }))
    }

    async fn get_certificate(
        &self,
        request: Request<signet::GetCertificateRequest>,
    ) -> Result<Response<signet::Certificate>, Status> {
        let serial: Serial = request.into_inner().serial.parse().map_err(
            |error: crate::x509::serial::SerialError| Status::invalid_argument(error.to_string()),
        )?;
        let entry = self
            .ledger
            .find(serial)
            .await
            .map_err(|error| status(&error))?;
        let entry = entry
            .ok_or_else(|| Status::not_found(format!("no certificate with serial {serial}")))?;
        let marked = self.marked(&[entry]).await?.into_iter().next();
        marked
            .map(Response::new)
            .ok_or_else(|| Status::internal("the certificate was lost on the way"))
    }

    async fn deny(
        &self,
        request: Request<signet::DenyRequest>,
    ) -> Result<Response<signet::DenyResponse>, Status> {
        let denied = self.deny_target(request.into_inner()).await;
        denied.map(Response::new)
    }

    async fn allow(
        &self,
        request: Request<signet::AllowRequest>,
    ) -> Result<Response<signet::AllowResponse>, Status> {
        let allowed = self.allow_target(request.into_inner()).await;
        allowed.map(Response::new)
    }

    type ListDenialsStream = Pin<Box<dyn Stream<Item = Result<signet::Denial, Status>> + Send>>;

    async fn list_denials(
        &self,
        _request: Request<signet::ListDenialsRequest>,
    ) -> Result<Response<Self::ListDenialsStream>, Status> {
        let denials = self.denials().await?.into_iter().map(Ok);
        Ok(Response::new(Box::pin(tokio_stream::iter(denials))))
    }

    async fn get_rotation(
        &self,
        request: Request<signet::GetRotationRequest>,
    ) -> Result<Response<signet::RotationStatus>, Status> {
        self.report_rotation(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn start_rotation(
        &self,
        request: Request<signet::StartRotationRequest>,
    ) -> Result<Response<signet::RotationStatus>, Status> {
        self.start_rotation_of(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn activate_signer(
        &self,
        request: Request<signet::ActivateSignerRequest>,
    ) -> Result<Response<signet::RotationStatus>, Status> {
        self.activate_of(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn retire_signer(
        &self,
        request: Request<signet::RetireSignerRequest>,
    ) -> Result<Response<signet::RotationStatus>, Status> {
        self.retire_of(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn abort_rotation(
        &self,
        request: Request<signet::AbortRotationRequest>,
    ) -> Result<Response<signet::RotationStatus>, Status> {
        self.ask_rotation(Command::Abort, request.into_inner().dry_run)
            .await
            .map(Response::new)
    }

    async fn taint_signer(
        &self,
        request: Request<signet::TaintSignerRequest>,
    ) -> Result<Response<signet::RotationStatus>, Status> {
        self.taint_of(request.into_inner()).await.map(Response::new)
    }

    async fn reload(
        &self,
        request: Request<signet::ReloadRequest>,
    ) -> Result<Response<signet::RotationStatus>, Status> {
        self.ask_rotation(Command::Reload, request.into_inner().dry_run)
            .await
            .map(Response::new)
    }

    type BackupStream = Pin<Box<dyn Stream<Item = Result<signet::BackupChunk, Status>> + Send>>;

    async fn backup(
        &self,
        request: Request<signet::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let without_keys = request.into_inner().without_keys;
        let chunks = self
            .backup
            .stream(without_keys, self.clock.now())
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        info!(without_keys, "backup taken");
        let chunks = tokio_stream::StreamExt::map(chunks, |chunk| match chunk {
            Ok(data) => Ok(signet::BackupChunk { data }),
            Err(error) => Err(Status::unavailable(error.to_string())),
        });
        Ok(Response::new(Box::pin(chunks)))
    }
}

impl Admin {
    pub(super) fn workload_id(&self, text: &str) -> Result<SpiffeId, Status> {
        let id = self.policy.workload(text);
        id.map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

/// Operators are told everything.
pub(super) fn status(error: &LedgerError) -> Status {
    match error {
        LedgerError::Unavailable { .. } => Status::unavailable(error.to_string()),
        LedgerError::Malformed { .. } => Status::data_loss(error.to_string()),
        _ => Status::failed_precondition(error.to_string()),
    }
}
