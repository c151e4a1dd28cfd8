//! What does `ca-client status` tell? What the files say, and what the agent says of itself.

use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;

use ca_client::Clock as _;
use ca_client::Svid;
use ca_client::SystemClock;
use ca_client::files;
use ca_client::files::FilesError;
use ca_client::health::CertificateReport;
use ca_client::health::FailureReport;
use ca_client::health::NodeReport;
use ca_client::health::SdsReport;
use ca_client::health::StatusReport;
use ca_client::health::TrustReport;
use ca_client::health::WorkloadApiReport;
use serde::Deserialize;
use serde::Serialize;

use crate::cli::OutputFormat;
use crate::cli::StatusOptions;

/// Prints the status; whether there is a valid certificate.
pub(crate) fn run(options: &StatusOptions) -> Result<bool, StatusError> {
    let now = SystemClock.now();
    let whole = Whole {
        files: options
            .out
            .as_deref()
            .map(|out| of_files(out, now))
            .transpose()?
            .flatten(),
        agent: options.http_addr.map(ask).transpose()?,
    };
    if options.out.is_none() && options.http_addr.is_none() {
        return Err(StatusError::Nothing);
    }
    print(&whole, options.output)?;
    let on_disk = whole
        .files
        .as_ref()
        .map(|files| files.remaining_seconds > 0);
    let agent = whole.agent.as_ref().map(Asked::is_ready);
    Ok(match options.out {
        Some(_) => on_disk.unwrap_or(false) && agent.unwrap_or(true),
        None => agent.unwrap_or(false),
    })
}

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StatusError {
    /// The agent's answer makes no sense.
    #[error("{addr} does not answer as an agent; is that the --http-addr of ca-client agent?")]
    Answer {
        /// The address.
        addr: SocketAddr,
    },
    /// The agent does not answer.
    #[error("no agent answers at {addr}; is it running?")]
    Ask {
        /// The address.
        addr: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The files cannot be read.
    #[error("the files cannot be used")]
    Files {
        /// Why not.
        #[from]
        source: FilesError,
    },
    /// Nobody was named.
    #[error("give --out DIR, --http-addr ADDR, or both")]
    Nothing,
    /// The result cannot be printed.
    #[error("the result cannot be printed")]
    Print {
        /// The system's answer.
        #[from]
        source: io::Error,
    },
}

impl StatusError {
    /// Whether other settings would help.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// All that is known.
#[derive(Debug, Serialize)]
struct Whole {
    files: Option<CertificateReport>,
    agent: Option<Asked>,
}

/// What answers at `--http-addr`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
enum Asked {
    Node(Box<NodeReport>),
    Agent(Box<StatusReport>),
}

impl Asked {
    fn is_ready(&self) -> bool {
        match self {
            Self::Node(node) => node.ready,
            Self::Agent(agent) => agent.ready,
        }
    }
}

fn of_files(out: &Path, now: SystemTime) -> Result<Option<CertificateReport>, FilesError> {
    let utc = |time| humantime::format_rfc3339_seconds(time).to_string();
    let stored = files::stored(out)?;
    Ok(stored.map(|svid: Svid| CertificateReport {
        spiffe_id: svid.spiffe_id().to_string(),
        serial: svid.serial(),
        not_before: utc(svid.not_before()),
        not_after: utc(svid.not_after()),
        remaining_seconds: svid
            .not_after()
            .duration_since(now)
            .unwrap_or_default()
            .as_secs(),
    }))
}

/// One request of HTTP/1.0, for which no client library is needed.
fn ask(addr: SocketAddr) -> Result<Asked, StatusError> {
    let answer = request(addr).map_err(|source| StatusError::Ask { addr, source })?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    body.and_then(|body| serde_json::from_str(body).ok())
        .ok_or(StatusError::Answer { addr })
}

fn request(addr: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /status HTTP/1.0\r\nhost: agent\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}

/// A reader that went away is no failure.
fn print(whole: &Whole, format: OutputFormat) -> io::Result<()> {
    let text = match format {
        OutputFormat::Table => table(whole),
        OutputFormat::Json => serde_json::to_string_pretty(whole).map_err(io::Error::from)? + "\n",
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

fn table(whole: &Whole) -> String {
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

const PATIENCE: Duration = Duration::from_secs(5);
/// A node has a report for each workload.
const LONGEST_ANSWER: u64 = 16 * 1024 * 1024;
