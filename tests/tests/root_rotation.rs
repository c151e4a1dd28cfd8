//! The root of trust is replaced by an unrelated one while services speak mTLS all the time, and nobody notices.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

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

#[test]
fn roots_are_replaced_by_dropping_files_without_one_failed_handshake() {
    let mesh = Mesh::start();
    let (a, b) = (mesh.agent("a"), mesh.agent("b"));
    let traffic = Traffic::between(&[a.1.clone(), b.1.clone()]);
    for name in ["first", "second"] {
        let root = mesh.drop_in(name);
        mesh.wait_until_only(&root);
    }
    let seen = traffic.stop();
    assert_eq!(seen.failed, Vec::<String>::new());
    assert!(seen.made > 100, "{seen:?}");
}
