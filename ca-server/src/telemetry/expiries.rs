//! When does what is held expire? One series for each certificate held; those of certificates that are gone disappear.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use prometheus::IntGauge;
use prometheus::IntGaugeVec;
use prometheus::Opts;
use prometheus::Registry;

use super::metrics::Held;
use super::metrics::gauge;
use super::metrics::register;

/// When what is held expires.
#[derive(Clone, Debug)]
pub(super) struct Expiries {
    /// `signet_certificate_expiry_timestamp_seconds`
    expiry: IntGaugeVec,
    /// `signet_certificate_seconds_left`
    left: IntGaugeVec,
    /// The series that are there now, so that only those that are gone are removed: a scrape in between misses none.
    shown: Arc<Mutex<HashSet<[String; LABELS.len()]>>>,
    root: IntGauge,
    root_seconds: IntGauge,
    chain: IntGauge,
    chain_seconds: IntGauge,
}

impl Expiries {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let expiry = Opts::new(
            "signet_certificate_expiry_timestamp_seconds",
            "Unix time at which each certificate held expires.",
        );
        let left = Opts::new(
            "signet_certificate_seconds_left",
            "Seconds until each certificate held expires; negative when it has.",
        );
        let gauge = |name, help| gauge(registry, name, help);
        Ok(Self {
            expiry: register(registry, IntGaugeVec::new(expiry, &LABELS)?)?,
            left: register(registry, IntGaugeVec::new(left, &LABELS)?)?,
            shown: Arc::default(),
            root: gauge(
                "citadel_server_root_cert_expiry_timestamp",
                "Unix time at which the active root expires.",
            )?,
            root_seconds: gauge(
                "citadel_server_root_cert_expiry_seconds",
                "Seconds until the active root expires.",
            )?,
            chain: gauge(
                "citadel_server_cert_chain_expiry_timestamp",
                "Unix time at which the issuing certificate expires.",
            )?,
            chain_seconds: gauge(
                "citadel_server_cert_chain_expiry_seconds",
                "Seconds until the issuing certificate expires.",
            )?,
        })
    }

    pub(super) fn note(&self, held: &[Held], generation: u64, now: SystemTime) {
        let mut shown = HashSet::new();
        for certificate in held {
            let expiry = unix_seconds(certificate.not_after);
            let left = expiry - unix_seconds(now);
            let labels = labels(certificate, generation);
            let values: Vec<&str> = labels.iter().map(String::as_str).collect();
            self.expiry.with_label_values(&values).set(expiry);
            self.left.with_label_values(&values).set(left);
            shown.insert(labels);
            match certificate.role {
                "root" => {
                    self.root.set(expiry);
                    self.root_seconds.set(left);
                }
                "issuer" => {
                    self.chain.set(expiry);
                    self.chain_seconds.set(left);
                }
                _ => {}
            }
        }
        self.show_only(shown);
    }

    fn show_only(&self, shown: HashSet<[String; LABELS.len()]>) {
        let mut before = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in before.difference(&shown) {
            let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
            let _was_there = self.expiry.remove_label_values(&gone);
            let _was_there = self.left.remove_label_values(&gone);
        }
        *before = shown;
    }
}

fn labels(certificate: &Held, generation: u64) -> [String; LABELS.len()] {
    [
        certificate.role.to_owned(),
        certificate.subject.clone(),
        certificate.sha256.clone(),
        certificate.active.to_string(),
        certificate.origin.to_owned(),
        generation.to_string(),
    ]
}

fn unix_seconds(time: SystemTime) -> i64 {
    let age = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(age.as_secs()).unwrap_or(i64::MAX)
}

const LABELS: [&str; 6] = [
    "role",
    "subject",
    "sha256",
    "active",
    "origin",
    "generation",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;

    fn held(role: &'static str, sha256: &str) -> Held {
        Held {
            role,
            active: role == "root",
            origin: "plugged-in",
            subject: "CN=r".to_owned(),
            sha256: sha256.to_owned(),
            not_before: UNIX_EPOCH,
            not_after: UNIX_EPOCH + Duration::from_secs(100),
        }
    }

    fn text(metrics: &Metrics) -> String {
        String::from_utf8(metrics.encode()).unwrap()
    }

    #[test]
    fn every_certificate_held_has_its_expiry_and_the_seconds_left() {
        let metrics = Metrics::new().unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(40);
        metrics.note_certificates(&[held("root", "ab"), held("next-issuer", "cd")], 3, now);
        let text = text(&metrics);
        for line in [
            "citadel_server_root_cert_expiry_seconds 60",
            "signet_certificate_expiry_timestamp_seconds{active=\"true\",generation=\"3\",origin=\"plugged-in\",role=\"root\",sha256=\"ab\",subject=\"CN=r\"} 100",
            "signet_certificate_seconds_left{active=\"false\",generation=\"3\",origin=\"plugged-in\",role=\"next-issuer\",sha256=\"cd\",subject=\"CN=r\"} 60",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn the_series_of_a_certificate_that_is_gone_disappear() {
        let metrics = Metrics::new().unwrap();
        metrics.note_certificates(
            &[held("root", "ab"), held("next-issuer", "cd")],
            3,
            UNIX_EPOCH,
        );
        metrics.note_certificates(&[held("root", "ab")], 4, UNIX_EPOCH);
        let text = text(&metrics);
        assert!(
            !text.contains("cd") && !text.contains("generation=\"3\""),
            "{text}"
        );
        assert_eq!(text.matches("generation=\"4\"").count(), 2, "{text}");
    }
}
