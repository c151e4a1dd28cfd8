//! A real `ca-server` process on free loopback ports, in a fresh directory, gone when dropped.

use std::io::BufRead as _;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::ChildStderr;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;

use tempfile::TempDir;

use crate::binaries::binaries;

/// How to start a server.
#[derive(Debug, Default)]
pub struct Setup {
    /// Bundle directory; none means self-signed.
    pub root_ca_dir: Option<PathBuf>,
    /// More flags.
    pub flags: Vec<String>,
    /// Variables of its environment.
    pub env: Vec<(String, String)>,
    /// Data directory; none means a fresh one.
    pub data_dir: Option<PathBuf>,
    /// Where gRPC is served; none means a free port.
    pub grpc: Option<SocketAddr>,
    /// A program, with arguments, that starts the server and ends with it.
    pub under: Vec<String>,
}

/// How a server ended that did not start.
#[derive(Debug)]
pub struct Refused {
    /// Exit status, unless a signal ended it.
    pub code: Option<i32>,
    /// Everything it printed; sentences as JSON strings.
    pub said: String,
}

/// A running server.
#[derive(Debug)]
pub struct TestCa {
    child: Child,
    /// Where its data is.
    pub data_dir: PathBuf,
    /// Where gRPC is served.
    pub grpc: SocketAddr,
    /// Where HTTP is served.
    pub http: SocketAddr,
    log: Arc<Mutex<Vec<serde_json::Value>>>,
    _owned: Option<TempDir>,
}

impl TestCa {
    /// A self-signed CA in a fresh directory.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Setup::default())
    }

    /// A CA as `setup` says.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_with(setup: Setup) -> Self {
        match Self::try_start(setup) {
            Ok(ca) => ca,
            Err(stderr) => panic!("ca-server did not start:\n{stderr}"),
        }
    }

    /// As [`Self::start_with`], for servers that may refuse to start.
    ///
    /// # Errors
    /// What it printed before it ended.
    pub fn try_start(setup: Setup) -> Result<Self, String> {
        Self::start_or_refuse(setup).map_err(|refused| refused.said)
    }

    /// How a server that must not start ends.
    ///
    /// # Panics
    /// When it starts.
    #[must_use]
    pub fn refused(setup: Setup) -> Refused {
        Self::start_or_refuse(setup).expect_err("ca-server started")
    }

    fn start_or_refuse(setup: Setup) -> Result<Self, Refused> {
        let owned = setup
            .data_dir
            .is_none()
            .then(|| tempfile::tempdir().unwrap());
        let data_dir = match (&setup.data_dir, &owned) {
            (Some(dir), _) => dir.clone(),
            (None, Some(dir)) => dir.path().join("data"),
            (None, None) => unreachable!(),
        };
        let grpc = setup
            .grpc
            .map_or_else(|| "127.0.0.1:0".to_owned(), |addr| addr.to_string());
        let none = data_dir.join("no-bundle-here");
        let mut command = match setup.under.split_first() {
            None => Command::new(&binaries().ca_server),
            Some((program, args)) => {
                let mut command = Command::new(program);
                command.args(args).arg(&binaries().ca_server);
                command
            }
        };
        command
            .arg("serve")
            .args(["--grpc-addr", &grpc, "--http-addr", "127.0.0.1:0"])
            .args(["--log-format", "json"])
            .arg("--data-dir")
            .arg(&data_dir)
            .arg("--root-ca-dir")
            .arg(setup.root_ca_dir.as_ref().unwrap_or(&none))
            .args(&setup.flags)
            .envs(setup.env)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let Some((grpc, http)) = wait_for_addresses(&mut stderr, &log) else {
            let code = child.wait().unwrap().code();
            let printed: Vec<String> = log
                .lock()
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect();
            return Err(Refused {
                code,
                said: printed.join("\n"),
            });
        };
        follow(stderr, Arc::clone(&log));
        Ok(Self {
            child,
            data_dir,
            grpc,
            http,
            log,
            _owned: owned,
        })
    }

    /// Runs `ca-server ARGS --data-dir …` and insists that it works.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn operator(&self, args: &[&str]) -> String {
        let output = self.try_operator(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ca-server {args:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs `ca-server ARGS --data-dir …`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn try_operator(&self, args: &[&str]) -> Output {
        operator(&self.data_dir, args)
    }

    /// A fresh enrolment token for `spiffe_id`.
    #[must_use]
    pub fn token(&self, spiffe_id: &str) -> String {
        self.operator(&["token", "create", "--spiffe-id", spiffe_id])
            .trim()
            .to_owned()
    }

    /// The trust bundle, as `/ca.pem` gives it.
    #[must_use]
    pub fn roots_pem(&self) -> String {
        self.http_get("/ca.pem").1
    }

    /// Status and body of `GET path`.
    ///
    /// # Panics
    /// When the port does not answer.
    #[must_use]
    pub fn http_get(&self, path: &str) -> (u16, String) {
        use std::io::Read as _;
        use std::io::Write as _;
        let mut stream = std::net::TcpStream::connect(self.http).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: signet\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// The log lines so far.
    #[must_use]
    pub fn log(&self) -> Vec<serde_json::Value> {
        self.log.lock().unwrap().clone()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal` (such as `TERM`).
    ///
    /// # Panics
    /// When there is no such process.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("bash")
            .args(["-c", &format!("kill -{signal} {}", self.pid())])
            .status();
        assert!(sent.unwrap().success());
    }

    /// How much memory it has now, in bytes.
    ///
    /// # Panics
    /// Where there is no `/proc`.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
        1024 * kilobytes.parse::<u64>().unwrap()
    }

    /// The value of a metric without labels.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.http_get("/metrics").1;
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap().trim().parse().unwrap()
    }

    /// SIGKILL for the server, also where another program started it, and the end of both.
    ///
    /// # Panics
    /// When it cannot be told who is to be killed.
    pub fn kill(&mut self) {
        let own = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        let children = children.unwrap_or_default();
        let server = children.split_whitespace().next().map(str::to_owned);
        let server = server.unwrap_or_else(|| own.to_string());
        let killed = Command::new("kill").args(["-KILL", &server]).output();
        let _ended_before = killed.unwrap();
        let _reaped = self.child.wait();
    }

    /// Whether it has ended by itself.
    ///
    /// # Panics
    /// When that cannot be told.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end and says whether that was exit status 0.
    pub fn wait(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }

    /// SIGTERM, then its end.
    ///
    /// # Panics
    /// When it does not end well.
    pub fn stop(&mut self) {
        self.signal("TERM");
        assert!(self.wait(), "{:#?}", self.log());
    }
}

impl Drop for TestCa {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs `ca-server ARGS --data-dir DIR`.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn operator(data_dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(&binaries().ca_server);
    command
        .args(args)
        .arg("--data-dir")
        .arg(data_dir)
        .output()
        .unwrap()
}

fn wait_for_addresses(
    stderr: &mut BufReader<ChildStderr>,
    log: &Mutex<Vec<serde_json::Value>>,
) -> Option<(SocketAddr, SocketAddr)> {
    let mut line = String::new();
    while stderr.read_line(&mut line).unwrap() > 0 {
        let event = parse(&line);
        line.clear();
        let address = |key: &str| event[key].as_str().and_then(|text| text.parse().ok());
        let addresses = (address("grpc"), address("http"));
        log.lock().unwrap().push(event);
        if let (Some(grpc), Some(http)) = addresses {
            return Some((grpc, http));
        }
    }
    None
}

fn follow(mut stderr: BufReader<ChildStderr>, log: Arc<Mutex<Vec<serde_json::Value>>>) {
    thread::spawn(move || {
        let mut line = String::new();
        while stderr.read_line(&mut line).is_ok_and(|read| read > 0) {
            log.lock().unwrap().push(parse(&line));
            line.clear();
        }
    });
}

fn parse(line: &str) -> serde_json::Value {
    serde_json::from_str(line)
        .unwrap_or_else(|_plain| serde_json::Value::String(line.trim().to_owned()))
}
