//! The root of trust is replaced by an unrelated one while services speak mTLS all the time, and nobody notices.

#![expect(clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use tests::ca::TestCa;
use tests::mesh::Mesh;
use tests::peers::Traffic;
use tests::poll::wait_for;
use tests::rotation::signer;
use tests::rotation::status;

const LIMIT: Duration = Duration::from_secs(60);
const TTL: Duration = Duration::from_secs(8);

fn active(ca: &TestCa) -> String {
    signer(&status(ca), "active")
}

/// Until another signer is active and nothing of the one before is left.
fn wait_until_steady_without(ca: &TestCa, before: &str) {
    wait_for(LIMIT, || {
        let status = status(ca);
        let is_over = status["phase"] == "steady" && signer(&status, "active") != before;
        is_over.then_some(())
    });
    assert_eq!(ca.roots_pem().matches("BEGIN").count(), 1);
}

fn wait_until_only(ca: &TestCa, root: &str) {
    wait_for(LIMIT, || (ca.roots_pem() == root).then_some(()));
}

fn assert_nobody_noticed(traffic: Traffic) {
    let seen = traffic.stop();
    assert_eq!(seen.failed, Vec::<String>::new());
    assert!(seen.made > 100, "{seen:?}");
}

#[test]
fn a_root_is_replaced_by_order_by_taint_and_by_files_without_one_failed_handshake() {
    let mut mesh = Mesh::new(TTL);
    let ca = mesh.start(&[]).unwrap();
    let (a, b) = (mesh.agent(&ca, "a"), mesh.agent(&ca, "b"));
    // It learns of a new root late: until then it lives on what the old root signed across.
    let (stranger, files) = mesh.stranger(&ca);
    let traffic = Traffic::between(&[a.1, b.1, files]);
    let first = active(&ca);
    let _said = ca.operator(&["rotate", "start", "--auto"]);
    wait_until_steady_without(&ca, &first);
    let second = active(&ca);
    let _said = ca.operator(&["rotate", "taint", &second, "--renew-within", "10s"]);
    wait_until_steady_without(&ca, &second);
    let root = mesh.drop_in("third");
    wait_until_only(&ca, &root);
    assert_nobody_noticed(traffic);
    stranger.stop();
}

#[test]
fn a_client_that_cannot_acknowledge_holds_the_gate_and_notices_nothing() {
    let mut mesh = Mesh::new(TTL);
    let ca = mesh.start(&[]).unwrap();
    let (a, b) = (mesh.agent(&ca, "a"), mesh.agent(&ca, "b"));
    let (stranger, files) = mesh.stranger(&ca);
    let traffic = Traffic::between(&[a.1, b.1, files]);
    for name in ["first", "second"] {
        let root = mesh.drop_in(name);
        wait_until_only(&ca, &root);
    }
    assert_nobody_noticed(traffic);
    stranger.stop();
}

#[test]
fn force_breaks_the_one_that_the_status_named() {
    let mut mesh = Mesh::new(TTL);
    let ca = mesh.start(&[]).unwrap();
    let (a, b) = (mesh.agent(&ca, "a"), mesh.agent(&ca, "b"));
    let traffic = Traffic::between(&[a.1, b.1]);
    b.0.signal("STOP");
    let _root = mesh.drop_in("unrelated");
    wait_for(LIMIT, || {
        let waits_for = status(&ca)["steps"].to_string();
        let is_named = |name: &str| waits_for.contains(&format!("/sa/{name}\""));
        (is_named("b") && !is_named("a")).then_some(())
    });
    let next = signer(&status(&ca), "next");
    assert_eq!(traffic.seen().failed, Vec::<String>::new());
    let reason = ["--reason", "to see it break"];
    let force = [&["rotate", "activate", "--force", &next], &reason[..]].concat();
    let _said = ca.operator(&force);
    wait_for(LIMIT, || {
        let failed = traffic.seen().failed;
        let stranded = |why: &String| why.contains("UnknownIssuer");
        failed.iter().any(stranded).then_some(())
    });
    b.0.signal("CONT");
}
