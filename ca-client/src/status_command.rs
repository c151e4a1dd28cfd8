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
use ca_client::health::NodeReport;
use ca_client::health::StatusReport;
use serde::Deserialize;
use serde::Serialize;

use crate::cli::OutputFormat;
use crate::cli::StatusOptions;
use crate::status_table::table;

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
pub(crate) struct Whole {
    pub(crate) files: Option<CertificateReport>,
    pub(crate) agent: Option<Asked>,
}

/// What answers at `--http-addr`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Asked {
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

const PATIENCE: Duration = Duration::from_secs(5);
/// A node has a report for each workload.
const LONGEST_ANSWER: u64 = 16 * 1024 * 1024;
