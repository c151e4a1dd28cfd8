//! `ca-server bundle check DIR`: the checks of server start, for people and pipelines.

use std::io;
use std::path::Path;

use super::operator::output;
use crate::authority::bundle;
use crate::authority::bundle::Grade;
use crate::authority::bundle::Report;
use crate::authority::bundle::Severity;
use crate::authority::bundle::Summary;
use crate::cli::BundleCheck;
use crate::cli::Output;
use crate::clock::Clock as _;
use crate::clock::SystemClock;

/// Prints the findings. Answers the exit status: 0 good, 3 warnings, 4 errors.
pub(super) fn check(options: &BundleCheck) -> io::Result<u8> {
    let report = bundle::check(&options.dir, SystemClock.now());
    match options.output {
        Output::Json => output::json(&report)?,
        Output::Table => print(&report, &options.dir)?,
    }
    Ok(match report.grade() {
        Grade::Good => 0,
        Grade::Warnings => 3,
        Grade::Errors => 4,
    })
}

/// Prints certificates, findings and the grade.
pub(super) fn print(report: &Report, dir: &Path) -> io::Result<()> {
    let dir = dir.display();
    let path = report.issuer.iter().map(|issuer| ("issuer", issuer));
    let path = path.chain(report.chain.iter().skip(1).map(|one| ("intermediate", one)));
    let path = path.chain(report.root.iter().map(|root| ("root", root)));
    let rows: Vec<Vec<String>> = path.map(|(role, one)| row(role, one)).collect();
    if !rows.is_empty() {
        output::table(&["ROLE", "SUBJECT", "KEY", "NOT AFTER", "SHA-256"], rows)?;
        output::line("")?;
    }
    for finding in &report.findings {
        let severity = match finding.severity {
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
            Severity::Info => "INFO",
        };
        let file = if finding.file.is_empty() {
            "bundle"
        } else {
            &finding.file
        };
        output::line(&format!("{severity:8} {file}: {}", finding.rule))?;
        output::line(&format!("         seen: {}", finding.seen))?;
        output::line(&format!("         fix:  {}", finding.fix))?;
    }
    output::line(&match report.grade() {
        Grade::Good => format!("good: the bundle in {dir} works"),
        Grade::Warnings => format!("warnings: the bundle in {dir} works, with the above to know"),
        Grade::Errors => format!("errors: ca-server would not issue from the bundle in {dir}"),
    })
}

fn row(role: &str, summary: &Summary) -> Vec<String> {
    vec![
        role.to_owned(),
        summary.subject.clone(),
        summary.key.clone(),
        humantime::format_rfc3339_seconds(summary.not_after).to_string(),
        summary.fingerprint.to_string(),
    ]
}
