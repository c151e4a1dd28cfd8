//! The system fails in the middle of a step: the ledger cannot be written, the data directory turned read-only, the
//! files change while they are read. What was in force stays so, the reason is said, and nobody has to help when it is
//! over. Needs strace: run by `tests/kills/run`.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tests::CART;
use tests::agent::Agent;
use tests::agent::key_and_csr;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::cacerts::Cacerts;
use tests::cacerts::NAMES;
use tests::cacerts::Volume;
use tests::poll::until;
use tests::poll::wait_for;
use tests::rotation::signer;
use tests::rotation::status;
use tests::tracer::Tracer;
use tests::tracer::conductor;
use tests::tracer::group_is_on;
use tests::tracer::threads;
use tests::witness::Witness;
use tonic::Code;
use tonic::Status;

const LIMIT: Duration = Duration::from_secs(60);
/// What the ledger's threads do to its files.
const LEDGER: &str = "pwrite64,fsync,fdatasync,sync_file_range,ftruncate,fallocate";
/// What the conductor's thread does to its own.
const FILES: &str = "rename,symlink,mkdir,unlink,unlinkat,fsync";

/// From now on the system refuses `calls` of these threads, until the answer is dropped.
fn refuse(tids: &[u32], calls: &str, error: &str) -> Tracer {
    let args = [
        "--output=/dev/null".to_owned(),
        format!("--trace={calls}"),
        format!("--inject={calls}:error={error}"),
    ];
    Tracer::attach(tids, &args)
}

/// Whom the server is known to is not asked: that may change between a look at its roots and the handshake.
async fn issue(ca: &TestCa) -> Result<Vec<String>, Status> {
    let token = ca.token(CART);
    let mut agent = Agent::connect_unverified(ca.grpc, &[&token]).await;
    agent.create(&key_and_csr(CART).1, 3600).await
}

async fn issues_again(ca: &TestCa) -> Witness {
    let leaf = until("a leaf", LIMIT, async || issue(ca).await.ok()).await;
    Witness::in_pem(&leaf)
}

/// The steps of a rotation by hand, and the role that the next or the new signer has after each.
const STEPS: [(&str, &str); 2] = [("start", "next"), ("activate", "draining")];

#[tokio::test]
async fn a_ledger_that_is_gone_in_the_middle_of_a_step_stops_issuing_and_the_step_is_finished_afterwards()
 {
    if !group_is_on() {
        return;
    }
    let ca = TestCa::start();
    for (step, role) in STEPS {
        let leaf = issues_again(&ca).await;
        let mut ledger = threads(ca.pid(), "ledger");
        (0..8).for_each(|it| ledger.extend(threads(ca.pid(), &format!("sled-io-{it}"))));
        let fault = refuse(&ledger, LEDGER, "EIO");
        let asked = ca.try_operator(&["rotate", step]);
        let refused = until("a refusal", LIMIT, async || {
            let token = ["token", "create", "--spiffe-id", CART];
            let output = ca.try_operator(&token);
            (!output.status.success()).then_some(output)
        })
        .await;
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("ledger"), "{said}");
        leaf.insist(&ca.roots_pem(), step);
        drop(fault);
        let done = until(step, LIMIT, async || {
            // The ledger takes some seconds to come back.
            let said = ca.try_operator(&["rotate", "status", "--output", "json"]);
            let status: Value = serde_json::from_slice(&said.stdout).ok()?;
            let is_done = !signer(&status, role).is_empty();
            if !is_done && !asked.status.success() {
                // What was refused is asked for again; what was begun goes on.
                let _begun = ca.try_operator(&["rotate", step]);
            }
            is_done.then_some(status)
        })
        .await;
        assert!(!signer(&done, "active").is_empty());
        leaf.insist(&ca.roots_pem(), step);
        let newer = issues_again(&ca).await;
        newer.insist(&ca.roots_pem(), step);
    }
}

#[tokio::test]
async fn a_data_directory_that_is_read_only_refuses_each_step_by_file_and_reason_and_the_ca_signs_on()
 {
    if !group_is_on() {
        return;
    }
    let ca = TestCa::start();
    for (step, role) in STEPS {
        let before = status(&ca);
        let fault = refuse(&[conductor(ca.pid())], FILES, "EROFS");
        let output = ca.try_operator(&["rotate", step]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{step}");
        for part in ["Read-only file system", ca.data_dir.to_str().unwrap()] {
            assert!(said.contains(part), "{step}: {part} in {said}");
        }
        let during = status(&ca);
        assert_eq!(during["signers"], before["signers"], "{step}");
        assert_eq!(during["bundle_number"], before["bundle_number"], "{step}");
        let leaf = Witness::in_pem(&issue(&ca).await.unwrap());
        leaf.insist(&ca.roots_pem(), step);
        drop(fault);
        let done = ca.operator(&["rotate", step, "--output", "json"]);
        let done = serde_json::from_str(&done).unwrap();
        assert!(!signer(&done, role).is_empty(), "{step}: {done:#}");
        issues_again(&ca).await.insist(&ca.roots_pem(), step);
    }
}

/// An operator's volume, and a server that takes its time over each file of it.
struct Slow {
    dir: TempDir,
    volume: Volume,
}

impl Slow {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let volume = Volume::new(dir.path().join("cacerts"));
        Self { dir, volume }
    }

    fn cacerts(&self) -> PathBuf {
        self.dir.path().join("cacerts")
    }

    /// From now on each file of the sets up to `last` takes a fifth of a second to open.
    fn slow_down(&self, ca: &TestCa, last: u32) -> Tracer {
        let dir = fs::canonicalize(self.cacerts()).unwrap();
        let sets = (1..=last).map(|set| dir.join(format!("..{set}")));
        let files = sets.flat_map(|set| NAMES.map(|name| set.join(name)));
        let files = files.map(|file| format!("--trace-path={}", file.display()));
        let args = [
            "--follow-forks",
            "--output=/dev/null",
            "--trace=openat",
            "--inject=openat:delay_enter=200000",
        ];
        let args: Vec<String> = args.map(str::to_owned).into_iter().chain(files).collect();
        Tracer::attach(&[ca.pid()], &args)
    }
}

#[tokio::test]
async fn a_set_that_is_swapped_while_it_is_read_is_never_taken_by_halves_and_the_last_one_wins() {
    if !group_is_on() {
        return;
    }
    let mut slow = Slow::new();
    slow.volume.put_bundle(&Cacerts::make());
    let ca = TestCa::start_with(Setup {
        root_ca_dir: Some(slow.cacerts()),
        flags: ["--no-inotify", "--reload-interval=200ms"]
            .map(str::to_owned)
            .to_vec(),
        ..Setup::default()
    });
    let sets: Vec<Cacerts> = (0..8).map(|_| Cacerts::make()).collect();
    let tracer = slow.slow_down(&ca, 9);
    // One reading takes most of a second, so that each swap falls into one.
    let mut pace = tokio::time::interval(Duration::from_millis(330));
    for set in &sets {
        pace.tick().await;
        slow.volume.put_bundle(set);
    }
    drop(tracer);
    let last = sets.last().unwrap();
    wait_for(LIMIT, || {
        (ca.roots_pem().trim() == last.root.trim()).then_some(())
    });
    let (_, metrics) = ca.http_get("/metrics");
    assert!(metrics.contains("signet_ca_bundle_reload_failures 0\n"));
    let refusals = ca.log().into_iter().map(|line| line.to_string());
    let refusals = refusals.filter(|line| line.contains("keeping the last good CA"));
    assert_eq!(refusals.collect::<Vec<_>>(), Vec::<String>::new());
    let refused = issue(&ca).await.map_err(|it| it.code());
    assert_ne!(refused.as_ref().err(), Some(&Code::Unavailable));
    Witness::in_pem(&refused.unwrap()).insist(&ca.roots_pem(), "afterwards");
}
