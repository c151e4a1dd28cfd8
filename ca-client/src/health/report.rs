//! What does `/status` say? The [`Status`] as JSON, with times in RFC 3339 and ages in seconds.

use std::time::SystemTime;

use serde::Deserialize;
use serde::Serialize;

use crate::agent::Failure;
use crate::agent::Files;
use crate::agent::Status;
use crate::sds::SdsStatus;
use crate::workload_api::WorkloadApiStatus;

/// How an agent is. Times are RFC 3339 in UTC, by the agent's clock.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StatusReport {
    /// Whether a valid certificate is where it should be.
    pub ready: bool,
    /// Why not.
    pub not_ready_because: Option<String>,
    /// What is held.
    pub certificate: Option<CertificateReport>,
    /// Certificates received, the first one included.
    pub renewals: u64,
    /// Failed attempts since the last success.
    pub failures_in_a_row: u32,
    /// Seconds since the CA last gave a certificate; none since the start if it never did.
    pub seconds_since_success: Option<u64>,
    /// The last failure, whether or not there was a success since.
    pub last_failure: Option<FailureReport>,
    /// When the next attempt is due.
    pub next_attempt: Option<String>,
    /// How far the CA's clock is ahead.
    pub ca_clock_offset_seconds: Option<f64>,
    /// `written`, `pending`, `not-wanted`, or why they cannot be written.
    pub files: String,
    /// What came of the last run of the hook.
    pub hook: Option<String>,
    /// What is known of the trust bundle.
    #[serde(default)]
    pub trust: TrustReport,
    /// The SDS server, where there is one.
    #[serde(default)]
    pub sds: Option<SdsReport>,
    /// The Workload API, where it is served.
    #[serde(default)]
    pub workload_api: Option<WorkloadApiReport>,
}

/// The Workload API in a report.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct WorkloadApiReport {
    /// Whether the socket is there, and answers.
    pub listening: bool,
    /// Why it is not.
    pub problem: Option<String>,
    /// Open calls.
    pub streams: usize,
    /// Messages sent, since the start.
    pub pushes: u64,
    /// Connections of those who are not allowed.
    pub refused: u64,
}

/// The SDS server in a report.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct SdsReport {
    /// Whether the socket is there, and answers.
    pub listening: bool,
    /// Why it is not.
    pub problem: Option<String>,
    /// Open streams.
    pub streams: usize,
    /// Answers sent, since the start.
    pub pushes: u64,
    /// Those that were acknowledged.
    pub acknowledged: u64,
    /// Those that were refused.
    pub refused: u64,
    /// What was refused last, and why.
    pub last_refusal: Option<FailureReport>,
    /// Calls of peers that no workload's rule names.
    #[serde(default)]
    pub turned_away: u64,
    /// Who keeps the agent from telling the CA that the latest roots and certificate are in use; at most ten.
    pub waiting_for: Vec<String>,
}

/// The trust bundle in a report.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct TrustReport {
    /// Its number, of a CA that counts them.
    pub number: Option<u64>,
    /// The number that the CA was told to be in use.
    pub acknowledged: Option<u64>,
    /// `connected`, `not connected` or `not offered by the CA`.
    pub push: String,
    /// What went wrong last, whether or not it is well since.
    pub last_failure: Option<FailureReport>,
}

/// A certificate in a report.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct CertificateReport {
    /// Who it names.
    pub spiffe_id: String,
    /// Lower-case hex.
    pub serial: String,
    /// First second.
    pub not_before: String,
    /// Last second.
    pub not_after: String,
    /// Seconds until it expires; none left is 0.
    pub remaining_seconds: u64,
}

/// A failure in a report.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct FailureReport {
    /// A short, stable name.
    pub reason: String,
    /// What went wrong and what to do.
    pub message: String,
    /// When.
    pub at: String,
}

impl StatusReport {
    /// The report of this status at this moment.
    #[must_use]
    pub fn new(status: &Status, now: SystemTime) -> Self {
        let not_ready_because = status.not_ready(now);
        let certificate = status.certificate.as_ref().map(|held| CertificateReport {
            spiffe_id: held.spiffe_id.to_string(),
            serial: held.serial.clone(),
            not_before: utc(held.not_before),
            not_after: utc(held.not_after),
            remaining_seconds: seconds(now, held.not_after),
        });
        let last_failure = status.last_failure.as_ref().map(FailureReport::new);
        let trust = TrustReport {
            number: status.trust.number,
            acknowledged: status.trust.acknowledged,
            push: status.trust.push.as_str().to_owned(),
            last_failure: status.trust.last_failure.as_ref().map(FailureReport::new),
        };
        Self {
            ready: not_ready_because.is_none(),
            not_ready_because,
            certificate,
            renewals: status.renewals,
            failures_in_a_row: status.failures_in_a_row,
            seconds_since_success: status.last_success.map(|at| seconds(at, now)),
            last_failure,
            next_attempt: status.next_attempt.map(utc),
            ca_clock_offset_seconds: status.ca_clock_offset,
            files: match &status.files {
                Files::NotWanted => "not-wanted".to_owned(),
                Files::Pending => "pending".to_owned(),
                Files::Written { .. } => "written".to_owned(),
                Files::Failed { message, .. } => message.clone(),
            },
            hook: status.hook.as_ref().map(|run| run.result.clone()),
            trust,
            sds: status.sds.as_ref().map(SdsReport::new),
            workload_api: status.workload_api.as_ref().map(WorkloadApiReport::new),
        }
    }
}

impl SdsReport {
    pub(super) fn new(sds: &SdsStatus) -> Self {
        Self {
            listening: sds.is_listening,
            problem: sds.problem.clone(),
            streams: sds.streams,
            pushes: sds.pushes,
            acknowledged: sds.acknowledged,
            refused: sds.refused,
            last_refusal: sds.last_refusal.as_ref().map(FailureReport::new),
            turned_away: sds.turned_away,
            waiting_for: sds.waiting_for.clone(),
        }
    }
}

impl WorkloadApiReport {
    pub(super) fn new(api: &WorkloadApiStatus) -> Self {
        Self {
            listening: api.is_listening,
            problem: api.problem.clone(),
            streams: api.streams,
            pushes: api.pushes,
            refused: api.refused,
        }
    }
}

impl FailureReport {
    fn new(failure: &Failure) -> Self {
        Self {
            reason: failure.reason.to_owned(),
            message: failure.message.clone(),
            at: utc(failure.at),
        }
    }
}

fn utc(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

fn seconds(from: SystemTime, until: SystemTime) -> u64 {
    until.duration_since(from).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::agent::Held;

    #[test]
    fn ready_is_who_has_an_unexpired_certificate_on_disk() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let held = Held {
            spiffe_id: "spiffe://cluster.local/ns/shop/sa/cart".parse().unwrap(),
            serial: "01".to_owned(),
            not_before: SystemTime::UNIX_EPOCH,
            not_after: end,
        };
        let failed = |older_until| Files::Failed {
            message: "full".to_owned(),
            older_until,
        };
        let late = end + Duration::from_secs(1);
        let table = [
            (Some(held.clone()), Files::Written { at: end }, end, None),
            (None, Files::Pending, end, Some("no certificate yet")),
            (Some(held.clone()), Files::NotWanted, late, Some("expired")),
            (
                Some(held.clone()),
                Files::Pending,
                end,
                Some("not written yet"),
            ),
            (Some(held.clone()), failed(None), end, Some("full")),
            (Some(held), failed(Some(end)), end, None),
        ];
        for (certificate, files, now, because) in table {
            let status = Status {
                certificate,
                files,
                ..Status::default()
            };
            let report = StatusReport::new(&status, now);
            assert_eq!(report.ready, because.is_none(), "{status:?}");
            let said = report.not_ready_because.unwrap_or_default();
            assert!(said.contains(because.unwrap_or_default()), "{said}");
        }
    }
}
