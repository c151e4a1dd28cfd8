//! The main job: a workload enrols, openssl agrees, the ledger knows.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;
use std::process::Output;

use tests::binaries::binaries;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::openssl::openssl;
use tests::openssl::shell;

const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// Runs `ca-client fetch` with an enrolment token for [`CART`].
fn fetch(ca: &TestCa, out: &Path, more: &[&str]) -> Output {
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("token"), ca.token(CART)).unwrap();
    std::fs::write(work.path().join("roots.pem"), ca.roots_pem()).unwrap();
    Command::new(&binaries().ca_client)
        .args([
            "fetch",
            "--ca-addr",
            &ca.grpc.to_string(),
            "--ca-roots",
            "roots.pem",
        ])
        .args(["--token-file", "token", "--out"])
        .arg(out)
        .args(more)
        .current_dir(work.path())
        .output()
        .unwrap()
}

fn fetched(ca: &TestCa, out: &Path) {
    let output = fetch(ca, out, &[]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn openssl_verifies_a_fetched_chain_for_both_purposes() {
    let (ca, out) = (TestCa::start(), tempfile::tempdir().unwrap());
    fetched(&ca, out.path());
    for purpose in ["sslserver", "sslclient"] {
        let verify = "openssl verify -x509_strict -CAfile root-cert.pem -untrusted cert-chain.pem";
        let said = shell(
            out.path(),
            &format!("{verify} -purpose {purpose} cert-chain.pem"),
        );
        assert_eq!(said, "cert-chain.pem: OK\n");
    }
}

#[test]
fn the_files_are_a_chain_that_ends_in_its_root_and_a_key_that_fits() {
    let (ca, out) = (TestCa::start(), tempfile::tempdir().unwrap());
    fetched(&ca, out.path());
    let chain = pem::parse_many(std::fs::read(out.path().join("cert-chain.pem")).unwrap()).unwrap();
    let roots = pem::parse_many(std::fs::read(out.path().join("root-cert.pem")).unwrap()).unwrap();
    assert_eq!(chain.len(), 3);
    assert_eq!(chain[2], roots[0]);
    let keys = shell(
        out.path(),
        "openssl x509 -in cert-chain.pem -noout -pubkey | sha256sum; openssl pkey -in key.pem -pubout | sha256sum",
    );
    let keys: Vec<&str> = keys.lines().collect();
    assert_eq!(keys[0], keys[1]);
    let mode = shell(out.path(), "stat -L -c %a key.pem");
    assert_eq!(mode.trim(), "600");
}

#[test]
fn the_ledger_shows_the_leaf_that_the_workload_holds() {
    let (ca, out) = (TestCa::start(), tempfile::tempdir().unwrap());
    fetched(&ca, out.path());
    let listed = ca.operator(&["certs", "list", "--spiffe-id", CART, "--output", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let serial = listed[0]["serial"].as_str().unwrap();
    let chain = out.path().join("cert-chain.pem");
    let printed = openssl(["x509", "-noout", "-serial", "-in", &chain.to_string_lossy()]).text;
    assert_eq!(printed.trim().to_lowercase(), format!("serial={serial}"));
    let shown = ca.operator(&["certs", "show", serial]);
    assert!(
        shown.contains(CART) && shown.contains("BEGIN CERTIFICATE"),
        "{shown}"
    );
}

#[test]
fn a_restart_keeps_the_root_and_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let setup = || Setup {
        data_dir: Some(dir.path().join("data")),
        ..Setup::default()
    };
    let mut first = TestCa::start_with(setup());
    let out = tempfile::tempdir().unwrap();
    fetched(&first, out.path());
    let roots = first.roots_pem();
    first.stop();
    let second = TestCa::start_with(setup());
    assert_eq!(second.roots_pem(), roots);
    let listed = second.operator(&["certs", "list", "--spiffe-id", CART]);
    assert!(listed.contains(CART), "{listed}");
}

#[test]
fn two_servers_on_one_data_directory_are_one_too_many() {
    let ca = TestCa::start();
    let second = TestCa::try_start(Setup {
        data_dir: Some(ca.data_dir.clone()),
        ..Setup::default()
    });
    let said = second.err().unwrap();
    assert!(said.contains("in use by another ca-server"), "{said}");
    assert_eq!(ca.http_get("/readyz").0, 200);
}

#[test]
fn the_http_port_answers_health_readiness_roots_and_metrics() {
    let ca = TestCa::start();
    assert_eq!(ca.http_get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(ca.http_get("/readyz"), (200, "ok\n".to_owned()));
    let (status, metrics) = ca.http_get("/metrics");
    assert_eq!(status, 200);
    for name in [
        "citadel_server_csr_count",
        "citadel_server_root_cert_expiry_timestamp",
        "role=\"serving\"",
    ] {
        assert!(metrics.contains(name), "{name} in\n{metrics}");
    }
}
