//! SIGKILL of the server at every file operation while roots are replaced under mTLS traffic: it comes back, goes on
//! where it was, and nobody notices. Needs strace: run by `tests/kills/run`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use tests::mesh::Mesh;
use tests::peers::Traffic;
use tests::poll::until;
use tests::rotation::record;

/// What changes files. Rotation record, trust bundle, copies and keys come and go by renames, so that each step is one or
/// more of them; the ledger writes in place.
const OPERATIONS: [&str; 6] = [
    RENAMES,
    "fsync,fdatasync,sync_file_range",
    RENAMES,
    "pwrite64",
    RENAMES,
    "unlink,unlinkat,rmdir,mkdir",
];
const RENAMES: &str = "rename,renameat,renameat2";
/// At which call; each thread counts its own. Renames are rare.
const CALLS: [u32; 6] = [1, 2, 1, 3, 1, 4];
/// A server that does not get as far as its kill is killed then.
const PATIENCE: Duration = Duration::from_secs(3);
const PATIENCE_FOR_RENAMES: Duration = Duration::from_secs(12);
const LIMIT: Duration = Duration::from_secs(180);
const TTL: Duration = Duration::from_secs(20);

/// Which root is to be the only one, and how many were before.
struct Rotations {
    root: String,
    active: String,
    done: usize,
}

#[tokio::test]
async fn a_killed_server_comes_back_and_finishes_every_rotation_without_one_failed_handshake() {
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

    let mut killed: BTreeMap<&str, u32> = BTreeMap::new();
    let (start, mut runs) = (Instant::now(), 0);
    let all = CALLS
        .iter()
        .flat_map(|nth| OPERATIONS.map(|operation| (operation, *nth)));
    for (operation, nth) in all.cycle() {
        if start.elapsed() > Duration::from_secs(60 * minutes) {
            break;
        }
        runs += 1;
        let by = match run_until_killed(&mut mesh, &mut rotations, operation, nth).await {
            true => operation,
            false => "none of them",
        };
        *killed.entry(by).or_default() += 1;
    }
    let last = mesh.start(&[]).unwrap();
    until("the last root alone", LIMIT, async || {
        (last.roots_pem() == rotations.root).then_some(())
    })
    .await;
    let seen = traffic.stop();
    eprintln!(
        "{runs} runs killed at {killed:?}; {} rotations; {} handshakes, {} failed",
        rotations.done + 1,
        seen.made,
        seen.failed.len()
    );
    assert_eq!(seen.failed, Vec::<String>::new());
    assert!(
        OPERATIONS.iter().all(|it| killed.contains_key(it)),
        "{killed:?}"
    );
}

fn begin(mesh: &Mesh, done: usize) -> Rotations {
    let active = record(&mesh.data_dir())["active"]
        .as_str()
        .unwrap()
        .to_owned();
    Rotations {
        root: mesh.drop_in(&format!("ca-{done}")),
        active,
        done,
    }
}

/// Runs a server until the `nth` call of `operation` kills it, if it gets there in time; whether it did. Whenever one
/// rotation is over, the next begins.
async fn run_until_killed(
    mesh: &mut Mesh,
    rotations: &mut Rotations,
    operation: &str,
    nth: u32,
) -> bool {
    let (nth, patience) = match operation {
        RENAMES => (1, PATIENCE_FOR_RENAMES),
        _ => (nth, PATIENCE),
    };
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
    let was_killed = until("its end", LIMIT, async || {
        if ca.has_ended() {
            return Some(true);
        }
        if is_over(mesh, rotations) {
            *rotations = begin(mesh, rotations.done + 1);
        }
        (start.elapsed() > patience).then_some(false)
    })
    .await;
    if !was_killed {
        ca.kill();
    }
    was_killed
}

fn is_over(mesh: &Mesh, rotations: &Rotations) -> bool {
    let record = record(&mesh.data_dir());
    record["signers"].as_array().unwrap().len() == 1 && record["active"] != *rotations.active
}
