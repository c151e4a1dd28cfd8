//! Who answers what can be answered without a server? The server where one runs, else the files, by the same code.

use std::path::Path;
use std::sync::Arc;

use proto::signet::Certificate;
use proto::signet::Denial;
use proto::signet::GetCertificateRequest;
use proto::signet::ListCertificatesRequest;
use proto::signet::ListCertificatesResponse;
use proto::signet::ListDenialsRequest;
use proto::signet::admin_service_client::AdminServiceClient;
use proto::signet::admin_service_server::AdminService as _;
use tokio_stream::StreamExt as _;
use tonic::Request;
use tonic::transport::Channel;

use super::OperatorError;
use super::connect;
use crate::api::admin::Admin;
use crate::api::admin::ServerStatus;
use crate::api::admin::StatusReport;
use crate::api::rotation::ControlError;
use crate::api::rotation::RotationControl;
use crate::authority::state::stored_trust_domain;
use crate::backup;
use crate::clock::SystemClock;
use crate::data_dir::DataDir;
use crate::data_dir::LEDGER_DIR;
use crate::issuance::policy::Policy;
use crate::ledger::LedgerOptions;
use crate::ledger::SledLedger;
use crate::rotation::Command;
use crate::rotation::Report;
use crate::x509::SystemEntropy;

/// Where answers come from.
pub(super) enum Source {
    /// A server runs.
    Server(AdminServiceClient<Channel>),
    /// None does.
    Files(Box<Files>),
}

/// The data directory of a server that does not run, locked, and what its operators' service would say.
pub(super) struct Files {
    admin: Admin,
    ledger: Arc<SledLedger>,
    _locked: DataDir,
}

impl Source {
    /// The server of `data_dir`, or its files.
    pub(super) async fn of(data_dir: &Path) -> Result<Self, OperatorError> {
        match connect(data_dir).await {
            Err(error @ OperatorError::NotRunning { .. }) => {
                // Looking must not make a data directory.
                match data_dir.join(LEDGER_DIR).exists() {
                    true => Ok(Self::Files(Box::new(Files::open(data_dir)?))),
                    false => Err(error),
                }
            }
            connected => connected.map(Self::Server),
        }
    }

    pub(super) async fn list_certificates(
        &mut self,
        request: ListCertificatesRequest,
    ) -> Result<ListCertificatesResponse, OperatorError> {
        let answer = match self {
            Self::Server(client) => client.list_certificates(request).await?,
            Self::Files(files) => files.admin.list_certificates(Request::new(request)).await?,
        };
        Ok(answer.into_inner())
    }

    pub(super) async fn get_certificate(
        &mut self,
        request: GetCertificateRequest,
    ) -> Result<Certificate, OperatorError> {
        let answer = match self {
            Self::Server(client) => client.get_certificate(request).await?,
            Self::Files(files) => files.admin.get_certificate(Request::new(request)).await?,
        };
        Ok(answer.into_inner())
    }

    pub(super) async fn list_denials(&mut self) -> Result<Vec<Denial>, OperatorError> {
        let request = ListDenialsRequest {};
        let mut denials = Vec::new();
        match self {
            Self::Server(client) => {
                let mut answer = client.list_denials(request).await?.into_inner();
                while let Some(denial) = answer.message().await? {
                    denials.push(denial);
                }
            }
            Self::Files(files) => {
                let answer = files.admin.list_denials(Request::new(request)).await?;
                let mut answer = answer.into_inner();
                while let Some(denial) = answer.next().await {
                    denials.push(denial?);
                }
            }
        }
        Ok(denials)
    }

    /// Lets go of the files in order.
    pub(super) async fn close(self) -> Result<(), OperatorError> {
        if let Self::Files(files) = self {
            files.ledger.close().await?;
        }
        Ok(())
    }
}

impl Files {
    fn open(data_dir: &Path) -> Result<Self, OperatorError> {
        let locked = DataDir::lock(data_dir)?;
        let trust_domain = stored_trust_domain(data_dir)?;
        let trust_domain = trust_domain.ok_or_else(|| OperatorError::NoState {
            data_dir: data_dir.to_owned(),
        })?;
        let dir = data_dir.join(LEDGER_DIR);
        let ledger = Arc::new(SledLedger::open(&dir, LedgerOptions::default())?);
        let admin = Admin {
            policy: Policy::new(trust_domain),
            ledger: Arc::<SledLedger>::clone(&ledger),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            report: Arc::new(Nobody),
            rotation: Arc::new(Nobody),
            backup: backup::Source::new(data_dir, Arc::clone(&ledger)),
        };
        Ok(Self {
            admin,
            ledger,
            _locked: locked,
        })
    }
}

/// Stands for the parts of a server that files cannot be asked for.
struct Nobody;

#[tonic::async_trait]
impl StatusReport for Nobody {
    async fn status(&self) -> ServerStatus {
        ServerStatus {
            source: "",
            source_dir: std::path::PathBuf::new(),
            not_ready: Some(NOBODY.to_owned()),
            certificates: Vec::new(),
            grpc_addr: String::new(),
            http_addr: String::new(),
            generation: 0,
        }
    }
}

#[tonic::async_trait]
impl RotationControl for Nobody {
    async fn ask(&self, _command: Command, _dry_run: bool) -> Result<Report, ControlError> {
        Err(ControlError::Unavailable {
            why: NOBODY.to_owned(),
        })
    }
}

const NOBODY: &str = "no server runs";
