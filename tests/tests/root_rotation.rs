//! The root of trust is replaced by an unrelated one while services speak mTLS all the time, and nobody notices.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tests::binaries::binaries;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::peers::Material;
use tests::peers::Traffic;
use tests::poll::wait_for;
use tests::workload::Workload;

const LIMIT: Duration = Duration::from_secs(60);

/// A CA whose leaves live for seconds, and a directory for an operator's bundle.
struct Mesh {
    work: TempDir,
    ca: TestCa,
}

impl Mesh {
    fn start() -> Self {
        let work = tempfile::tempdir().unwrap();
        fs::create_dir(work.path().join("cacerts")).unwrap();
        let flags = [
            "--min-ttl=1s",
            "--default-ttl=8s",
            "--max-ttl=20s",
            "--reload-interval=1s",
        ];
        let ca = TestCa::start_with(Setup {
            root_ca_dir: Some(work.path().join("cacerts")),
            flags: flags.map(str::to_owned).to_vec(),
            ..Setup::default()
        });
        Self { work, ca }
    }

    /// An agent with a certificate, and where its files are.
    fn agent(&self, name: &str) -> (Workload, PathBuf) {
        let dir = self.work.path().join(name);
        fs::create_dir(&dir).unwrap();
        let id = format!("spiffe://cluster.local/ns/shop/sa/{name}");
        fs::write(dir.join("token"), self.ca.token(&id)).unwrap();
        fs::write(dir.join("roots.pem"), self.ca.roots_pem()).unwrap();
        let addr = self.ca.grpc.to_string();
        let agent = Workload::start(
            &dir,
            &[
                "--ca-addr",
                &addr,
                "--ca-roots",
                "roots.pem",
                "--token-file",
                "token",
                "--out",
                "certs",
                "--ttl",
                "8s",
                "--settle",
                "200ms",
            ],
        );
        wait_for(LIMIT, || Material::read(&dir.join("certs")).ok());
        (agent, dir.join("certs"))
    }

    /// Makes an unrelated root with an issuing CA, and puts its four files where the CA looks.
    fn drop_in(&self, name: &str) -> String {
        let made = self.work.path().join(name);
        let run = |args: &[&str]| {
            let output = Command::new(&binaries().ca_server)
                .args(["bundle", "create"])
                .args(args)
                .current_dir(self.work.path())
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        };
        let root = format!("{name}-root");
        run(&["root", "--out", &root]);
        run(&["issuer", "--root", &root, "--out", name, "--name", name]);
        copy_all(&made, &self.work.path().join("cacerts"));
        fs::read_to_string(made.join("root-cert.pem")).unwrap()
    }

    fn wait_until_only(&self, root: &str) {
        wait_for(LIMIT, || (self.ca.roots_pem() == root).then_some(()));
    }
}

fn copy_all(from: &Path, to: &Path) {
    for name in [
        "root-cert.pem",
        "cert-chain.pem",
        "ca-cert.pem",
        "ca-key.pem",
    ] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

impl Mesh {
    fn status(&self) -> Value {
        let said = self.ca.operator(&["rotate", "status", "--output", "json"]);
        serde_json::from_str(&said).unwrap()
    }

    fn active(&self) -> String {
        self.signer("active")
    }

    fn signer(&self, role: &str) -> String {
        let status = self.status();
        let mut signers = status["signers"].as_array().unwrap().iter();
        let found = signers.find(|signer| signer["role"] == role);
        found.unwrap()["issuer"].as_str().unwrap().to_owned()
    }

    /// Until another signer is active and nothing of the one before is left.
    fn wait_until_steady_without(&self, before: &str) {
        wait_for(LIMIT, || {
            let status = self.status();
            let is_over = status["phase"] == "steady" && self.active() != before;
            is_over.then_some(())
        });
        assert_eq!(self.ca.roots_pem().matches("BEGIN").count(), 1);
    }
}

/// A client of another make: it gets a new certificate at half of its life, and can acknowledge nothing.
struct Stranger {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stranger {
    fn start(mesh: &Arc<Mesh>) -> (Self, PathBuf) {
        let dir = mesh.work.path().join("stranger");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("roots.pem"), mesh.ca.roots_pem()).unwrap();
        fetch(mesh, &dir);
        let (stop, out) = (Arc::new(AtomicBool::new(false)), dir.join("certs"));
        let (until, mesh) = (Arc::clone(&stop), Arc::clone(mesh));
        let thread = thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                thread::park_timeout(Duration::from_secs(4));
                // What it trusts is what came with its last certificate.
                fs::copy(dir.join("certs/root-cert.pem"), dir.join("roots.pem")).unwrap();
                fetch(&mesh, &dir);
            }
        });
        let thread = Some(thread);
        (Self { stop, thread }, out)
    }

    fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            thread.join().unwrap();
        }
    }
}

/// Gets a certificate as a client that names no instance.
fn fetch(mesh: &Mesh, dir: &Path) {
    let id = "spiffe://cluster.local/ns/shop/sa/stranger";
    fs::write(dir.join("token"), mesh.ca.token(id)).unwrap();
    let _forgotten = fs::remove_file(dir.join("certs/instance-id"));
    let addr = mesh.ca.grpc.to_string();
    let output = Command::new(&binaries().ca_client)
        .args([
            "fetch",
            "--ca-addr",
            &addr,
            "--ca-roots",
            "roots.pem",
            "--ttl",
            "8s",
        ])
        .args(["--token-file", "token", "--out", "certs"])
        .current_dir(dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

fn assert_nobody_noticed(traffic: Traffic) {
    let seen = traffic.stop();
    assert_eq!(seen.failed, Vec::<String>::new());
    assert!(seen.made > 100, "{seen:?}");
}

#[test]
fn a_root_is_replaced_by_order_by_taint_and_by_files_without_one_failed_handshake() {
    let mesh = Arc::new(Mesh::start());
    let (a, b) = (mesh.agent("a"), mesh.agent("b"));
    // It learns of a new root late: until then it lives on what the old root signed across.
    let (stranger, files) = Stranger::start(&mesh);
    let traffic = Traffic::between(&[a.1, b.1, files]);
    let first = mesh.active();
    let _said = mesh.ca.operator(&["rotate", "start", "--auto"]);
    mesh.wait_until_steady_without(&first);
    let second = mesh.active();
    let _said = mesh
        .ca
        .operator(&["rotate", "taint", &second, "--renew-within", "10s"]);
    mesh.wait_until_steady_without(&second);
    let root = mesh.drop_in("third");
    mesh.wait_until_only(&root);
    assert_nobody_noticed(traffic);
    stranger.stop();
}

#[test]
fn a_client_that_cannot_acknowledge_holds_the_gate_and_notices_nothing() {
    let mesh = Arc::new(Mesh::start());
    let (a, b) = (mesh.agent("a"), mesh.agent("b"));
    let (stranger, files) = Stranger::start(&mesh);
    let traffic = Traffic::between(&[a.1, b.1, files]);
    for name in ["first", "second"] {
        let root = mesh.drop_in(name);
        mesh.wait_until_only(&root);
    }
    assert_nobody_noticed(traffic);
    stranger.stop();
}

#[test]
fn force_breaks_the_one_that_the_status_named() {
    let mesh = Mesh::start();
    let (a, b) = (mesh.agent("a"), mesh.agent("b"));
    let traffic = Traffic::between(&[a.1, b.1]);
    b.0.signal("STOP");
    let _root = mesh.drop_in("unrelated");
    wait_for(LIMIT, || {
        let waits_for = mesh.status()["steps"].to_string();
        let is_named = |name: &str| waits_for.contains(&format!("/sa/{name}\""));
        (is_named("b") && !is_named("a")).then_some(())
    });
    let next = mesh.signer("next");
    assert_eq!(traffic.seen().failed, Vec::<String>::new());
    let force = [
        "rotate",
        "activate",
        "--force",
        &next,
        "--reason",
        "to see it break",
    ];
    let _said = mesh.ca.operator(&force);
    wait_for(LIMIT, || {
        let failed = traffic.seen().failed;
        let stranded = |why: &String| why.contains("UnknownIssuer");
        failed.iter().any(stranded).then_some(())
    });
    b.0.signal("CONT");
}
