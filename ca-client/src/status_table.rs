//! What does `ca-client status` show people? A label and a value on each line.

use std::time::Duration;

use ca_client::health::CertificateReport;
use ca_client::health::FailureReport;
use ca_client::health::NodeReport;
use ca_client::health::SdsReport;
use ca_client::health::StatusReport;
use ca_client::health::TrustReport;
use ca_client::health::WorkloadApiReport;

use crate::status_command::Asked;
use crate::status_command::Whole;

/// All that is known, for people.
pub(crate) fn table(whole: &Whole) -> String {
    let mut rows = Vec::new();
    match &whole.files {
        Some(files) => rows.extend(certificate_rows(files)),
        None if whole.agent.is_none() => rows.push(("certificate", "none on disk".to_owned())),
        None => {}
    }
    if let Some(Asked::Agent(agent)) = &whole.agent {
        if let (None, Some(certificate)) = (&whole.files, &agent.certificate) {
            rows.extend(certificate_rows(certificate));
        }
        rows.extend(agent_rows(agent));
    }
    let mut text = lines(&rows);
    if let Some(Asked::Node(node)) = &whole.agent {
        text += &of_node(node);
    }
    text
}

fn lines(rows: &[(&'static str, String)]) -> String {
    rows.iter()
        .map(|(label, value)| format!("{label:<14}{value}\n"))
        .collect()
}

/// What all share, then each workload.
fn of_node(node: &NodeReport) -> String {
    let mut rows = vec![("ready", ready(node.not_ready_because.as_ref()))];
    rows.extend(node.sds.iter().flat_map(sds_rows));
    rows.extend(node.workload_api.iter().map(workload_api_row));
    let mut text = lines(&rows);
    for workload in &node.workloads {
        let mut rows = vec![("workload", workload.name.clone())];
        rows.extend(
            workload
                .status
                .certificate
                .iter()
                .flat_map(certificate_rows),
        );
        rows.extend(agent_rows(&workload.status));
        if !workload.sds_waiting_for.is_empty() {
            rows.push(("SDS waits for", workload.sds_waiting_for.join("; ")));
        }
        text += "\n";
        text += &lines(&rows);
    }
    text
}

fn ready(because: Option<&String>) -> String {
    match because {
        None => "yes".to_owned(),
        Some(reason) => format!("no: {reason}"),
    }
}

fn certificate_rows(certificate: &CertificateReport) -> [(&'static str, String); 3] {
    let good_for = match certificate.remaining_seconds {
        0 => "expired".to_owned(),
        seconds => format!(
            "good for {}",
            humantime::format_duration(Duration::from_secs(seconds))
        ),
    };
    [
        ("SPIFFE ID", certificate.spiffe_id.clone()),
        ("serial", certificate.serial.clone()),
        (
            "valid until",
            format!("{} ({good_for})", certificate.not_after),
        ),
    ]
}

fn agent_rows(agent: &StatusReport) -> Vec<(&'static str, String)> {
    let ready = ready(agent.not_ready_because.as_ref());
    let mut rows = vec![("ready", ready), ("renewals", agent.renewals.to_string())];
    let optional = [
        (
            "last success",
            agent.seconds_since_success.map(|seconds| {
                format!(
                    "{} ago",
                    humantime::format_duration(Duration::from_secs(seconds))
                )
            }),
        ),
        (
            "last failure",
            agent
                .last_failure
                .as_ref()
                .map(|failure| format!("{} {}: {}", failure.at, failure.reason, failure.message)),
        ),
        ("next attempt", agent.next_attempt.clone()),
        (
            "clock offset",
            agent
                .ca_clock_offset_seconds
                .map(|seconds| format!("{seconds:+.1} s (the CA's clock minus this one)")),
        ),
        ("hook", agent.hook.clone()),
    ];
    rows.push(("files", agent.files.clone()));
    rows.extend(trust_rows(&agent.trust));
    rows.extend(agent.sds.iter().flat_map(sds_rows));
    rows.extend(agent.workload_api.iter().map(workload_api_row));
    rows.extend(
        optional
            .into_iter()
            .filter_map(|(label, value)| Some((label, value?))),
    );
    rows
}

/// An agent from before it followed trust says nothing of it.
fn trust_rows(trust: &TrustReport) -> Vec<(&'static str, String)> {
    let number = |number: u64| number.to_string();
    let failure =
        |failure: &FailureReport| format!("{} {}: {}", failure.at, failure.reason, failure.message);
    let rows = [
        ("trust bundle", trust.number.map(number)),
        ("acknowledged", trust.acknowledged.map(number)),
        (
            "trust push",
            Some(trust.push.clone()).filter(|push| !push.is_empty()),
        ),
        ("push failure", trust.last_failure.as_ref().map(failure)),
    ];
    rows.into_iter()
        .filter_map(|(label, value)| Some((label, value?)))
        .collect()
}

fn sds_rows(sds: &SdsReport) -> Vec<(&'static str, String)> {
    let socket = match (&sds.problem, sds.listening) {
        (_, true) => format!("{} streams, {} pushes", sds.streams, sds.pushes),
        (Some(problem), false) => format!("not there: {problem}"),
        (None, false) => "not there yet".to_owned(),
    };
    let mut rows = vec![("SDS socket", socket)];
    if let Some(refusal) = &sds.last_refusal {
        rows.push(("SDS refusal", format!("{} {}", refusal.at, refusal.message)));
    }
    if !sds.waiting_for.is_empty() {
        rows.push(("SDS waits for", sds.waiting_for.join("; ")));
    }
    rows
}

fn workload_api_row(api: &WorkloadApiReport) -> (&'static str, String) {
    let text = match (&api.problem, api.listening) {
        (_, true) => format!(
            "{} streams, {} pushes, {} refused",
            api.streams, api.pushes, api.refused
        ),
        (Some(problem), false) => format!("not there: {problem}"),
        (None, false) => "not there yet".to_owned(),
    };
    ("Workload API", text)
}
