//! What is loaded? The certificates held, for `status` and the expiry gauges.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use proto::certificate::Certificate;
use tracing::warn;

use super::conductor::OtherSigner;
use super::lists;
use super::serving::Presented;
use crate::api::admin::ServerStatus;
use crate::api::admin::StatusReport;
use crate::api::http::Readiness;
use crate::authority::Authority;
use crate::authority::Generation;
use crate::authority::Source;
use crate::authority::bundle::Finding;
use crate::authority::bundle::Report;
use crate::authority::bundle::Severity;
use crate::telemetry::metrics::Held;

/// Knows the whole house, to tell operators about it.
pub(super) struct Reporter {
    pub(super) authority: Arc<Authority>,
    pub(super) others: Arc<ArcSwap<Vec<OtherSigner>>>,
    /// What each of our listeners presents.
    pub(super) serving: Vec<Arc<ArcSwap<Vec<Presented>>>>,
    pub(super) readiness: Arc<dyn Readiness>,
    pub(super) grpc_addr: String,
    pub(super) http_addr: String,
}

impl Reporter {
    /// Every certificate held: those of the active signer, of those beside it, roots that no signer has, serving leaves;
    /// and the revocation lists that are given out.
    pub(super) fn held(&self) -> Vec<Held> {
        let generation = self.authority.current();
        let mut all = Vec::new();
        add(&mut all, &ACTIVE, &generation);
        for other in self.others.load().iter() {
            let roles = if other.is_next { &NEXT } else { &DRAINING };
            add(&mut all, roles, &other.generation);
        }
        for root in generation.roots() {
            add_one(&mut all, held("retained-root", "", root));
        }
        all.extend(lists::held(&generation));
        for serving in &self.serving {
            let serving = serving.load();
            all.extend(serving.iter().map(|presented| presented.held.clone()));
        }
        all
    }

    /// What somebody has to do about them before it is too late, or as it is.
    pub(super) fn warnings(&self, now: SystemTime) -> Vec<String> {
        lists::warnings(&self.authority.current(), now)
    }

    /// The number of the generation that holds them.
    pub(super) fn generation(&self) -> u64 {
        self.authority.current().number()
    }
}

/// How the certificates of a signer are called.
struct Roles {
    issuer: &'static str,
    intermediate: &'static str,
    root: &'static str,
}

const ACTIVE: Roles = Roles {
    issuer: "issuer",
    intermediate: "intermediate",
    root: "root",
};
const NEXT: Roles = Roles {
    issuer: "next-issuer",
    intermediate: "next-intermediate",
    root: "next-root",
};
const DRAINING: Roles = Roles {
    issuer: "draining-issuer",
    intermediate: "draining-intermediate",
    root: "draining-root",
};

fn add(all: &mut Vec<Held>, roles: &Roles, signer: &Generation) {
    let origin = signer.source().name();
    add_one(all, held(roles.issuer, origin, signer.issuer()));
    for one in signer.chain().iter().skip(1) {
        add_one(all, held(roles.intermediate, origin, one));
    }
    let root = held(roles.root, origin, signer.root());
    // An issuer that is its own root is both; a root that signers share is the first one's.
    if signer.issuer() == signer.root() {
        all.push(root);
    } else {
        add_one(all, root);
    }
}

/// One that is there already is told once, in its first role.
fn add_one(all: &mut Vec<Held>, one: Held) {
    if !all.iter().any(|before| before.sha256 == one.sha256) {
        all.push(one);
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

fn held(role: &'static str, origin: &'static str, certificate: &Certificate) -> Held {
    let facts = certificate.facts();
    Held {
        role,
        active: [ACTIVE.issuer, ACTIVE.intermediate, ACTIVE.root].contains(&role),
        origin,
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
