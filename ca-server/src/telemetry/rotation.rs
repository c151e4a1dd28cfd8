//! What do dashboards see of a rotation? Its phase, the trust bundle's number, and whether the operator's files are loaded.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use prometheus::IntGauge;
use prometheus::IntGaugeVec;
use prometheus::Opts;
use prometheus::Registry;

use super::metrics::gauge;
use super::metrics::register;

/// Gauges of who signs and who is trusted.
#[derive(Clone, Debug)]
pub struct RotationMetrics {
    /// `signet_rotation_phase{phase}`: 1 for the phase of now.
    phase: IntGaugeVec,
    /// `signet_rotation_phase_since_timestamp_seconds`
    since: IntGauge,
    /// `signet_rotation_holders`: how many hold leaves that may be alive, while a rotation is under way.
    holders: IntGauge,
    /// `signet_rotation_awaited{step}`: how many of them a step waits for.
    awaited: IntGaugeVec,
    /// `signet_trust_bundle_number`
    bundle: IntGauge,
    /// `signet_ca_bundle_looks`, `_reloads`, `_failures`: counted by whoever looks.
    looks: IntGauge,
    reloads: IntGauge,
    failures: IntGauge,
    /// `signet_ca_bundle_in_sync`: 0 while what is on disk is not what is loaded.
    in_sync: IntGauge,
}

/// What was counted of the operator's directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectoryCounts {
    /// How often it was looked at.
    pub looks: u64,
    /// How often something new was loaded.
    pub reloads: u64,
    /// How often something could not be loaded.
    pub failures: u64,
    /// Whether what is there is loaded.
    pub in_sync: bool,
}

impl RotationMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let phase = Opts::new(
            "signet_rotation_phase",
            "1 for the phase that the rotation of the CA is in.",
        );
        let awaited = Opts::new(
            "signet_rotation_awaited",
            "Holders of leaves that a step of the rotation waits for: to acknowledge, to renew, or to expire.",
        );
        let gauge = |name, help| gauge(registry, name, help);
        Ok(Self {
            phase: register(registry, IntGaugeVec::new(phase, &["phase"])?)?,
            since: gauge(
                "signet_rotation_phase_since_timestamp_seconds",
                "Unix time at which the phase of now began.",
            )?,
            holders: gauge(
                "signet_rotation_holders",
                "Holders of leaves that may be alive, while a rotation is under way; else 0.",
            )?,
            awaited: register(registry, IntGaugeVec::new(awaited, &["step"])?)?,
            bundle: gauge(
                "signet_trust_bundle_number",
                "Number of the trust bundle in force.",
            )?,
            looks: gauge(
                "signet_ca_bundle_looks",
                "Looks at the directory of the CA bundle since the start.",
            )?,
            reloads: gauge(
                "signet_ca_bundle_reloads",
                "CA bundles loaded since the start.",
            )?,
            failures: gauge(
                "signet_ca_bundle_reload_failures",
                "CA bundles refused since the start.",
            )?,
            in_sync: gauge(
                "signet_ca_bundle_in_sync",
                "1 when the CA bundle on disk is the one that is loaded.",
            )?,
        })
    }

    /// Sets the phase: one of `steady`, `prepare`, `distribute`, `drain`.
    pub fn note_phase(&self, phase: &str, since: SystemTime, bundle_number: u64) {
        for name in PHASES {
            let value = i64::from(name == phase);
            self.phase.with_label_values(&[name]).set(value);
        }
        let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.since.set(signed(since.as_secs()));
        self.bundle.set(signed(bundle_number));
    }

    /// Sets who holds things up: all holders, and those that activation and retirement wait for.
    pub fn note_awaited(&self, holders: usize, by_activation: usize, by_retirement: usize) {
        let gauge = |step| self.awaited.with_label_values(&[step]);
        self.holders.set(counted(holders));
        gauge("activate").set(counted(by_activation));
        gauge("retire").set(counted(by_retirement));
    }

    /// Sets what was counted of the operator's directory.
    pub fn note_directory(&self, counts: DirectoryCounts) {
        self.looks.set(signed(counts.looks));
        self.reloads.set(signed(counts.reloads));
        self.failures.set(signed(counts.failures));
        self.in_sync.set(i64::from(counts.in_sync));
    }
}

fn counted(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

const PHASES: [&str; 4] = ["steady", "prepare", "distribute", "drain"];

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
