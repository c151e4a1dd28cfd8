//! What was lost comes back: backups, restores, and starts that refuse to go on as if nothing had happened.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use tests::CART;
use tests::agent::Agent;
use tests::agent::key_and_csr;
use tests::binaries::binaries;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::cacerts::Cacerts;
use tests::load::serial_of;
use tests::openssl::shell;
use tonic::Code;

/// A server with something to lose: two leaves, a token that is spent, one that is revoked, one that is good.
struct Owner {
    work: tempfile::TempDir,
    ca: TestCa,
    spent: String,
    revoked: String,
    good: String,
}

/// What must be there again.
#[derive(Debug, PartialEq, Eq)]
struct Memory {
    roots: String,
    serials: Vec<String>,
    tokens: serde_json::Value,
}

impl Owner {
    async fn new() -> Self {
        let work = tempfile::tempdir().unwrap();
        let ca = TestCa::start_with(on(&work.path().join("data")));
        let (spent, revoked, good) = (ca.token(CART), ca.token(CART), ca.token(CART));
        let _leaf = issue(&ca, &spent).await.unwrap();
        let tokens = json(&ca, &["token", "list"]);
        // Newest first: the good one, the one to revoke, the spent one.
        let _said = ca.operator(&["token", "revoke", tokens[1]["id"].as_str().unwrap()]);
        Self {
            work,
            ca,
            spent,
            revoked,
            good,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    fn backup(&self, name: &str, more: &[&str]) -> PathBuf {
        let to = self.path(name);
        let args = [&["backup", "--to", to.to_str().unwrap()], more].concat();
        let _summary = self.ca.operator(&args);
        to
    }
}

fn on(data_dir: &Path) -> Setup {
    Setup {
        data_dir: Some(data_dir.to_owned()),
        ..Setup::default()
    }
}

fn with(data_dir: &Path, flags: &[&str]) -> Setup {
    Setup {
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        ..on(data_dir)
    }
}

async fn issue(ca: &TestCa, token: &str) -> Result<String, Code> {
    let mut agent = Agent::connect(ca.grpc, &ca.roots_pem(), &[token], None).await;
    let chain = agent
        .create(&key_and_csr(CART).1, 0)
        .await
        .map_err(|status| status.code())?;
    Ok(serial_of(&chain[0]))
}

fn json(ca: &TestCa, args: &[&str]) -> serde_json::Value {
    serde_json::from_str(&ca.operator(&[args, &["--output", "json"]].concat())).unwrap()
}

fn memory(ca: &TestCa) -> Memory {
    let listed = json(ca, &["certs", "list"]);
    // The listener's own leaves come with each start.
    let workloads = listed
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["name"] == CART);
    Memory {
        roots: ca.roots_pem(),
        serials: workloads
            .map(|entry| entry["serial"].as_str().unwrap().to_owned())
            .collect(),
        tokens: json(ca, &["token", "list"]),
    }
}

fn restore(from: &Path, data_dir: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(&binaries().ca_server);
    command
        .arg("restore")
        .arg("--from")
        .arg(from)
        .arg("--data-dir")
        .arg(data_dir)
        .args(more)
        .output()
        .unwrap()
}

fn restored(from: &Path, data_dir: &Path, more: &[&str]) {
    let output = restore(from, data_dir, more);
    assert!(output.status.success(), "{}", said(&output));
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every name in `dir` with its size, to see that nothing was touched.
fn contents(dir: &Path) -> String {
    shell(dir, "find . -printf '%p %s %T@\\n' | sort")
}

/// The server does not start, with status 1 and a sentence that has `parts` in it.
fn refuses(setup: Setup, parts: &[&str]) {
    let refused = TestCa::refused(setup);
    assert_eq!(refused.code, Some(1), "{}", refused.said);
    for part in parts {
        assert!(refused.said.contains(part), "{part} in {}", refused.said);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_running_server_is_the_same_ca_in_another_place() {
    let mut owner = Owner::new().await;
    let archive = owner.backup("backup.tar", &[]);
    let before = memory(&owner.ca);
    assert_eq!(before.serials.len(), 1);
    let states: Vec<&str> = before
        .tokens
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["state"].as_str().unwrap())
        .collect();
    assert_eq!(states.len(), 3, "{states:?}");
    assert_eq!(
        fs::metadata(&archive).unwrap().permissions().mode() & 0o777,
        0o600
    );
    owner.ca.stop();

    restored(&archive, &owner.path("other"), &[]);
    let other = TestCa::start_with(on(&owner.path("other")));
    assert_eq!(memory(&other), before);
    for token in [&owner.spent, &owner.revoked] {
        assert_eq!(issue(&other, token).await, Err(Code::Unauthenticated));
    }
    let serial = issue(&other, &owner.good).await.unwrap();
    assert!(!before.serials.contains(&serial));
    assert_eq!(other.http_get("/readyz").0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_taken_amid_rotations_start() {
    let owner = Owner::new().await;
    let data_dir = owner.ca.data_dir.clone();
    let rotate = |what: &str| {
        let mut command = Command::new(&binaries().ca_server);
        let command = command.args(["rotate", what, "--data-dir"]).arg(&data_dir);
        assert!(command.output().unwrap().status.success(), "{what}");
    };
    let taken = std::thread::scope(|scope| {
        let rotations = scope.spawn(|| {
            for _ in 0..12 {
                rotate("start");
                rotate("abort");
            }
        });
        let mut taken = Vec::new();
        while !rotations.is_finished() {
            taken.push(owner.backup(&format!("{}.tar", taken.len()), &[]));
        }
        taken
    });
    assert!(taken.len() >= 3, "{}", taken.len());
    for from in taken.iter().rev().take(5) {
        let data_dir = from.with_extension("restored");
        restored(from, &data_dir, &[]);
        let ca = TestCa::start_with(on(&data_dir));
        let _leaf = issue(&ca, &ca.token(CART)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_stopped_server_equals_that_of_a_running_one() {
    let mut owner = Owner::new().await;
    let running = owner.backup("running.tar", &[]);
    owner.ca.stop();
    let stopped = owner.backup("stopped.tar", &[]);
    let unpacked = |archive: &Path| {
        let script = format!(
            "mkdir d; tar xf {} -C d; rm d/manifest.json; sha256sum $(find d -type f | sort); rm -r d",
            archive.display()
        );
        shell(owner.work.path(), &script)
    };
    assert_eq!(unpacked(&running), unpacked(&stopped));
    let left = shell(&owner.path("data"), "ls -A");
    assert!(
        !left.contains("admin.sock") && !left.contains("tmp"),
        "{left}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_without_keys_has_none_and_one_with_keys_has_them() {
    let owner = Owner::new().await;
    for (name, flags, has_keys) in [
        ("with.tar", &[][..], true),
        ("without.tar", &["--without-keys"], false),
    ] {
        let archive = owner.backup(name, flags);
        let listed = shell(owner.work.path(), &format!("tar tvf {}", archive.display()));
        assert_eq!(listed.contains("-key.pem"), has_keys, "{listed}");
        assert!(
            listed.contains("ledger.rows") && listed.contains("root-cert.pem"),
            "{listed}"
        );
        let mut bytes = fs::read(&archive).unwrap();
        bytes.retain(u8::is_ascii);
        assert_eq!(
            String::from_utf8(bytes).unwrap().contains("PRIVATE KEY"),
            has_keys,
            "{name}"
        );
    }
}

#[test]
fn a_backup_without_keys_has_none_of_a_kept_bundle_whatever_its_files_are_called() {
    let (work, bundle) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let made = Cacerts::make();
    for (ours, theirs) in [
        ("tls.crt", "cert-chain.pem"),
        ("tls.key", "ca-key.pem"),
        ("ca.crt", "root-cert.pem"),
    ] {
        fs::write(bundle.path().join(ours), made.file(theirs)).unwrap();
    }
    let ca = TestCa::start_with(Setup {
        root_ca_dir: Some(bundle.path().to_owned()),
        ..Setup::default()
    });
    for (name, flags, has_keys) in [
        ("with.tar", &[][..], true),
        ("without.tar", &["--without-keys"], false),
    ] {
        let archive = work.path().join(name);
        let to = archive.display().to_string();
        let _said = ca.operator(&[&["backup", "--to", &to], flags].concat());
        let mut bytes = fs::read(&archive).unwrap();
        bytes.retain(u8::is_ascii);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("tls.crt"), "the copy is there");
        assert_eq!(text.contains("PRIVATE KEY"), has_keys, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_cut_is_refused_and_the_target_is_as_it_was() {
    let owner = Owner::new().await;
    let whole = fs::read(owner.backup("backup.tar", &[])).unwrap();
    let (cut, target) = (owner.path("cut.tar"), owner.path("target"));
    for len in [
        0,
        1,
        511,
        1024,
        whole.len() / 3,
        whole.len() / 2,
        whole.len() * 9 / 10,
        whole.len() - 2000,
    ] {
        fs::write(&cut, &whole[..len]).unwrap();
        let refused = restore(&cut, &target, &[]);
        assert_eq!(refused.status.code(), Some(1), "{len} of {}", whole.len());
        assert!(
            said(&refused).contains("cut.tar"),
            "{len}: {}",
            said(&refused)
        );
        let left = shell(owner.work.path(), "ls -d target* 2>/dev/null || true");
        assert_eq!(left, "", "{len}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_with_a_wrong_bit_in_its_ledger_is_refused() {
    let owner = Owner::new().await;
    let archive = owner.backup("backup.tar", &[]);
    let mut bytes = fs::read(&archive).unwrap();
    let at = bytes
        .windows(CART.len())
        .rposition(|window| window == CART.as_bytes())
        .unwrap();
    bytes[at + 30] ^= 1;
    fs::write(&archive, bytes).unwrap();
    let refused = restore(&archive, &owner.path("target"), &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("checksum"), "{}", said(&refused));
    assert!(!owner.path("target").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_backup_is_refused_by_name() {
    let owner = Owner::new().await;
    let file = owner.path("thing.tar");
    fs::write(owner.path("readme"), "hello").unwrap();
    for make in [
        "printf hello > thing.tar",
        "tar cf thing.tar readme",
        "rm thing.tar",
        "head -c 100000 /dev/urandom > thing.tar",
    ] {
        let _made = shell(owner.work.path(), make);
        let refused = restore(&file, &owner.path("target"), &[]);
        assert_eq!(refused.status.code(), Some(1), "{make}");
        assert!(
            said(&refused).contains("thing.tar"),
            "{make}: {}",
            said(&refused)
        );
        assert!(!owner.path("target").exists(), "{make}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_restored_over_something() {
    let mut owner = Owner::new().await;
    let (archive, data) = (owner.backup("backup.tar", &[]), owner.path("data"));
    owner.ca.stop();
    let before = contents(&data);
    let refused = restore(&archive, &data, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("is not empty; restore into a new directory"),
        "{}",
        said(&refused)
    );
    assert_eq!(contents(&data), before);
    fs::create_dir(owner.path("empty")).unwrap();
    restored(&archive, &owner.path("empty"), &[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_keeps_its_ledger_from_being_restored_over() {
    let owner = Owner::new().await;
    let archive = owner.backup("backup.tar", &[]);
    let refused = restore(&archive, &owner.path("data"), &["--ledger-only"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("in use by another ca-server"),
        "{}",
        said(&refused)
    );
    assert_eq!(memory(&owner.ca).serials.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_ledger_is_refused_at_start_and_comes_back_with_ledger_only() {
    let mut owner = Owner::new().await;
    let (archive, before) = (owner.backup("backup.tar", &[]), memory(&owner.ca));
    owner.ca.stop();
    fs::remove_dir_all(owner.path("data/ledger")).unwrap();
    refuses(
        on(&owner.path("data")),
        &[
            "the ledger in",
            "is gone",
            "--fresh-ledger",
            "restore --ledger-only",
        ],
    );
    restored(&archive, &owner.path("data"), &["--ledger-only"]);
    let again = TestCa::start_with(on(&owner.path("data")));
    assert_eq!(memory(&again), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_ledger_may_be_a_fresh_one_when_the_operator_says_so() {
    let mut owner = Owner::new().await;
    let before = memory(&owner.ca);
    owner.ca.stop();
    let data = owner.path("data");
    fs::remove_dir_all(data.join("ledger")).unwrap();
    let mut fresh = TestCa::start_with(with(&data, &["--fresh-ledger"]));
    assert_eq!(memory(&fresh).roots, before.roots);
    assert_eq!(memory(&fresh).serials, Vec::<String>::new());
    fresh.stop();
    // The flag was needed once.
    drop(TestCa::start_with(on(&data)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_ledger_is_refused_and_set_aside_by_fresh_ledger_never_deleted() {
    let mut owner = Owner::new().await;
    let before = memory(&owner.ca);
    owner.ca.stop();
    let data = owner.path("data");
    let _damaged = shell(
        &data.join("ledger"),
        "for file in $(find . -type f); do head -c $(stat -c %s $file) /dev/urandom > garbage; cat garbage > $file; done; rm garbage",
    );
    let damaged = shell(&data, "cat ledger/db | sha256sum");
    refuses(
        on(&data),
        &[
            "the ledger in",
            "is damaged",
            "ca-server restore --ledger-only",
            "--fresh-ledger",
        ],
    );
    let mut fresh = TestCa::start_with(with(&data, &["--fresh-ledger"]));
    assert_eq!(memory(&fresh).roots, before.roots);
    fresh.stop();
    assert_eq!(shell(&data, "cat ledger.damaged-*/db | sha256sum"), damaged);
    drop(TestCa::start_with(on(&data)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_ledger_gives_way_to_the_backups_and_stays_beside_it() {
    let mut owner = Owner::new().await;
    let (archive, before) = (owner.backup("backup.tar", &[]), memory(&owner.ca));
    owner.ca.stop();
    let data = owner.path("data");
    let _damaged = shell(
        &data,
        "head -c 100000 /dev/urandom > ledger/db; head -c 100 /dev/urandom > ledger/conf",
    );
    refuses(
        on(&data),
        &["is damaged", "ca-server restore --ledger-only"],
    );
    restored(&archive, &data, &["--ledger-only"]);
    let again = TestCa::start_with(on(&data));
    assert_eq!(memory(&again), before);
    assert_eq!(shell(&data, "ls -d ledger.damaged-* | wc -l").trim(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_backup_does_not_cost_the_ledger_that_is_there() {
    let mut owner = Owner::new().await;
    let (archive, before) = (owner.backup("backup.tar", &[]), memory(&owner.ca));
    owner.ca.stop();
    let whole = fs::read(&archive).unwrap();
    for len in [1000, whole.len() / 2, whole.len() - 2000] {
        fs::write(&archive, &whole[..len]).unwrap();
        assert_eq!(
            restore(&archive, &owner.path("data"), &["--ledger-only"])
                .status
                .code(),
            Some(1),
            "{len}"
        );
    }
    let mut bad = whole;
    let at = bad
        .windows(CART.len())
        .rposition(|window| window == CART.as_bytes())
        .unwrap();
    bad[at + 30] ^= 1;
    fs::write(&archive, bad).unwrap();
    assert_eq!(
        restore(&archive, &owner.path("data"), &["--ledger-only"])
            .status
            .code(),
        Some(1)
    );
    let again = TestCa::start_with(on(&owner.path("data")));
    assert_eq!(memory(&again), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_of_another_trust_domain_is_refused_until_the_change_is_asked_for() {
    let mut owner = Owner::new().await;
    owner.ca.stop();
    let data = owner.path("data");
    let flags = ["--trust-domain", "other.example"];
    refuses(
        with(&data, &flags),
        &[
            "belongs to trust domain cluster.local",
            "not other.example",
            "--allow-trust-domain-change",
        ],
    );
    let allowed = [&flags[..], &["--allow-trust-domain-change"]].concat();
    TestCa::start_with(with(&data, &allowed)).stop();
    drop(TestCa::start_with(with(&data, &flags)));
    refuses(on(&data), &["belongs to trust domain other.example"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_root_is_not_replaced_by_another_until_that_is_asked_for() {
    let mut owner = Owner::new().await;
    let before = memory(&owner.ca);
    owner.ca.stop();
    let data = owner.path("data");
    let _gone = shell(&data, "rm -r ca*");
    refuses(
        on(&data),
        &[
            "the self-signed CA with root",
            "is gone",
            "--allow-new-root",
        ],
    );
    let mut new = TestCa::start_with(with(&data, &["--allow-new-root"]));
    let roots = new.roots_pem();
    assert!(!roots.starts_with(&before.roots), "another root signs");
    assert!(
        roots.contains(&before.roots),
        "the lost one stays trusted while its leaves live"
    );
    assert_eq!(memory(&new).serials, before.serials);
    new.stop();
    let again = TestCa::start_with(on(&data));
    assert_eq!(again.roots_pem(), roots);
}
