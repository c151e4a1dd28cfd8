//! A CA whose roots are replaced by dropping files, and agents whose leaves live for seconds. The CA may go and come back.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::binaries::binaries;
use crate::ca::Setup;
use crate::ca::TestCa;
use crate::peers::Material;
use crate::poll::wait_for;
use crate::stranger::Stranger;
use crate::workload::Workload;

/// Where everything is, whether or not a CA runs.
#[derive(Debug)]
pub struct Mesh {
    work: TempDir,
    flags: Vec<String>,
    grpc: Option<SocketAddr>,
    ttl: String,
}

impl Mesh {
    /// Leaves live for `ttl`, and twice that at most.
    ///
    /// # Panics
    /// When there is no room for it.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        let work = tempfile::tempdir().unwrap();
        fs::create_dir(work.path().join("cacerts")).unwrap();
        let flags = vec![
            "--min-ttl=1s".to_owned(),
            format!("--default-ttl={}s", ttl.as_secs()),
            format!("--max-ttl={}s", 2 * ttl.as_secs()),
            "--reload-interval=1s".to_owned(),
        ];
        Self {
            work,
            flags,
            grpc: None,
            ttl: format!("{}s", ttl.as_secs()),
        }
    }

    /// Starts the CA, or starts it again where it was; `under` another program, if any is named.
    ///
    /// # Errors
    /// What it printed before it ended.
    pub fn start(&mut self, under: &[String]) -> Result<TestCa, String> {
        let ca = TestCa::try_start(Setup {
            root_ca_dir: Some(self.cacerts()),
            flags: self.flags.clone(),
            data_dir: Some(self.data_dir()),
            grpc: self.grpc,
            under: under.to_vec(),
            ..Setup::default()
        })?;
        self.grpc = Some(ca.grpc);
        Ok(ca)
    }

    /// An agent with a certificate, and where its files are.
    ///
    /// # Panics
    /// When it gets none.
    #[must_use]
    pub fn agent(&self, ca: &TestCa, name: &str) -> (Workload, PathBuf) {
        let dir = self.work.path().join(name);
        fs::create_dir(&dir).unwrap();
        let id = format!("spiffe://cluster.local/ns/shop/sa/{name}");
        fs::write(dir.join("token"), ca.token(&id)).unwrap();
        fs::write(dir.join("roots.pem"), ca.roots_pem()).unwrap();
        self.run_agent(ca, &dir)
    }

    /// The agent of that name again, with what it has.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn agent_again(&self, ca: &TestCa, name: &str) -> Workload {
        self.run_agent(ca, &self.work.path().join(name)).0
    }

    /// Another agent with a copy of everything that the agent of that name has.
    ///
    /// # Panics
    /// When it cannot be copied.
    #[must_use]
    pub fn copy_of_agent(&self, ca: &TestCa, name: &str) -> (Workload, PathBuf) {
        let (from, to) = (self.work.path().join(name), self.work.path().join("copy"));
        let copied = Command::new("cp").arg("-a").args([&from, &to]).status();
        assert!(copied.unwrap().success());
        self.run_agent(ca, &to)
    }

    fn run_agent(&self, ca: &TestCa, dir: &Path) -> (Workload, PathBuf) {
        let addr = ca.grpc.to_string();
        let args = [
            ["--ca-addr", &addr],
            ["--ca-roots", "roots.pem"],
            ["--token-file", "token"],
            ["--out", "certs"],
            ["--ttl", &self.ttl],
            ["--settle", "200ms"],
        ];
        let agent = Workload::start(dir, args.as_flattened());
        wait_for(LIMIT, || Material::read(&dir.join("certs")).ok());
        (agent, dir.join("certs"))
    }

    /// Makes an unrelated root with an issuing CA, puts its files where the CA looks, and answers the root.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn drop_in(&self, name: &str) -> String {
        let root = format!("{name}-root");
        self.create(&["root", "--out", &root]);
        self.create(&["issuer", "--root", &root, "--out", name, "--name", name]);
        self.put(name)
    }

    /// Puts the files that were made under that name where the CA looks, and answers the root.
    ///
    /// # Panics
    /// When there are none.
    #[must_use]
    pub fn put(&self, name: &str) -> String {
        let made = self.work.path().join(name);
        for file in FILES {
            fs::copy(made.join(file), self.cacerts().join(file)).unwrap();
        }
        fs::read_to_string(made.join("root-cert.pem")).unwrap()
    }

    /// Takes the operator's files away, and leaves the directory.
    pub fn take_away(&self) {
        for file in FILES {
            let _was_not_there = fs::remove_file(self.cacerts().join(file));
        }
    }

    /// Leaves half of a file, where there is one.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn break_off(&self) {
        let path = self.cacerts().join("ca-cert.pem");
        if let Ok(pem) = fs::read(&path) {
            fs::write(&path, &pem[..pem.len() / 2]).unwrap();
        }
    }

    fn cacerts(&self) -> PathBuf {
        self.work.path().join("cacerts")
    }

    fn create(&self, args: &[&str]) {
        let output = Command::new(&binaries().ca_server)
            .args(["bundle", "create"])
            .args(args)
            .current_dir(self.work.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }

    /// A client of another make. Gone when dropped.
    ///
    /// # Panics
    /// When it gets no certificate.
    #[must_use]
    pub fn stranger(&self, ca: &TestCa) -> (Stranger, PathBuf) {
        Stranger::start(ca, self.work.path().join("stranger"), self.ttl.clone())
    }

    /// Where the CA has its data.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.work.path().join("data")
    }
}

const FILES: [&str; 4] = [
    "root-cert.pem",
    "cert-chain.pem",
    "ca-cert.pem",
    "ca-key.pem",
];
const LIMIT: Duration = Duration::from_secs(60);
