//! `ca-server status`

use proto::signet::CaDirectory;
use proto::signet::GetStatusRequest;
use proto::signet::GetStatusResponse;
use serde::Serialize;

use super::OperatorError;
use super::connect;
use super::output;
use super::rotate;
use crate::cli;
use crate::cli::Output;
use crate::clock::Clock as _;
use crate::clock::SystemClock;

/// Prints what a running server has loaded. Answers whether it is ready.
pub(in crate::app) async fn status(options: cli::Operator) -> Result<bool, OperatorError> {
    let mut client = match connect(&options.data_dir).await {
        Err(error @ OperatorError::NotRunning { .. }) => {
            print_files(&options)?;
            return Err(error);
        }
        connected => connected?,
    };
    let answer = client.get_status(GetStatusRequest {}).await?.into_inner();
    let report = Report::from(answer);
    match options.output {
        Output::Json => output::json(&report)?,
        Output::Table => print(&report)?,
    }
    Ok(report.ready)
}

/// What can be told without a server.
fn print_files(options: &cli::Operator) -> Result<(), OperatorError> {
    let lines = match options.output {
        Output::Json => Vec::new(),
        Output::Table => rotate::stored_lines(&options.data_dir, SystemClock.now())?,
    };
    Ok(output::lines(&lines)?)
}

fn print(report: &Report) -> std::io::Result<()> {
    let health = if report.ready {
        "ready"
    } else {
        &report.not_ready_reason
    };
    output::line(&format!("ca-server {}: {health}", report.version))?;
    output::line(&format!("trust domain  {}", report.trust_domain))?;
    output::line(&format!(
        "CA            {} ({})",
        report.source, report.source_dir
    ))?;
    output::line(&format!("gRPC          {}", report.grpc_addr))?;
    output::line(&format!("HTTP          {}", report.http_addr))?;
    output::line(&format!("rotation      {}", report.rotation_phase))?;
    output::line(&format!("trust bundle  {}", report.bundle_number))?;
    if let Some(directory) = &report.directory {
        output::lines(&rotate::directory_lines(directory))?;
    }
    output::lines(&rotate::warning_lines(&report.warnings))?;
    output::line("")?;
    let rows = report.certificates.iter().map(|held| {
        vec![
            held.role.clone(),
            held.subject.clone(),
            held.not_after.clone(),
            held.sha256.clone(),
        ]
    });
    output::table(&["ROLE", "SUBJECT", "NOT AFTER", "SHA-256"], rows.collect())
}

#[derive(Serialize)]
struct Report {
    ready: bool,
    not_ready_reason: String,
    trust_domain: String,
    source: String,
    source_dir: String,
    generation: u64,
    grpc_addr: String,
    http_addr: String,
    version: String,
    rotation_phase: String,
    bundle_number: u64,
    ca_files_loaded: String,
    ca_files_on_disk: String,
    ca_files_failure: String,
    #[serde(skip)]
    directory: Option<CaDirectory>,
    warnings: Vec<String>,
    certificates: Vec<HeldRow>,
}

#[derive(Serialize)]
struct HeldRow {
    role: String,
    subject: String,
    sha256: String,
    not_before: String,
    not_after: String,
}

impl From<GetStatusResponse> for Report {
    fn from(answer: GetStatusResponse) -> Self {
        let certificates = answer.certificates.into_iter().map(|held| HeldRow {
            role: held.role,
            subject: held.subject,
            sha256: held.fingerprint,
            not_before: output::time(held.not_before),
            not_after: output::time(held.not_after),
        });
        let directory = answer.directory.clone().unwrap_or_default();
        Self {
            certificates: certificates.collect(),
            ready: answer.ready,
            not_ready_reason: answer.not_ready_reason,
            trust_domain: answer.trust_domain,
            source: answer.source,
            source_dir: answer.source_dir,
            generation: answer.generation,
            grpc_addr: answer.grpc_addr,
            http_addr: answer.http_addr,
            version: answer.version,
            rotation_phase: answer.rotation_phase,
            bundle_number: answer.bundle_number,
            ca_files_loaded: directory.loaded,
            ca_files_on_disk: directory.on_disk,
            ca_files_failure: directory.failure,
            directory: answer.directory,
            warnings: answer.warnings,
        }
    }
}
