//! What does `ca-client verify` do? Reads, lets [`proto::verdict`] judge, and prints.

use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use ca_client::Clock as _;
use ca_client::SystemClock;
use proto::certificate::Certificate;
use proto::certificate::CertificateError;
use proto::chain::Profile;
use proto::verdict::PathCertificate;
use proto::verdict::Question;
use proto::verdict::Verdict;
use serde::Serialize;

use crate::cli::ProfileName;
use crate::cli::VerifyOptions;
use crate::input;
use crate::input::InputError;
use crate::output;

/// Judges a chain and prints the verdict. Answers whether it is valid.
pub(crate) fn run(options: &VerifyOptions, stdin: impl Read) -> Result<bool, VerifyError> {
    let roots = certificates(&options.roots, io::empty())?;
    let chain = certificates(&options.chain, stdin)?;
    let verdict = Question {
        chain: &chain,
        roots: &roots,
        trust_domain: options.trust_domain.as_ref(),
        spiffe_id: options.spiffe_id.as_ref(),
        profile: match options.profile {
            ProfileName::X509Svid => Profile::X509Svid,
            ProfileName::Pkix => Profile::Pkix,
        },
        at: options.at.unwrap_or_else(|| SystemClock.now()),
    }
    .verdict();
    output::print(options.output, &Shown::of(&verdict), || table(&verdict))
        .map_err(|source| VerifyError::Print { source })?;
    Ok(verdict.is_valid())
}

/// The certificates of a file, at least one.
pub(crate) fn certificates(path: &Path, stdin: impl Read) -> Result<Vec<Certificate>, VerifyError> {
    let bytes = input::read(path, stdin)?;
    let certificates = Certificate::all_from_pem_or_der(&bytes).map_err(|source| {
        VerifyError::NotCertificates {
            path: path.to_owned(),
            source,
        }
    })?;
    match certificates.is_empty() {
        true => Err(VerifyError::NoCertificate {
            path: path.to_owned(),
        }),
        false => Ok(certificates),
    }
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// A file cannot be read.
    #[error("no verdict")]
    Input {
        /// Why not.
        #[from]
        source: InputError,
    },
    /// There is no certificate in a file.
    #[error(
        "no verdict: {} holds no whole certificate; expected PEM or DER (see `ca-client inspect`)",
        input::shown(path)
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A file holds something else.
    #[error(
        "no verdict: {} cannot be read as PEM or DER (see `ca-client inspect`)",
        input::shown(path)
    )]
    NotCertificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CertificateError,
    },
    /// The verdict cannot be printed.
    #[error("the verdict cannot be printed")]
    Print {
        /// The system's answer.
        source: io::Error,
    },
}

/// A verdict as JSON: the fields of `signet.v1.Verdict`, times in RFC 3339.
#[derive(Debug, Serialize)]
pub(crate) struct Shown<'a> {
    verdict: &'static str,
    valid: bool,
    rule: Option<&'static str>,
    section: Option<&'static str>,
    reason: Option<&'a str>,
    spiffe_id: Option<&'a str>,
    at: String,
    seconds_left: Option<u64>,
    anchored: bool,
    path: Vec<ShownCertificate<'a>>,
}

#[derive(Debug, Serialize)]
struct ShownCertificate<'a> {
    subject: &'a str,
    names: &'a [String],
    sha256: String,
    not_before: String,
    not_after: String,
}

impl<'a> Shown<'a> {
    pub(crate) fn of(verdict: &'a Verdict) -> Self {
        Self {
            verdict: verdict.kind.as_str(),
            valid: verdict.is_valid(),
            rule: verdict.rule.map(|rule| rule.id),
            section: verdict.rule.map(|rule| rule.section),
            reason: Some(verdict.reason.as_str()).filter(|reason| !reason.is_empty()),
            spiffe_id: verdict.spiffe_id.as_ref().map(|id| id.as_str()),
            at: output::utc(verdict.at),
            seconds_left: verdict.seconds_left,
            anchored: verdict.anchored,
            path: verdict.path.iter().map(ShownCertificate::of).collect(),
        }
    }
}

impl<'a> ShownCertificate<'a> {
    fn of(certificate: &'a PathCertificate) -> Self {
        Self {
            subject: &certificate.subject,
            names: &certificate.names,
            sha256: certificate.sha256.to_string(),
            not_before: output::utc(certificate.not_before),
            not_after: output::utc(certificate.not_after),
        }
    }
}

/// The verdict for people.
pub(crate) fn table(verdict: &Verdict) -> String {
    let mut lines = vec![format!("{:<11}{}", "verdict", verdict.kind)];
    let mut line = |label: &str, value: String| lines.push(format!("{label:<11}{value}"));
    if let Some(rule) = verdict.rule {
        line("rule", format!("{} ({})", rule.id, rule.section));
        line("because", output::printable(&verdict.reason));
    }
    if let Some(id) = &verdict.spiffe_id {
        line("SPIFFE ID", id.to_string());
    }
    line("at", output::utc(verdict.at));
    if let Some(left) = verdict.seconds_left {
        line("good for", output::about(left));
    }
    for (index, certificate) in verdict.path.iter().enumerate() {
        let label = if index == 0 { "path" } else { "" };
        line(label, format!("{} {}", index + 1, name(certificate)));
        line("", validity(certificate));
        line("", format!("  sha256 {}", certificate.sha256));
    }
    if !verdict.anchored {
        line("", "  no trusted root".to_owned());
    }
    lines.join("\n") + "\n"
}

fn name(certificate: &PathCertificate) -> String {
    let names = certificate.names.join(", ");
    let shown = match (certificate.subject.is_empty(), names.is_empty()) {
        (true, true) => "(no name)".to_owned(),
        (true, false) => names,
        (false, true) => certificate.subject.clone(),
        (false, false) => format!("{} ({names})", certificate.subject),
    };
    output::printable(&shown)
}

fn validity(certificate: &PathCertificate) -> String {
    let (from, to) = (certificate.not_before, certificate.not_after);
    format!("  {} to {}", output::utc(from), output::utc(to))
}
