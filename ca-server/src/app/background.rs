//! What happens by itself? Timers that re-read key files and note expiries.

use std::sync::Arc;
use std::time::Duration;

use proto::istio::istio_certificate_service_server::IstioCertificateServiceServer;
use proto::signet::verification_service_server::VerificationServiceServer;
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;
use tracing::info;
use tracing::warn;

use super::readiness::SharedReadiness;
use super::report::Reporter;
use crate::api::certificates::Certificates;
use crate::api::http::Readiness as _;
use crate::api::verification::Verification;
use crate::attest::issuers::IssuerSettings;
use crate::attest::jwks::JwksError;
use crate::attest::jwks::JwksFile;
use crate::attest::jwt::Issuer;
use crate::clock::Clock;
use crate::config::Config;
use crate::telemetry::metrics::Metrics;

/// Reads the key files of token issuers for the first time; all must be good.
pub(super) fn open_issuers(config: &Config) -> Result<Vec<Issuer>, JwksError> {
    let open = |settings: &IssuerSettings| {
        Ok(Issuer {
            name: settings.issuer.clone(),
            audiences: settings.audiences.clone(),
            keys: Arc::new(JwksFile::open(&settings.jwks_file)?),
        })
    };
    config.issuers.iter().map(open).collect()
}

/// Re-reads the key files of token issuers for ever. A bad file never replaces good keys.
pub(super) async fn refresh_jwks(issuers: Vec<Issuer>, metrics: Metrics) {
    let mut failing = vec![false; issuers.len()];
    loop {
        tokio::time::sleep(JWKS).await;
        for (issuer, failing) in issuers.iter().zip(failing.iter_mut()) {
            let keys = Arc::clone(&issuer.keys);
            let path = keys.path().display().to_string();
            let refreshed = tokio::task::spawn_blocking(move || keys.refresh()).await;
            let was_failing = std::mem::replace(failing, matches!(refreshed, Ok(Err(_))));
            match refreshed {
                Ok(Ok(true)) => info!(issuer = issuer.name, path, "issuer's keys re-read"),
                Ok(Err(error)) => {
                    metrics.jwks_failures.with_label_values(&[&path]).inc();
                    if !was_failing {
                        warn!(issuer = issuer.name, %error, "keeping the last good keys");
                    }
                }
                Ok(Ok(false)) | Err(_) => {}
            }
        }
    }
}

/// Sets the expiry gauges for ever, and says once of each what is too late for gauges.
pub(super) async fn note_expiries(
    reporter: Arc<Reporter>,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
) {
    let mut said = Vec::new();
    loop {
        let now = clock.now();
        metrics.note_certificates(&reporter.held(), reporter.generation(), now);
        let warnings = reporter.warnings(now);
        for warning in warnings.iter().filter(|warning| !said.contains(*warning)) {
            warn!("{warning}");
        }
        said = warnings;
        tokio::time::sleep(EXPIRIES).await;
    }
}

/// Says over gRPC health what `/readyz` says, for ever; from the stop on that nothing is served.
pub(super) async fn report_health(
    health: HealthReporter,
    readiness: SharedReadiness,
    stop: CancellationToken,
) {
    loop {
        let not_ready = match stop.is_cancelled() {
            true => Some("stopping".to_owned()),
            false => readiness.not_ready().await,
        };
        match not_ready {
            None => health.set_serving::<CsrService>().await,
            Some(_) => health.set_not_serving::<CsrService>().await,
        }
        // Verdicts need no ledger and no issuer in force.
        match stop.is_cancelled() {
            false => health.set_serving::<Verdicts>().await,
            true => health.set_not_serving::<Verdicts>().await,
        }
        if stop.is_cancelled() {
            return;
        }
        let _stopping = stop.run_until_cancelled(tokio::time::sleep(HEALTH)).await;
    }
}

/// The service whose health is told.
type CsrService = IstioCertificateServiceServer<Certificates>;
/// As [`CsrService`].
type Verdicts = VerificationServiceServer<Verification>;

const HEALTH: Duration = Duration::from_secs(2);
const JWKS: Duration = Duration::from_secs(1);
const EXPIRIES: Duration = Duration::from_secs(10);
