//! SIGKILL at every file operation of an agent that rotates: afterwards the old set or the new one is
//! there, whole, and an agent goes on from it. Needs strace: run by `tests/kills/run`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use tests::binaries::binaries;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::stores::look_at_stores;
use tests::workload::Workload;
use tests::workload::look;

/// What changes a directory, and how often to let each happen before the kill: what the start and two rotations need.
const OPERATIONS: [(&str, u32); 10] = [
    ("mkdir", 4),
    ("openat", 100),
    ("write", 36),
    ("fchmod", 28),
    ("chmod", 4),
    ("fsync", 34),
    ("symlink", 5),
    ("rename", 5),
    ("unlink", 8),
    ("unlinkat", 24),
];

#[tokio::test]
async fn a_kill_at_any_file_operation_leaves_a_whole_set() {
    if std::env::var_os("SIGNET_TEST_STRACE").is_none() {
        eprintln!("SKIPPED: run tests/kills/run");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let ca = TestCa::start_with(Setup {
        flags: ["--min-ttl", "1s"].map(str::to_owned).to_vec(),
        ..Setup::default()
    });
    std::fs::write(
        dir.path().join("token"),
        ca.token("spiffe://cluster.local/ns/shop/sa/cart"),
    )
    .unwrap();
    std::fs::write(dir.path().join("roots.pem"), ca.roots_pem()).unwrap();
    let args = args(&ca);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    rotate_once(dir.path(), &args).await;
    let mut killed: BTreeMap<&str, u32> = BTreeMap::new();
    for (operation, last) in OPERATIONS {
        for nth in 1..=last {
            *killed.entry(operation).or_default() +=
                u32::from(kill_at(dir.path(), &args, operation, nth));
            let left = look(&dir.path().join("out"));
            assert!(left.is_ok(), "after SIGKILL at {operation} {nth}: {left:?}");
            let stores = look_at_stores(&dir.path().join("out"), "changeit");
            assert_eq!(stores, Ok(1), "after SIGKILL at {operation} {nth}");
        }
        // What a kill leaves behind stops nobody, and is tidied up.
        rotate_once(dir.path(), &args).await;
        let left = std::fs::read_dir(dir.path().join("out")).unwrap().count();
        assert!(
            left <= LEFT_AT_MOST,
            "{left} entries after kills at {operation}"
        );
    }
    eprintln!("kills: {killed:?}");
    for operation in ["openat", "write", "fsync", "symlink", "rename", "mkdir"] {
        assert!(
            killed[operation] > 0,
            "{operation} was never met: {killed:?}"
        );
    }
}

/// Runs an agent until it is killed at the `nth` call of `operation`; whether it was.
fn kill_at(dir: &Path, args: &[&str], operation: &str, nth: u32) -> bool {
    let status = Command::new("timeout")
        .args([
            "--signal=TERM",
            "3",
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
        ])
        .arg(format!("--trace={operation}"))
        .arg(format!("--inject={operation}:signal=SIGKILL:when={nth}"))
        .arg(&binaries().ca_client)
        .arg("agent")
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    // strace dies of what its child died of; timeout does too, or says 137. 124 is its own doing.
    match (status.code(), status.signal()) {
        (Some(137), _) | (None, Some(9)) => true,
        (Some(124), _) => false,
        other => panic!("{operation} {nth}: strace ended with {other:?}"),
    }
}

async fn rotate_once(dir: &Path, args: &[&str]) {
    let agent = Workload::start(dir, args);
    agent
        .wait_until(Duration::from_secs(20), |status| {
            status["renewals"].as_u64() >= Some(2) && status["ready"] == true
        })
        .await;
}

fn args(ca: &TestCa) -> Vec<String> {
    let addr = ca.grpc.to_string();
    [
        "--ca-addr",
        &addr,
        "--ca-roots",
        "roots.pem",
        "--token-file",
        "token",
        "--out",
        "out",
        "--ttl",
        "1h",
        "--grace-period-ratio",
        "0.99999",
        "--grace-period-ratio-jitter",
        "0",
        "--pkcs12",
        "--chain-without-root",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Seven links, the instance id, two generations; and what the agent was at when it was stopped: a key that was asked for,
/// a third generation, a link to it.
const LEFT_AT_MOST: usize = 13;
