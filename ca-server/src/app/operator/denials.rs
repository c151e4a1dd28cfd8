//! `ca-server certs deny|allow|denied`

use proto::signet::AllowRequest;
use proto::signet::Denial;
use proto::signet::DenialTarget;
use proto::signet::DenyRequest;
use proto::signet::denial_target::Target;
use serde::Serialize;

use super::OperatorError;
use super::connect;
use super::output;
use super::source::Source;
use crate::cli;
use crate::cli::Output;

pub(super) async fn deny(options: cli::CertsDeny) -> Result<(), OperatorError> {
    let mut client = connect(&options.operator.data_dir).await?;
    let request = DenyRequest {
        target: target(options.target),
        reason: options.reason,
    };
    let answer = client.deny(request).await?.into_inner();
    let denied = Denied {
        denial: answer.denial.map(DenialRow::from).unwrap_or_default(),
        in_ledger: answer.in_ledger,
    };
    if options.operator.output == Output::Json {
        return Ok(output::json(&denied)?);
    }
    let name = denied.denial.name();
    output::line(&format!("{name} is denied: nothing more is issued"))?;
    output::line("certificates already out there stay valid until they expire")?;
    if !denied.in_ledger {
        output::line("note: the ledger has no certificate of it; is it spelled right?")?;
    }
    Ok(())
}

pub(super) async fn allow(options: cli::CertsAllow) -> Result<(), OperatorError> {
    let mut client = connect(&options.operator.data_dir).await?;
    let request = AllowRequest {
        target: target(options.target),
    };
    let answer = client.allow(request).await?.into_inner();
    let row = answer.denial.map(DenialRow::from).unwrap_or_default();
    match options.operator.output {
        Output::Json => output::json(&row)?,
        Output::Table => output::line(&format!("{} is allowed again", row.name()))?,
    }
    Ok(())
}

pub(super) async fn denied(options: cli::Operator) -> Result<(), OperatorError> {
    let mut source = Source::of(&options.data_dir).await?;
    let denials = source.list_denials().await?;
    source.close().await?;
    let rows: Vec<DenialRow> = denials.into_iter().map(DenialRow::from).collect();
    match options.output {
        Output::Json => output::json(&rows)?,
        Output::Table => output::table(
            &["BY", "DENIED", "SINCE", "REASON"],
            rows.into_iter()
                .map(|row| vec![row.by.to_owned(), row.value, row.since, row.reason])
                .collect(),
        )?,
    }
    Ok(())
}

fn target(target: cli::DenialTarget) -> Option<DenialTarget> {
    let target = target
        .spiffe_id
        .map(Target::SpiffeId)
        .or_else(|| target.serial.map(Target::Serial))
        .or_else(|| target.key_sha256.map(Target::KeySha256));
    Some(DenialTarget { target })
}

#[derive(Serialize)]
struct Denied {
    #[serde(flatten)]
    denial: DenialRow,
    in_ledger: bool,
}

/// A denial as it is printed.
#[derive(Default, Serialize)]
pub(super) struct DenialRow {
    /// `spiffe-id`, `serial` or `key-sha256`, as the flags are called.
    by: &'static str,
    value: String,
    since: String,
    reason: String,
}

impl DenialRow {
    fn name(&self) -> String {
        format!("{} {}", self.by, self.value)
    }

    /// For a line of `certs show`.
    pub(super) fn sentence(&self) -> String {
        format!("by {} since {} {}", self.by, self.since, self.reason)
    }
}

impl From<Denial> for DenialRow {
    fn from(denial: Denial) -> Self {
        let (by, value) = match denial.target.and_then(|target| target.target) {
            Some(Target::SpiffeId(id)) => ("spiffe-id", id),
            Some(Target::Serial(serial)) => ("serial", serial),
            Some(Target::KeySha256(key)) => ("key-sha256", key),
            None => ("", String::new()),
        };
        Self {
            by,
            value,
            since: output::time(denial.since),
            reason: denial.reason,
        }
    }
}
