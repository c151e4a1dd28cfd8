//! How is the agent? One value that tells it all, for health checks, metrics and people.

use std::time::Duration;
use std::time::SystemTime;

use proto::spiffe::SpiffeId;

use super::follow::TrustStatus;
use crate::sds::SdsStatus;
use crate::svid::Svid;
use crate::workload_api::WorkloadApiStatus;

/// The agent's state at one moment. Times are by this machine's clock.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The certificate that is held, whether or not it has expired.
    pub certificate: Option<Held>,
    /// Attempts to get a certificate, since the start.
    pub attempts: u64,
    /// Those of them that followed a failure.
    pub retries: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Failures since the last success.
    pub failures_in_a_row: u32,
    /// Those that succeeded: the first certificate and every renewal.
    pub renewals: u64,
    /// The last success; after a restart, that of the run that wrote the files.
    pub last_success: Option<SystemTime>,
    /// The last failure, whether or not there was a success since.
    pub last_failure: Option<Failure>,
    /// When the next attempt is due.
    pub next_attempt: Option<SystemTime>,
    /// How far the CA's clock is ahead of ours, in seconds; known after an answer.
    pub ca_clock_offset: Option<f64>,
    /// How long all calls to the CA took together.
    pub calls: Duration,
    /// Whether the files are what is held.
    pub files: Files,
    /// The last run of the hook.
    pub hook: Option<HookRun>,
    /// Runs of the hook that failed.
    pub hook_failures: u64,
    /// Jumps of the clock that were noticed.
    pub clock_jumps: u64,
    /// What is known of the trust bundle, and how.
    pub trust: TrustStatus,
    /// The SDS server, where there is one.
    pub sds: Option<SdsStatus>,
    /// The Workload API, where it is served.
    pub workload_api: Option<WorkloadApiStatus>,
}

impl Status {
    /// Why no valid certificate is where it should be; `None` when one is.
    #[must_use]
    pub fn not_ready(&self, now: SystemTime) -> Option<String> {
        let Some(held) = &self.certificate else {
            return Some(format!("no certificate yet{}", self.because()));
        };
        if held.not_after < now {
            let at = humantime::format_rfc3339_seconds(held.not_after);
            return Some(format!("the certificate expired at {at}{}", self.because()));
        }
        match &self.files {
            Files::Failed {
                older_until: Some(end),
                ..
            } if *end >= now => None,
            Files::Failed { message, .. } => Some(format!("the files are not written: {message}")),
            Files::Pending => Some("the files are not written yet".to_owned()),
            Files::NotWanted | Files::Written { .. } => self.socket_problem(),
        }
    }

    /// Which socket is not there, and why.
    pub(crate) fn socket_problem(&self) -> Option<String> {
        let (sds, api) = (self.sds.as_ref(), self.workload_api.as_ref());
        let sockets = [
            ("SDS", sds.map(|it| (it.is_listening, &it.problem))),
            ("Workload API", api.map(|it| (it.is_listening, &it.problem))),
        ];
        sockets.into_iter().find_map(|(name, socket)| match socket {
            Some((false, Some(problem))) => {
                Some(format!("the {name} socket is not there: {problem}"))
            }
            _ => None,
        })
    }

    /// Whether the last attempt failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failures_in_a_row > 0
    }

    fn because(&self) -> String {
        match &self.last_failure {
            Some(failure) if self.is_failing() => format!(": {}", failure.message),
            _ => String::new(),
        }
    }
}

/// What is to be known of a certificate.
#[derive(Clone, Debug)]
pub struct Held {
    /// Who it names.
    pub spiffe_id: SpiffeId,
    /// Its serial number, as lower-case hex.
    pub serial: String,
    /// Its first second.
    pub not_before: SystemTime,
    /// Its last second.
    pub not_after: SystemTime,
}

impl Held {
    pub(super) fn of(svid: &Svid) -> Self {
        Self {
            spiffe_id: svid.spiffe_id().clone(),
            serial: svid.serial(),
            not_before: svid.not_before(),
            not_after: svid.not_after(),
        }
    }
}

/// Why an attempt failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// A short, stable name, such as `unreachable` or `unauthenticated`.
    pub reason: &'static str,
    /// What went wrong and what to do, on one line.
    pub message: String,
    /// When.
    pub at: SystemTime,
}

/// Whether the files are what is held.
#[derive(Clone, Debug, Default)]
pub enum Files {
    /// Nobody wants any.
    #[default]
    NotWanted,
    /// There is nothing to write yet, or it is being written.
    Pending,
    /// They are on disk.
    Written {
        /// Since when.
        at: SystemTime,
    },
    /// They cannot be written at present; it is tried again every second.
    Failed {
        /// Why, and what to do, on one line.
        message: String,
        /// The last second of the older certificate that is whole on disk, if there is one.
        older_until: Option<SystemTime>,
    },
}

/// One run of the hook.
#[derive(Clone, Debug)]
pub struct HookRun {
    /// When it ended.
    pub at: SystemTime,
    /// What came out, such as `ok` or `exit status: 1`.
    pub result: String,
    /// Whether that is good.
    pub succeeded: bool,
}

/// `error` and everything that led to it on one line, with nothing that breaks lines.
pub(crate) fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text.replace(|c: char| c.is_control(), " ")
}
