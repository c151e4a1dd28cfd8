//! What is there to say about a bundle? Findings by file and rule, and what the bundle holds.
//!
//! Plain values for a table or JSON; how they are shown is for the command line to decide.

use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;
use serde::Serialize;
use serde::Serializer;

use super::Layout;
use crate::authority::algorithm;

/// Everything found out about one bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The directory that was looked at.
    pub dir: PathBuf,
    /// Which names the files have; `None` when there is no bundle.
    pub layout: Option<Layout>,
    /// What is wrong or worth knowing, the gravest first.
    pub findings: Vec<Finding>,
    /// The certificate whose key would sign.
    pub issuer: Option<Summary>,
    /// The chain in the order in which it is sent: the issuer first, without the root.
    pub chain: Vec<Summary>,
    /// The root that anchors the chain.
    pub root: Option<Summary>,
    /// Further roots, to be trusted too.
    pub other_roots: Vec<Summary>,
}

impl Report {
    /// Nothing is known of what is in `dir` yet.
    pub(super) fn of(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            layout: None,
            findings: Vec::new(),
            issuer: None,
            chain: Vec::new(),
            root: None,
            other_roots: Vec::new(),
        }
    }

    /// The gravest finding, as one word about the whole bundle.
    #[must_use]
    pub fn grade(&self) -> Grade {
        let gravest = self.findings.iter().map(|finding| finding.severity).max();
        match gravest {
            Some(Severity::Error) => Grade::Errors,
            Some(Severity::Warning) => Grade::Warnings,
            Some(Severity::Info) | None => Grade::Good,
        }
    }

    /// The findings because of which the bundle does not work.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        let is_error = |finding: &&Finding| finding.severity == Severity::Error;
        self.findings.iter().filter(is_error)
    }

    /// The same report, for a bundle that is about to be moved to `dir`.
    pub(in crate::authority) fn at(self, dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            ..self
        }
    }

    pub(super) fn sort(&mut self) {
        self.findings
            .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    }
}

/// How good a bundle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// Nothing to do.
    Good,
    /// It works, with something to know.
    Warnings,
    /// It does not work.
    Errors,
}

/// How grave a finding is. Later ones are graver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// It works, but somebody will stumble over it.
    Warning,
    /// It does not work.
    Error,
}

/// One rule that a bundle breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// The file's name in the directory; empty when it is about the bundle as a whole.
    pub file: String,
    /// Names the rule, the same in every version.
    pub rule: &'static str,
    /// What was seen.
    pub seen: String,
    /// What to do about it.
    pub fix: String,
}

impl Finding {
    pub(super) fn new(
        severity: Severity,
        file: impl Into<String>,
        rule: &'static str,
        seen: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            file: file.into(),
            rule,
            seen: seen.into(),
            fix: fix.into(),
        }
    }

    pub(super) fn error(
        file: impl Into<String>,
        rule: &'static str,
        seen: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Error, file, rule, seen, fix)
    }

    pub(super) fn warning(
        file: impl Into<String>,
        rule: &'static str,
        seen: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Warning, file, rule, seen, fix)
    }
}

/// One certificate of a bundle, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The subject for people to read.
    pub subject: String,
    /// SHA-256 of the certificate, in JSON as lower-case hex.
    #[serde(serialize_with = "as_text")]
    pub fingerprint: Fingerprint,
    /// First second of validity, in JSON as RFC 3339.
    #[serde(serialize_with = "as_rfc3339")]
    pub not_before: SystemTime,
    /// Last second of validity, in JSON as RFC 3339.
    #[serde(serialize_with = "as_rfc3339")]
    pub not_after: SystemTime,
    /// Kind and size of the key, such as `RSA-2048` or `P-256`.
    pub key: String,
}

impl Summary {
    pub(in crate::authority) fn of(certificate: &Certificate) -> Self {
        let facts = certificate.facts();
        Self {
            subject: facts.subject.clone(),
            fingerprint: certificate.fingerprint(),
            not_before: facts.not_before,
            not_after: facts.not_after,
            key: algorithm::key_name(&facts.spki_der),
        }
    }
}

/// A date as the reports write it.
pub(super) fn date(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

fn as_text<S: Serializer>(fingerprint: &Fingerprint, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(fingerprint)
}

fn as_rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_seconds(*time))
}
