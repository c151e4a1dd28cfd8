//! Which numbers does Prometheus get? Istio's names where its agent counts the same, `signet_agent_*`
//! for the rest. Made of one [`Status`] at each scrape, so they cannot disagree with each other.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::btree_map::Entry;
use std::time::SystemTime;

use prometheus::Encoder as _;
use prometheus::Gauge;
use prometheus::GaugeVec;
use prometheus::IntCounter;
use prometheus::IntCounterVec;
use prometheus::Opts;
use prometheus::Registry;
use prometheus::TextEncoder;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;

use super::sockets;
use crate::agent::Files;
use crate::agent::Push;
use crate::agent::Status;
use crate::agent::TrustStatus;
use crate::node::NodeStatus;

/// The text of `/metrics` of one agent.
pub(super) fn of_agent(status: &Status, now: SystemTime) -> String {
    let registry = Registry::new();
    // A metric with a bad or doubled name is left out; the test below finds it.
    drop(agent(&registry, status, now));
    if let Some(sds) = &status.sds {
        drop(sockets::readers(&registry, sds));
        drop(sockets::waiting(&registry, sds));
    }
    if let Some(api) = &status.workload_api {
        drop(sockets::workloads(&registry, api));
    }
    text(&registry.gather())
}

/// The same of many: a label says of which workload a number is, where it is not of all.
pub(super) fn of_node(node: &NodeStatus, now: SystemTime) -> String {
    let mut families: BTreeMap<String, MetricFamily> = BTreeMap::new();
    let shared = Registry::new();
    let status = node.shared();
    if let Some(sds) = &status.sds {
        drop(sockets::readers(&shared, sds));
    }
    if let Some(api) = &status.workload_api {
        drop(sockets::workloads(&shared, api));
    }
    add_families(&mut families, &shared);
    for (name, status) in node.workloads() {
        let label = HashMap::from([("workload".to_owned(), name.to_owned())]);
        let Ok(registry) = Registry::new_custom(None, Some(label)) else {
            continue;
        };
        drop(agent(&registry, &status, now));
        if let Some(sds) = &status.sds {
            drop(sockets::waiting(&registry, sds));
        }
        add_families(&mut families, &registry);
    }
    let families: Vec<MetricFamily> = families.into_values().collect();
    text(&families)
}

/// A name stands once in the text, with the numbers of all workloads under it.
fn add_families(families: &mut BTreeMap<String, MetricFamily>, registry: &Registry) {
    for mut family in registry.gather() {
        match families.entry(family.name().to_owned()) {
            Entry::Vacant(place) => drop(place.insert(family)),
            Entry::Occupied(mut known) => known.get_mut().mut_metric().append(family.mut_metric()),
        }
    }
}

fn text(families: &[MetricFamily]) -> String {
    let mut text = Vec::new();
    drop(TextEncoder::new().encode(families, &mut text));
    String::from_utf8_lossy(&text).into_owned()
}

fn agent(registry: &Registry, status: &Status, now: SystemTime) -> prometheus::Result<()> {
    counters(registry, status)?;
    gauges(registry, status, now)?;
    flags(registry, status, now)
}

fn counters(registry: &Registry, status: &Status) -> prometheus::Result<()> {
    let labelled = |name: &str, help: &str, value: u64| {
        let counter = IntCounterVec::new(Opts::new(name, help), &["request_type"])?;
        counter.with_label_values(&["csr"]).inc_by(value);
        add(registry, counter)
    };
    let plain = |name: &str, help: &str, value: u64| counter(registry, name, help, value);
    labelled(
        "istio_agent_num_outgoing_requests",
        "Attempts to get a certificate",
        status.attempts,
    )?;
    labelled(
        "istio_agent_num_outgoing_retries",
        "Those that followed a failure",
        status.retries,
    )?;
    labelled(
        "istio_agent_num_failed_outgoing_requests",
        "Those that failed",
        status.failures,
    )?;
    labelled(
        "istio_agent_outgoing_latency",
        "Milliseconds that calls to the CA took, in all",
        u64::try_from(status.calls.as_millis()).unwrap_or(u64::MAX),
    )?;
    plain(
        "signet_agent_renewals_total",
        "Certificates received, the first one included",
        status.renewals,
    )?;
    plain(
        "signet_agent_hook_failures_total",
        "Runs of the hook that failed",
        status.hook_failures,
    )?;
    plain(
        "signet_agent_clock_jumps_total",
        "Jumps of the clock, and sleeps of the machine, that were noticed",
        status.clock_jumps,
    )
}

fn gauges(registry: &Registry, status: &Status, now: SystemTime) -> prometheus::Result<()> {
    if let Some(held) = &status.certificate {
        let name = "istio_agent_cert_expiry_seconds";
        let help = "Seconds until the certificate expires; negative when it has";
        let gauge = GaugeVec::new(Opts::new(name, help), &["resource_name"])?;
        gauge
            .with_label_values(&["default"])
            .set(seconds_until(held.not_after, now));
        add(registry, gauge)?;
    }
    if let Some(failure) = &status.last_failure {
        let name = "signet_agent_last_failure_timestamp_seconds";
        let help = "When an attempt failed last, and why";
        let gauge = GaugeVec::new(Opts::new(name, help), &["reason"])?;
        gauge
            .with_label_values(&[failure.reason])
            .set(seconds_until(failure.at, SystemTime::UNIX_EPOCH));
        add(registry, gauge)?;
    }
    if let Some(at) = status.last_success {
        let help = "Seconds since the CA last gave a certificate";
        let value = seconds_until(now, at);
        plain(
            registry,
            "signet_agent_last_success_age_seconds",
            help,
            value,
        )?;
    }
    if let Some(offset) = status.ca_clock_offset {
        let help = "How far the CA's clock is ahead of this machine's";
        plain(
            registry,
            "signet_agent_ca_clock_offset_seconds",
            help,
            offset,
        )?;
    }
    Ok(())
}

/// What is always known.
fn flags(registry: &Registry, status: &Status, now: SystemTime) -> prometheus::Result<()> {
    let flags = [
        (
            "signet_agent_failures_in_a_row",
            "Failed attempts since the last success",
            f64::from(status.failures_in_a_row),
        ),
        (
            "signet_agent_ready",
            "1 when a valid certificate is on disk",
            f64::from(u8::from(status.not_ready(now).is_none())),
        ),
        (
            "signet_agent_files_ok",
            "0 when the files cannot be written",
            f64::from(u8::from(!matches!(status.files, Files::Failed { .. }))),
        ),
    ];
    for (name, help, value) in flags {
        plain(registry, name, help, value)?;
    }
    trust(registry, &status.trust)?;
    match &status.hook {
        Some(hook) => plain(
            registry,
            "signet_agent_hook_ok",
            "1 when the last run of the hook succeeded",
            f64::from(u8::from(hook.succeeded)),
        ),
        None => Ok(()),
    }
}

/// What is known of the trust bundle. Numbers that are not known are left out.
#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floats; numbers stay far below 2^53"
)]
fn trust(registry: &Registry, trust: &TrustStatus) -> prometheus::Result<()> {
    let numbers = [
        (
            "signet_agent_trust_bundle",
            "Number of the trust bundle that is known",
            trust.number,
        ),
        (
            "signet_agent_trust_bundle_acknowledged",
            "Number of the trust bundle that the CA was told to be in use",
            trust.acknowledged,
        ),
    ];
    for (name, help, value) in numbers {
        if let Some(value) = value {
            plain(registry, name, help, value as f64)?;
        }
    }
    plain(
        registry,
        "signet_agent_trust_push_connected",
        "1 while the CA tells of new roots by itself",
        f64::from(u8::from(matches!(trust.push, Push::Connected { .. }))),
    )?;
    counter(
        registry,
        "signet_agent_trust_push_failures_total",
        "Streams from the CA that broke or did not come about",
        trust.failures,
    )?;
    counter(
        registry,
        "signet_agent_trust_bundles_refused_total",
        "Trust bundles of the CA that made no sense",
        trust.refused,
    )
}

pub(super) fn counter(
    registry: &Registry,
    name: &str,
    help: &str,
    value: u64,
) -> prometheus::Result<()> {
    let counter = IntCounter::new(name, help)?;
    counter.inc_by(value);
    add(registry, counter)
}

pub(super) fn plain(
    registry: &Registry,
    name: &str,
    help: &str,
    value: f64,
) -> prometheus::Result<()> {
    let gauge = Gauge::new(name, help)?;
    gauge.set(value);
    add(registry, gauge)
}

fn add(registry: &Registry, collector: impl Collector + 'static) -> prometheus::Result<()> {
    registry.register(Box::new(collector))
}

/// Negative when `then` is before `now`.
fn seconds_until(then: SystemTime, now: SystemTime) -> f64 {
    match then.duration_since(now) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::agent::Failure;
    use crate::agent::Held;
    use crate::agent::HookRun;

    #[test]
    fn every_number_is_there_and_says_what_the_status_says() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let at = now - Duration::from_secs(30);
        let status = Status {
            certificate: Some(Held {
                spiffe_id: "spiffe://cluster.local/ns/shop/sa/cart".parse().unwrap(),
                serial: "01".to_owned(),
                not_before: at,
                not_after: now + Duration::from_secs(90),
            }),
            attempts: 3,
            retries: 1,
            failures: 1,
            renewals: 2,
            last_success: Some(at),
            last_failure: Some(Failure {
                reason: "unreachable",
                message: String::new(),
                at,
            }),
            ca_clock_offset: Some(-1.5),
            hook: Some(HookRun {
                at,
                result: "ok".to_owned(),
                succeeded: true,
            }),
            trust: TrustStatus {
                number: Some(1_795_000_007),
                acknowledged: Some(6),
                push: Push::Connected { since: at },
                failures: 2,
                refused: 1,
                last_failure: None,
            },
            ..Status::default()
        };
        let text = of_agent(&status, now);
        for line in [
            "istio_agent_cert_expiry_seconds{resource_name=\"default\"} 90",
            "istio_agent_num_outgoing_requests{request_type=\"csr\"} 3",
            "istio_agent_num_outgoing_retries{request_type=\"csr\"} 1",
            "istio_agent_num_failed_outgoing_requests{request_type=\"csr\"} 1",
            "istio_agent_outgoing_latency{request_type=\"csr\"} 0",
            "signet_agent_renewals_total 2",
            "signet_agent_last_success_age_seconds 30",
            "signet_agent_last_failure_timestamp_seconds{reason=\"unreachable\"} 999970",
            "signet_agent_ca_clock_offset_seconds -1.5",
            "signet_agent_failures_in_a_row 0",
            "signet_agent_ready 1",
            "signet_agent_files_ok 1",
            "signet_agent_hook_ok 1",
            "signet_agent_hook_failures_total 0",
            "signet_agent_clock_jumps_total 0",
            "signet_agent_trust_bundle 1795000007",
            "signet_agent_trust_bundle_acknowledged 6",
            "signet_agent_trust_push_connected 1",
            "signet_agent_trust_push_failures_total 2",
            "signet_agent_trust_bundles_refused_total 1",
        ] {
            assert!(text.lines().any(|seen| seen == line), "{line} in\n{text}");
        }
    }
}
