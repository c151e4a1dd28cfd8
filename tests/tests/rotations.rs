//! Hundreds of rotations under the eyes of a reader. Slow for its length, not for its waits: it has a
//! group of its own (`tests/rotations/run`), and a short form that always runs.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use tests::ca::Setup;
use tests::ca::TestCa;
use tests::workload::Workload;
use tests::workload::look;

const FULL: usize = 500;
const SHORT: usize = 40;

#[tokio::test]
async fn a_reader_that_opens_data_once_per_look_never_sees_a_torn_set() {
    let wanted = match std::env::var_os("SIGNET_TEST_ROTATIONS") {
        Some(_) => FULL,
        None => SHORT,
    };
    let dir = tempfile::tempdir().unwrap();
    let ca = TestCa::start_with(Setup {
        flags: ["--min-ttl", "4s"].map(str::to_owned).to_vec(),
        ..Setup::default()
    });
    let agent = agent(&ca, dir.path());
    let out = dir.path().join("out");
    agent
        .wait_until(Duration::from_secs(20), |status| status["ready"] == true)
        .await;
    let start = Instant::now();
    let (mut seen, mut looks, mut slow) = (BTreeSet::new(), 0_u32, 0_u32);
    while seen.len() < wanted {
        let began = Instant::now();
        match look(&out) {
            Ok(look) => drop(seen.insert(look.serial)),
            // A reader that was not scheduled for two rotations reads what is rightly gone.
            Err(_) if began.elapsed() > TWO_ROTATIONS => slow += 1,
            Err(torn) => panic!("look {looks}, rotation {}: {torn}", seen.len()),
        }
        looks += 1;
        assert!(
            start.elapsed() < LIMIT,
            "{} rotations\n{}",
            seen.len(),
            agent.log()
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(slow * 100 <= looks, "{slow} of {looks} looks were too slow");
    assert_eq!(agent.status()["last_failure"], serde_json::Value::Null);
    eprintln!(
        "{} rotations in {:?}, {looks} looks, {slow} too slow",
        seen.len(),
        start.elapsed()
    );
}

/// Renews when 98 % of four seconds are left: every 80 ms.
fn agent(ca: &TestCa, dir: &Path) -> Workload {
    std::fs::write(
        dir.join("token"),
        ca.token("spiffe://cluster.local/ns/shop/sa/cart"),
    )
    .unwrap();
    std::fs::write(dir.join("roots.pem"), ca.roots_pem()).unwrap();
    let addr = ca.grpc.to_string();
    Workload::start(
        dir,
        &[
            "--ca-addr",
            &addr,
            "--ca-roots",
            "roots.pem",
            "--token-file",
            "token",
            "--out",
            "out",
            "--ttl",
            "4s",
            "--grace-period-ratio",
            "0.98",
            "--grace-period-ratio-jitter",
            "0",
        ],
    )
}

const TWO_ROTATIONS: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(400);
