//! `ca-server certs list|show`, and the way to what is said about denials.

use std::time::Duration;
use std::time::SystemTime;

use proto::signet::Certificate;
use proto::signet::GetCertificateRequest;
use proto::signet::ListCertificatesRequest;
use serde::Serialize;

use super::OperatorError;
use super::denials;
use super::denials::DenialRow;
use super::output;
use super::source::Source;
use crate::cli;
use crate::cli::Output;
use crate::clock::Clock as _;
use crate::clock::SystemClock;

/// Runs one `certs` command.
pub(in crate::app) async fn certs(command: cli::Certs) -> Result<(), OperatorError> {
    match command {
        cli::Certs::List(options) => list(options).await,
        cli::Certs::Show(options) => show(options).await,
        cli::Certs::Deny(options) => denials::deny(options).await,
        cli::Certs::Allow(options) => denials::allow(options).await,
        cli::Certs::Denied(options) => denials::denied(options).await,
    }
}

async fn list(options: cli::CertsList) -> Result<(), OperatorError> {
    let mut source = Source::of(&options.operator.data_dir).await?;
    let mut request = first_page(&options, SystemClock.now());
    let mut rows: Vec<Row> = Vec::new();
    let limit = usize::try_from(options.limit).unwrap_or(usize::MAX);
    loop {
        let left = limit.saturating_sub(rows.len());
        request.page_size = u32::try_from(left.min(PAGE)).unwrap_or(u32::MAX);
        let answer = source.list_certificates(request.clone()).await?;
        rows.extend(answer.certificates.into_iter().map(Row::from));
        if answer.next_page_token.is_empty() || rows.len() >= limit {
            break;
        }
        request.page_token = answer.next_page_token;
    }
    source.close().await?;
    match options.operator.output {
        Output::Json => output::json(&rows)?,
        Output::Table => output::table(
            &["SERIAL", "NAME", "STATE", "NOT AFTER", "EVIDENCE"],
            rows.into_iter()
                .map(|row| {
                    let state = row.state_for_people();
                    vec![row.serial, row.name, state, row.not_after, row.evidence]
                })
                .collect(),
        )?,
    }
    Ok(())
}

fn first_page(options: &cli::CertsList, now: SystemTime) -> ListCertificatesRequest {
    let only_live = options.live || options.expires_within.is_some();
    let end = |within: Duration| now.checked_add(within).map(prost_types::Timestamp::from);
    ListCertificatesRequest {
        spiffe_id: options.spiffe_id.clone().unwrap_or_default(),
        expires_before: options.expires_within.and_then(end),
        expires_after: only_live.then(|| now.into()),
        page_size: 0,
        page_token: String::new(),
    }
}

async fn show(options: cli::CertsShow) -> Result<(), OperatorError> {
    let mut source = Source::of(&options.operator.data_dir).await?;
    let request = GetCertificateRequest {
        serial: options.serial,
    };
    let row = Row::from(source.get_certificate(request).await?);
    source.close().await?;
    match options.operator.output {
        Output::Json => output::json(&row)?,
        Output::Table => {
            let pem = row.pem.clone();
            let lines = row
                .lines()
                .map(|(name, value)| vec![name.to_owned(), value])
                .collect();
            output::table(&["FIELD", "VALUE"], lines)?;
            output::line(pem.trim_end())?;
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Row {
    serial: String,
    name: String,
    purpose: String,
    state: String,
    not_before: String,
    not_after: String,
    reserved_at: String,
    key_sha256: String,
    issuer_sha256: String,
    root_sha256: String,
    evidence: String,
    request_id: String,
    /// Set while its SPIFFE ID, serial or key is denied.
    denied: Option<DenialRow>,
    pem: String,
}

impl Row {
    fn state_for_people(&self) -> String {
        match self.denied {
            Some(_) => format!("{}, denied", self.state),
            None => self.state.clone(),
        }
    }

    fn lines(self) -> impl Iterator<Item = (&'static str, String)> {
        let denied = self.denied.as_ref();
        let denied = denied.map_or_else(|| "no".to_owned(), DenialRow::sentence);
        [
            ("serial", self.serial),
            ("name", self.name),
            ("purpose", self.purpose),
            ("state", self.state),
            ("denied", denied),
            ("not before", self.not_before),
            ("not after", self.not_after),
            ("reserved at", self.reserved_at),
            ("key sha256", self.key_sha256),
            ("issuer sha256", self.issuer_sha256),
            ("root sha256", self.root_sha256),
            ("evidence", self.evidence),
            ("request id", self.request_id),
        ]
        .into_iter()
    }
}

impl From<Certificate> for Row {
    fn from(certificate: Certificate) -> Self {
        Self {
            serial: certificate.serial,
            name: certificate.name,
            purpose: certificate.purpose,
            state: certificate.state,
            not_before: output::time(certificate.not_before),
            not_after: output::time(certificate.not_after),
            reserved_at: output::time(certificate.reserved_at),
            key_sha256: certificate.key_sha256,
            issuer_sha256: certificate.issuer_sha256,
            root_sha256: certificate.root_sha256,
            evidence: certificate.evidence,
            request_id: certificate.request_id,
            denied: certificate.denial.map(DenialRow::from),
            pem: certificate.pem,
        }
    }
}

/// Entries asked for at once.
const PAGE: usize = 500;
