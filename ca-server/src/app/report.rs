//! What is loaded? The certificates held, for `status` and the expiry gauges.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use proto::certificate::Certificate;
use tracing::warn;

use super::serving::Presented;
use crate::api::admin::ServerStatus;
use crate::api::admin::StatusReport;
use crate::api::http::Readiness;
use crate::authority::Authority;
use crate::authority::Source;
use crate::authority::bundle::Finding;
use crate::authority::bundle::Report;
use crate::authority::bundle::Severity;
use crate::telemetry::metrics::Held;

/// Knows the whole house, to tell operators about it.
pub(super) struct Reporter {
    pub(super) authority: Arc<Authority>,
    /// What each of our listeners presents.
    pub(super) serving: Vec<Arc<ArcSwap<Vec<Presented>>>>,
    pub(super) readiness: Arc<dyn Readiness>,
    pub(super) grpc_addr: String,
    pub(super) http_addr: String,
}

impl Reporter {
    /// Every certificate held: issuer, intermediates, active root, retained roots, serving leaf.
    pub(super) fn held(&self) -> Vec<Held> {
        let generation = self.authority.current();
        let active = generation.root().fingerprint();
        let mut all = vec![held("issuer", generation.issuer())];
        all.extend(
            generation
                .chain()
                .iter()
                .skip(1)
                .map(|one| held("intermediate", one)),
        );
        all.extend(generation.roots().iter().map(|root| {
            let role = if root.fingerprint() == active {
                "root"
            } else {
                "retained-root"
            };
            held(role, root)
        }));
        for serving in &self.serving {
            let serving = serving.load();
            all.extend(serving.iter().map(|presented| presented.held.clone()));
        }
        all
    }
}

#[tonic::async_trait]
impl StatusReport for Reporter {
    async fn status(&self) -> ServerStatus {
        let generation = self.authority.current();
        let (source, source_dir) = named(generation.source());
        ServerStatus {
            source,
            source_dir,
            not_ready: self.readiness.not_ready().await,
            certificates: self.held(),
            grpc_addr: self.grpc_addr.clone(),
            http_addr: self.http_addr.clone(),
            generation: generation.number(),
        }
    }
}

/// How a source is called, and where it is.
pub(super) fn named(source: &Source) -> (&'static str, PathBuf) {
    match source {
        Source::SelfSigned { dir } => ("self-signed", dir.clone()),
        Source::PluggedIn { dir } => ("plugged-in", dir.clone()),
    }
}

fn held(role: &'static str, certificate: &Certificate) -> Held {
    let facts = certificate.facts();
    Held {
        role,
        subject: facts.subject.clone(),
        sha256: certificate.fingerprint().to_string(),
        not_before: facts.not_before,
        not_after: facts.not_after,
    }
}

/// An error with everything that caused it, in one line.
pub(super) fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _infallible = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// Says what is not as it should be in a bundle that works.
pub(super) fn bundle_warnings(report: &Report) {
    let is_warning = |finding: &&Finding| finding.severity == Severity::Warning;
    for finding in report.findings.iter().filter(is_warning) {
        warn!(
            file = finding.file,
            rule = finding.rule,
            seen = finding.seen,
            fix = finding.fix,
            "CA bundle"
        );
    }
}
