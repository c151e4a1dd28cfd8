//! What is counted? Prometheus metrics: Istio's names where Istio counts the same, `signet_*` for the rest.

use std::time::SystemTime;

use prometheus::Encoder as _;
use prometheus::GaugeVec;
use prometheus::Histogram;
use prometheus::HistogramOpts;
use prometheus::IntCounter;
use prometheus::IntCounterVec;
use prometheus::IntGauge;
use prometheus::Opts;
use prometheus::Registry;
use prometheus::TextEncoder;
use prometheus::core::Collector;

use super::expiries::Expiries;
use super::rotation::RotationMetrics;

/// Every metric of the server, in one registry of its own.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// `citadel_server_csr_count`: requests for a leaf.
    pub requests: IntCounter,
    /// `citadel_server_authentication_failure_count`: callers who were not recognised.
    pub attest_failures: IntCounter,
    /// `signet_denied_total{by}`: refused because of a denial, by `spiffe-id`, `serial` or `key`; in the count above too.
    pub denied: IntCounterVec,
    /// `signet_verifications_total{verdict}`: chains that were judged for somebody, by the verdict's name.
    pub verifications: IntCounterVec,
    /// `citadel_server_csr_parsing_err_count`: CSRs that were refused.
    pub csr_refusals: IntCounter,
    /// `citadel_server_csr_sign_err_count{error}`: leaves that were not signed, by Istio's reasons.
    pub sign_failures: IntCounterVec,
    /// `citadel_server_success_cert_issuance_count`: leaves that left.
    pub issued: IntCounter,
    /// `signet_issue_duration_seconds`: from message to answer, where a leaf left.
    pub issue_seconds: Histogram,
    /// `signet_connections`: open connections.
    pub connections: IntGauge,
    /// `signet_connections_refused_total{reason}`: connections that did not get to a request.
    pub connections_refused: IntCounterVec,
    /// `signet_watchers`: agents that follow the trust bundle now.
    pub watchers: IntGauge,
    /// `signet_acknowledgements_total`: what agents said they use.
    pub acknowledgements: IntCounter,
    /// `signet_ready`: 1 when `/readyz` last said so.
    pub ready: IntGauge,
    /// `signet_max_leaf_lifetime_seconds`: the longest lifetime that may be asked for.
    pub max_leaf_lifetime: IntGauge,
    /// `signet_jwks_refresh_failures_total{file}`.
    pub jwks_failures: IntCounterVec,
    /// What `signet_rotation_*` and `signet_ca_bundle_*` tell.
    pub rotation: RotationMetrics,
    expiries: Expiries,
}

/// One certificate that the process holds, for the expiry gauges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// `root`, `issuer`, `intermediate`, `serving`; the same of a signer that is `next-` or `draining-`;
    /// `retained-root`; `crl` for a revocation list that is given out, whose issuer is the subject.
    pub role: &'static str,
    /// Whether it belongs to the signer that is active, or is presented now.
    pub active: bool,
    /// `self-signed` or `plugged-in`; empty where that is not known any more.
    pub origin: &'static str,
    /// Subject for people.
    pub subject: String,
    /// SHA-256 as hex.
    pub sha256: String,
    /// First second.
    pub not_before: SystemTime,
    /// Last second.
    pub not_after: SystemTime,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When a name is not a metric's name; cannot happen with the names in this file.
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new();
        register_build(&registry)?;
        let count = |name, help| counter(&registry, name, help);
        let counts = |name, help, label| counters(&registry, name, help, label);
        let shown = |name, help| gauge(&registry, name, help);
        Ok(Self {
            requests: count("citadel_server_csr_count", "Requests for a leaf.")?,
            attest_failures: count(
                "citadel_server_authentication_failure_count",
                "Callers who were not recognised.",
            )?,
            denied: counts(
                "signet_denied_total",
                "Callers who were refused because of a denial.",
                "by",
            )?,
            verifications: verification_counters(&registry)?,
            csr_refusals: count(
                "citadel_server_csr_parsing_err_count",
                "CSRs that were refused.",
            )?,
            sign_failures: counts(
                "citadel_server_csr_sign_err_count",
                "Leaves that were not signed.",
                "error",
            )?,
            issued: count(
                "citadel_server_success_cert_issuance_count",
                "Leaves that were issued.",
            )?,
            issue_seconds: issue_histogram(&registry)?,
            connections: shown("signet_connections", "Open gRPC connections.")?,
            connections_refused: counts(
                "signet_connections_refused_total",
                "Connections that were closed before a request.",
                "reason",
            )?,
            ready: shown("signet_ready", "1 when the last readiness check passed.")?,
            max_leaf_lifetime: shown(
                "signet_max_leaf_lifetime_seconds",
                "The longest lifetime of a leaf that may be asked for.",
            )?,
            jwks_failures: counts(
                "signet_jwks_refresh_failures_total",
                "Re-reads of a JWK Set file that failed; the last good keys stay.",
                "file",
            )?,
            watchers: shown("signet_watchers", "Agents that follow the trust bundle.")?,
            acknowledgements: count(
                "signet_acknowledgements_total",
                "Acknowledgements of trust bundles in use.",
            )?,
            rotation: RotationMetrics::new(&registry)?,
            expiries: Expiries::new(&registry)?,
            registry,
        })
    }

    /// Replaces the expiry gauges by those of `held`, which generation `generation` holds.
    pub fn note_certificates(&self, held: &[Held], generation: u64, now: SystemTime) {
        self.expiries.note(held, generation, now);
    }

    /// The text that Prometheus reads.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            Ok(()) => text,
            Err(_nothing_to_encode) => Vec::new(),
        }
    }
}

/// A metric could not be registered.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct MetricsError(#[from] prometheus::Error);

pub(super) fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    register(registry, IntCounter::new(name, help)?)
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
) -> Result<IntCounterVec, prometheus::Error> {
    register(
        registry,
        IntCounterVec::new(Opts::new(name, help), &[label])?,
    )
}

pub(super) fn gauge(
    registry: &Registry,
    name: &str,
    help: &str,
) -> Result<IntGauge, prometheus::Error> {
    register(registry, IntGauge::new(name, help)?)
}

fn register_build(registry: &Registry) -> Result<(), prometheus::Error> {
    let opts = Opts::new(
        "signet_build_info",
        "Constant 1, labelled with the version.",
    );
    let build = register(registry, GaugeVec::new(opts, &["version"])?)?;
    build
        .with_label_values(&[env!("CARGO_PKG_VERSION")])
        .set(1.0);
    Ok(())
}

fn verification_counters(registry: &Registry) -> Result<IntCounterVec, prometheus::Error> {
    counters(
        registry,
        "signet_verifications_total",
        "Chains that were judged for somebody who asked.",
        "verdict",
    )
}

fn issue_histogram(registry: &Registry) -> Result<Histogram, prometheus::Error> {
    let opts = HistogramOpts::new(
        "signet_issue_duration_seconds",
        "From request to answer, where a leaf was issued.",
    )
    .buckets(vec![
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    ]);
    register(registry, Histogram::with_opts(opts)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_carry_the_names_that_istio_dashboards_ask_for() {
        let metrics = Metrics::new().unwrap();
        metrics.requests.inc();
        metrics
            .sign_failures
            .with_label_values(&["CSR_ERROR"])
            .inc();
        let text = String::from_utf8(metrics.encode()).unwrap();
        for line in [
            "citadel_server_csr_count 1",
            "citadel_server_authentication_failure_count 0",
            "citadel_server_csr_sign_err_count{error=\"CSR_ERROR\"} 1",
            "citadel_server_success_cert_issuance_count 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }
}
