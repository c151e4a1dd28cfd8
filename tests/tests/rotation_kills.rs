//! SIGKILL of the server at every file operation while roots are replaced under mTLS traffic: it comes back, goes on
//! where it was, and nobody notices. Needs strace: run by `tests/kills/run`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use tests::ca::TestCa;
use tests::mesh::Mesh;
use tests::peers::Traffic;
use tests::poll::wait_for;

/// What changes files. Rotation record, trust bundle, copies and keys come and go by renames; the ledger writes in place.
const OPERATIONS: [&str; 4] = [
    "rename,renameat,renameat2",
    "fsync,fdatasync,sync_file_range",
    "pwrite64",
    "unlink,unlinkat,rmdir,mkdir",
];
/// A server that does not get as far as its kill is killed then.
const PATIENCE: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(180);
const TTL: Duration = Duration::from_secs(20);

/// Which root is to be the only one, and how many were before.
struct Rotations {
    root: String,
    active: String,
    done: usize,
}

#[test]
fn a_killed_server_comes_back_and_finishes_every_rotation_without_one_failed_handshake() {
    let Some(budget) = std::env::var_os("SIGNET_TEST_STRACE") else {
        eprintln!("SKIPPED: run tests/kills/run");
        return;
    };
    let minutes: u64 = budget.to_str().unwrap().parse().unwrap();
    let mut mesh = Mesh::new(TTL);
    let first = mesh.start(&[]).unwrap();
    let agents = ["a", "b"].map(|name| mesh.agent(&first, name));
    let traffic = Traffic::between(&agents.each_ref().map(|agent| agent.1.clone()));
    let mut rotations = begin(&mesh, 0);
    drop(first);

    let (start, mut killed, mut runs) = (Instant::now(), BTreeMap::new(), 0_u32);
    let all = (1..).flat_map(|nth| OPERATIONS.map(|operation| (operation, nth)));
    for (operation, nth) in all {
        if start.elapsed() > Duration::from_secs(60 * minutes) {
            break;
        }
        runs += 1;
        let by = match run_until_killed(&mut mesh, &mut rotations, operation, nth) {
            true => operation,
            false => "none of them",
        };
        *killed.entry(by).or_insert(0_u32) += 1;
    }
    let last = mesh.start(&[]).unwrap();
    wait_for(LIMIT, || (last.roots_pem() == rotations.root).then_some(()));
    let seen = traffic.stop();
    eprintln!(
        "{runs} runs killed at {killed:?}; {} rotations; {} handshakes, {} failed",
        rotations.done + 1,
        seen.made,
        seen.failed.len()
    );
    assert_eq!(seen.failed, Vec::<String>::new());
    assert!(OPERATIONS.iter().all(|it| killed.contains_key(it)), "{killed:?}");
}

fn begin(mesh: &Mesh, done: usize) -> Rotations {
    let active = mesh.record()["active"].as_str().unwrap().to_owned();
    Rotations {
        root: mesh.drop_in(&format!("ca-{done}")),
        active,
        done,
    }
}

/// Runs a server until the `nth` call of `operation` kills it, if it gets there in time; whether it did. Whenever one
/// rotation is over, the next begins.
fn run_until_killed(mesh: &mut Mesh, rotations: &mut Rotations, operation: &str, nth: u32) -> bool {
    let under = [
        "strace".to_owned(),
        "-fqq".to_owned(),
        "--seccomp-bpf".to_owned(),
        "--output=/dev/null".to_owned(),
        format!("--trace={operation}"),
        format!("--inject={operation}:signal=SIGKILL:when={nth}"),
    ];
    let Ok(mut ca) = mesh.start(&under) else {
        return true;
    };
    let start = Instant::now();
    let was_killed = loop {
        if ca.has_ended() {
            break true;
        }
        if start.elapsed() > PATIENCE {
            break false;
        }
        if is_over(mesh, rotations) {
            *rotations = begin(mesh, rotations.done + 1);
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    finish(ca, was_killed);
    was_killed
}

fn finish(mut ca: TestCa, was_killed: bool) {
    if !was_killed {
        ca.kill();
    }
}

fn is_over(mesh: &Mesh, rotations: &Rotations) -> bool {
    let record = mesh.record();
    record["signers"].as_array().unwrap().len() == 1 && record["active"] != *rotations.active
}
