//! A real `ca-client agent` process, and what a workload beside it sees. Gone when dropped.

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use rcgen::KeyPair;
use rcgen::PublicKeyData as _;
use serde_json::Value;
use x509_parser::prelude::FromDer as _;
use x509_parser::prelude::X509Certificate;

use crate::binaries::binaries;

/// A running agent.
#[derive(Debug)]
pub struct Workload {
    child: Child,
    /// Where it serves HTTP.
    pub http: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Workload {
    /// Starts `ca-client agent` with its port open, in `dir`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(dir: &Path, args: &[&str]) -> Self {
        match Self::try_start(dir, args) {
            Ok(workload) => workload,
            Err(said) => panic!("ca-client agent did not start:\n{said}"),
        }
    }

    /// As [`Self::start`], for agents that may refuse to start.
    ///
    /// # Errors
    /// What it printed before it ended, after the exit code.
    ///
    /// # Panics
    /// When there is no program.
    pub fn try_start(dir: &Path, args: &[&str]) -> Result<Self, String> {
        Self::of(&mut command(dir, args))
    }

    /// As [`Self::try_start`], for a command that was changed.
    ///
    /// # Errors
    /// What it printed before it ended, after the exit code.
    ///
    /// # Panics
    /// When there is no program.
    pub fn of(command: &mut Command) -> Result<Self, String> {
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut line = String::new();
        while stderr.read_line(&mut line).unwrap() > 0 {
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            log.lock().unwrap().push(std::mem::take(&mut line));
            let http = event["fields"]["http"].as_str();
            if let Some(http) = http.and_then(|text| text.parse().ok()) {
                let kept = Arc::clone(&log);
                thread::spawn(move || {
                    for line in stderr.lines().map_while(Result::ok) {
                        kept.lock().unwrap().push(line);
                    }
                });
                return Ok(Self { child, http, log });
            }
        }
        let code = child.wait().unwrap().code();
        Err(format!("{code:?} {}", log.lock().unwrap().concat()))
    }

    /// `/status`, parsed.
    ///
    /// # Panics
    /// When the agent does not answer.
    #[must_use]
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.get("/status").1).unwrap()
    }

    /// Status and body of `GET path`.
    ///
    /// # Panics
    /// When the agent does not answer.
    #[must_use]
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = std::net::TcpStream::connect(self.http).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nhost: agent\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// Looks at `/status` until `wanted`, and says how long that took.
    ///
    /// # Panics
    /// When it does not come true within `limit`.
    pub async fn wait_until(&self, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Duration {
        let start = Instant::now();
        loop {
            let status = self.status();
            if wanted(&status) {
                return start.elapsed();
            }
            assert!(
                start.elapsed() < limit,
                "not within {limit:?}: {status:#}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Sends `signal` (such as `TERM`).
    ///
    /// # Panics
    /// When there is no such process.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &pid])
            .status();
        assert!(sent.unwrap().success());
    }

    /// The most memory it ever had, in bytes.
    ///
    /// # Panics
    /// Where there is no `/proc`.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
        1024 * kilobytes.parse::<u64>().unwrap()
    }

    /// Waits for its end: the exit code, if it was not killed.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The command line of an agent that logs JSON and opens its port on loopback.
#[must_use]
pub fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(&binaries().ca_client);
    command
        .args([
            "agent",
            "--log-format",
            "json",
            "--http-addr",
            "127.0.0.1:0",
        ])
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// What one look at an output directory found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The generation, as `..data` named it.
    pub generation: PathBuf,
    /// The leaf's serial, as lower-case hex.
    pub serial: String,
}

/// Opens `..data` once and reads a whole set from there. Judged by parsers that `ca-client` does not use.
///
/// # Errors
/// What is missing, or does not fit together.
pub fn look(out: &Path) -> Result<Look, String> {
    let link = out.join("..data");
    let generation = std::fs::read_link(&link).map_err(|error| format!("..data: {error}"))?;
    let read = |name: &str| {
        std::fs::read(out.join(&generation).join(name)).map_err(|error| format!("{name}: {error}"))
    };
    let (chain, key) = (read("cert-chain.pem")?, read("key.pem")?);
    let roots = read("root-cert.pem")?;
    let serial = judge(&chain, &key, &roots)?;
    Ok(Look { generation, serial })
}

/// The serial of the leaf that `key` belongs to and that leads, by its chain, to one of `roots` (all PEM).
///
/// # Errors
/// What does not fit together.
pub fn judge(chain: &[u8], key: &[u8], roots: &[u8]) -> Result<String, String> {
    let parse = |pem: &[u8]| pem::parse_many(pem).map_err(|error| error.to_string());
    let (chain, roots) = (parse(chain)?, parse(roots)?);
    let leaf = chain.first().ok_or("an empty chain")?;
    let (_, leaf) =
        X509Certificate::from_der(leaf.contents()).map_err(|error| error.to_string())?;
    let key = String::from_utf8(key.to_vec()).map_err(|error| error.to_string())?;
    let key = KeyPair::from_pem(&key).map_err(|error| error.to_string())?;
    if key.subject_public_key_info() != leaf.public_key().raw {
        return Err("the key is another certificate's".to_owned());
    }
    if !roots.contains(chain.last().ok_or("an empty chain")?) {
        return Err("the chain ends in no root of the bundle".to_owned());
    }
    Ok(leaf
        .raw_serial()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
