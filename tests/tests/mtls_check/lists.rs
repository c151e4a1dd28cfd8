//! Many targets at once: the table, namespaces, the mesh, and lists that are wrong.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tests::binaries::binaries;
use tests::ca::TestCa;

use crate::Scene;
use crate::fronts;
use crate::fronts::Clients;
use crate::fronts::SServer;

/// Five services in two namespaces and one that is nowhere, as lines of a list.
fn mesh(scene: &Scene) -> String {
    let insisting = Clients::Certified(&scene.root);
    let lines = [
        (fronts::tls(&scene.cart, &insisting), " shop/cart"),
        (fronts::tls(&scene.cart, &insisting), ""),
        (fronts::permissive(&scene.cart, &insisting), " # half way"),
        (fronts::http("HTTP/1.1 200 OK\r\n\r\n"), " web/old"),
        (fronts::nobody(), " web/gone"),
    ];
    let lines = lines.map(|(addr, rest)| format!("{addr}{rest}\n"));
    format!("# our mesh\n\n{}", lines.concat())
}

#[test]
fn a_list_becomes_a_lock_per_target_per_namespace_and_for_the_mesh() {
    let scene = Scene::new();
    fs::write(scene.dir.path().join("list"), mesh(&scene)).unwrap();
    let certs = scene.certs.to_str().unwrap();
    let args = ["--certs", certs, "--targets", "list", "--timeout", "30s"];
    let output = scene.run(&args);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let rows = [
        "LOCK    MODE ",
        "closed  strict ",
        "half    permissive ",
        "open    disabled ",
        "none    unreachable ",
    ];
    let rest = [
        "half  shop       66 %  3: 2 closed, 1 half",
        "open  web        0 %   2: 1 open, 1 not judged",
        "mesh: half; mTLS is insisted on by 50 % and taken by 75 % of the 4 that could be judged",
    ];
    for start in rows.iter().chain(&rest) {
        assert!(
            said.lines().any(|line| line.starts_with(start)),
            "{start}: {said}"
        );
    }

    let output = scene.run(&[&args[..], &["--output", "json"]].concat());
    let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
    let modes: Vec<&str> = whole["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| target["mode"].as_str().unwrap())
        .collect();
    assert_eq!(
        modes,
        ["strict", "strict", "permissive", "disabled", "unreachable"]
    );
    assert_eq!(whole["targets"][2]["namespace"], "shop");
    assert_eq!(whole["namespaces"][1]["namespace"], "web");
    assert_eq!(whole["namespaces"][1]["lock"], "open");
    assert_eq!(whole["mesh"]["insist_on_mtls_percent"], 50);
}

#[test]
fn a_bad_line_is_named_and_nobody_is_asked() {
    let scene = Scene::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let addr = fronts::serve(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let cases = [
        (
            format!("{addr}\n\nnowhere\n"),
            "list, line 3: 'nowhere' is not HOST:PORT",
        ),
        (
            format!("# x\n{addr} shop/cart/x\n"),
            "list, line 2: 'cart/x' is no name",
        ),
        ("# nothing\n".to_owned(), "list names no target"),
    ];
    for (list, said) in cases {
        fs::write(scene.dir.path().join("list"), &list).unwrap();
        let output = scene.run(&["--roots", "roots.pem", "--targets", "list"]);
        assert_eq!(output.status.code(), Some(1), "{list}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(said), "{list}: {stderr}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let output = scene.run(&["--roots", "roots.pem", "--targets", "missing"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn no_more_targets_than_asked_for_are_looked_at_at_once() {
    let scene = Scene::new();
    let now = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (count, peak) = (Arc::clone(&now), Arc::clone(&most));
    let addr = fronts::serve(move |stream| {
        peak.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::park_timeout(Duration::from_millis(20));
        count.fetch_sub(1, Ordering::SeqCst);
        drop(stream);
    });
    let list = format!("{addr}\n").repeat(40);
    fs::write(scene.dir.path().join("list"), list).unwrap();
    let args = [
        "--roots",
        "roots.pem",
        "--targets",
        "list",
        "--concurrency",
        "4",
    ];
    let output = scene.run(&args);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let most = most.load(Ordering::SeqCst);
    assert!((2..=4).contains(&most), "{most}");
}

#[test]
fn what_a_ca_issued_is_looked_at_with_what_an_agent_holds_by_a_list_on_standard_input() {
    let ca = TestCa::start();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("roots.pem"), ca.roots_pem()).unwrap();
    fs::write(dir.path().join("token"), ca.token(tests::CART)).unwrap();
    let grpc = ca.grpc.to_string();
    let fetched = Command::new(&binaries().ca_client)
        .args(["fetch", "--ca-addr", &grpc, "--ca-roots", "roots.pem"])
        .args(["--token-file", "token", "--out", "certs"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(fetched.status.success(), "{fetched:?}");
    let files = [
        "certs/cert-chain.pem",
        "certs/key.pem",
        "certs/root-cert.pem",
    ];
    let server = SServer::of_files(dir.path(), files, &["-cert_chain", "certs/cert-chain.pem"]);
    let (code, whole) = by_standard_input(dir.path(), &[server.addr, ca.grpc]);
    let [cart, port] = [&whole["targets"][0], &whole["targets"][1]];
    assert_eq!((code, &cart["mode"]), (4, &"strict".into()), "{whole:#}");
    assert_eq!(cart["spiffe_id"], tests::CART);
    // The CA's own port is no workload: its certificate has DNS names and no SPIFFE ID.
    assert_eq!(port["mode"], "broken", "{whole:#}");
}

fn by_standard_input(dir: &Path, targets: &[SocketAddr]) -> (i32, Value) {
    let mut child = Command::new(&binaries().ca_client)
        .args(["mtls", "check", "--targets", "-", "--output", "json"])
        .args(["--timeout", "30s"])
        .env("OUTPUT_CERTS", "certs")
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for target in targets {
        writeln!(stdin, "{target}").unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let whole = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code().unwrap(), whole)
}
