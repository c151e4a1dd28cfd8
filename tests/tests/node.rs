//! One agent serves many workloads of a machine: each peer gets what the rules say, each workload has its own token and
//! files, and none has to wait for another.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use proto::workload_api::X509BundlesRequest;
use proto::workload_api::X509svidRequest;
use serde_json::Value;
use spiffe::WorkloadApiClient;
use tests::CART;
use tests::envoy;
use tests::envoy::Reader;
use tests::envoy::asking;
use tests::poll::until;
use tests::scene::Scene;
use tests::workload::Workload;
use tests::workload::look;
use tests::workload_api;
use tests::workload_api::call;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tonic::Code;

const LIMIT: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(1);
const DESK: &str = "spiffe://cluster.local/ns/shop/sa/desk";
const TILL: &str = "spiffe://cluster.local/ns/shop/sa/till";

/// A CA, and the tokens of three service accounts.
fn scene() -> Scene {
    let scene = Scene::new();
    for account in ["cart", "desk", "till"] {
        scene.put_token_of(account);
    }
    scene
}

/// Cart and desk are ours, till is somebody else's.
fn list() -> String {
    let us = ours();
    let entry = |name: &str, allow: &str| {
        format!("- {{name: {name}, allow: {allow}, token_file: {name}, out: out/{name}}}\n")
    };
    entry("cart", &us) + &entry("desk", &us) + &entry("till", "uid=4242")
}

fn ours() -> String {
    format!("uid={}", std::fs::metadata("/proc/self").unwrap().uid())
}

fn start(scene: &Scene, list: &str) -> Workload {
    scene.put("workloads.yaml", list);
    scene.agent(&[
        "--node=workloads.yaml",
        "--sds-socket=sds.sock",
        "--workload-api-socket=api.sock",
        "--settle=100ms",
    ])
}

async fn ready(node: &Workload) {
    node.wait_until(LIMIT, |status| status["ready"] == true)
        .await;
}

fn sds(scene: &Scene) -> PathBuf {
    scene.dir.path().join("sds.sock")
}

fn api(scene: &Scene) -> PathBuf {
    scene.dir.path().join("api.sock")
}

/// What `/status` says of one of them.
fn status_of(status: &Value, name: &str) -> Value {
    let workloads = status["workloads"].as_array().unwrap();
    let named = workloads.iter().find(|it| it["name"] == name);
    named.unwrap().clone()
}

#[tokio::test]
async fn a_peer_gets_what_the_rules_say_the_first_as_default() {
    let scene = scene();
    let node = start(&scene, &list());
    ready(&node).await;
    let names = ["default", DESK, TILL, "ROOTCA", "spiffe://cluster.local"];
    let mut reader = Reader::open(&sds(&scene), &names).await;
    let secrets = reader.take().await;
    let mut told = secrets.names.clone();
    told.sort();
    assert_eq!(told, ["ROOTCA", "default", "spiffe://cluster.local", DESK]);
    let client = client(&scene).await;
    let context = client.fetch_x509_context().await.unwrap();
    let ids: Vec<String> = context
        .svids()
        .iter()
        .map(|svid| svid.spiffe_id().to_string())
        .collect();
    assert_eq!(ids, [CART, DESK]);
    let hints: Vec<_> = context.svids().iter().map(|svid| svid.hint()).collect();
    assert_eq!(hints, [Some("cart"), Some("desk")]);
    for name in ["cart", "desk", "till"] {
        look(&scene.out().join(name)).unwrap();
    }
}

async fn client(scene: &Scene) -> WorkloadApiClient {
    let endpoint = format!("unix://{}", api(scene).display());
    WorkloadApiClient::connect_to(endpoint).await.unwrap()
}

#[tokio::test]
async fn all_are_renewed_and_told_apart_in_status_metrics_and_log() {
    let scene = scene();
    let node = start(&scene, &list());
    let renewed = |status: &Value| {
        ["cart", "desk", "till"]
            .iter()
            .all(|name| status_of(status, name)["renewals"].as_u64() >= Some(3))
    };
    node.wait_until(LIMIT, renewed).await;
    let status = node.status();
    for (name, id) in [("cart", CART), ("desk", DESK), ("till", TILL)] {
        assert_eq!(status_of(&status, name)["certificate"]["spiffe_id"], id);
    }
    let (_, metrics) = node.get("/metrics");
    for line in [
        "signet_agent_ready{workload=\"cart\"} 1",
        "signet_agent_ready{workload=\"till\"} 1",
        "signet_agent_sds_listening 1",
        "signet_agent_workload_api_listening 1",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line} in\n{metrics}");
    }
    let types = metrics.matches("# TYPE signet_agent_ready ").count();
    assert_eq!(types, 1, "a name is explained once:\n{metrics}");
    let log = node.log();
    let of_desk = |line: &&str| line.contains("got a certificate") && line.contains(DESK);
    let line = log.lines().find(of_desk).unwrap();
    let event: Value = serde_json::from_str(line).unwrap();
    assert_eq!(event["span"]["name"], "workload", "{line}");
    let out = Command::new(&tests::binaries::binaries().ca_client)
        .args(["status", "--http-addr", &node.http.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(0), "{text}");
    assert!(text.contains(DESK) && text.contains(TILL), "{text}");
}

#[tokio::test]
async fn strangers_are_given_nothing_and_are_counted() {
    let scene = scene();
    let strangers = list().replace(&ours(), "uid=4242");
    let node = start(&scene, &strangers);
    ready(&node).await;
    let client = envoy::connect(&sds(&scene)).await.unwrap();
    let refused = Reader::over(client, asking(&["default"])).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    let mut client = workload_api::connect(&api(&scene)).await.unwrap();
    let refused = client
        .fetch_x509svid(call(X509svidRequest {}, &["true"]))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    let refused = client
        .fetch_x509_bundles(call(X509BundlesRequest {}, &["true"]))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    let status = node.status();
    assert_eq!(status["sds"]["turned_away"], 1, "{status}");
    assert!(status["workload_api"]["refused"].as_u64() >= Some(1));
}

#[tokio::test]
async fn a_default_that_is_not_there_yet_is_not_replaced_by_another() {
    let scene = scene();
    let token = scene.dir.path().join("cart");
    let kept = std::fs::read(&token).unwrap();
    std::fs::remove_file(&token).unwrap();
    let node = start(&scene, &list());
    node.wait_until(LIMIT, |status| status_of(status, "desk")["ready"] == true)
        .await;
    let (code, why) = node.get("/readyz");
    assert_eq!(code, 503);
    assert!(why.contains("cart: no certificate yet"), "{why}");
    let mut desk = Reader::open(&sds(&scene), &[DESK]).await;
    assert_eq!(desk.take().await.names, [DESK]);
    let mut reader = Reader::open(&sds(&scene), &["default"]).await;
    let early = timeout(SOON, reader.answers.message()).await;
    assert!(early.is_err(), "{early:?}");
    let mut client = workload_api::connect(&api(&scene)).await.unwrap();
    let early = client
        .fetch_x509svid(call(X509svidRequest {}, &["true"]))
        .await
        .unwrap_err();
    assert!(
        [Code::Unavailable, Code::PermissionDenied].contains(&early.code()),
        "{early}"
    );
    std::fs::write(&token, kept).unwrap();
    assert_eq!(reader.take().await.names, ["default"]);
    let mut answers = client
        .fetch_x509svid(call(X509svidRequest {}, &["true"]))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.next().await.unwrap().unwrap();
    assert_eq!(answer.svids[0].spiffe_id, CART);
}

#[tokio::test]
async fn one_bad_directory_keeps_nobody_else_from_theirs_and_is_taken_up_when_it_is_well() {
    let scene = scene();
    std::fs::create_dir(scene.out()).unwrap();
    scene.put("out/desk", "no directory");
    let node = start(&scene, &list());
    node.wait_until(LIMIT, |status| {
        status_of(status, "cart")["ready"] == true && status_of(status, "till")["ready"] == true
    })
    .await;
    let (code, why) = node.get("/readyz");
    assert_eq!(code, 503);
    assert!(why.contains("desk: "), "{why}");
    std::fs::remove_file(scene.out().join("desk")).unwrap();
    ready(&node).await;
    look(&scene.out().join("desk")).unwrap();
}

#[tokio::test]
async fn a_directory_that_does_not_answer_is_told_of_and_taken_up_when_it_does() {
    let scene = scene();
    let before = start(&scene, &list());
    ready(&before).await;
    drop(before);
    // Whoever reads it waits for somebody who writes.
    let out = scene.out().join("desk");
    let pipe = out.join("..data/cert-chain.pem");
    std::fs::remove_file(&pipe).unwrap();
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let node = start(&scene, &list());
    let told = |status: &Value| {
        let files = status_of(status, "desk")["files"].clone();
        let is_told = files
            .as_str()
            .is_some_and(|it| it.contains("did not answer"));
        is_told && status_of(status, "cart")["renewals"].as_u64() >= Some(2)
    };
    node.wait_until(LIMIT, told).await;
    let aside = scene.dir.path().join("pipe");
    std::fs::rename(&pipe, &aside).unwrap();
    std::fs::write(&aside, "").unwrap();
    ready(&node).await;
    look(&out).unwrap();
}

#[tokio::test]
async fn a_token_file_that_hangs_holds_up_neither_the_others_nor_a_signal() {
    let scene = scene();
    for name in ["cart", "till"] {
        let pipe = scene.dir.path().join(name);
        std::fs::remove_file(&pipe).unwrap();
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
    }
    let mut node = start(&scene, &list());
    let renewed = |status: &Value| status_of(status, "desk")["renewals"].as_u64() >= Some(3);
    node.wait_until(LIMIT, renewed).await;
    let told = |status: &Value| {
        let cart = status_of(status, "cart");
        let why = cart["last_failure"]["message"].as_str();
        why.is_some_and(|why| why.contains("did not answer"))
    };
    node.wait_until(LIMIT, told).await;
    node.signal("TERM");
    assert_eq!(node.wait(), Some(0));
}

#[tokio::test]
async fn the_ca_hears_of_each_workload_when_its_own_readers_have_acknowledged() {
    let scene = scene();
    let node = start(&scene, &list());
    ready(&node).await;
    // It asks for the desk's certificate, and never says that it has it.
    let deaf = Reader::open(&sds(&scene), &[DESK]).await;
    let mut good = Reader::open(&sds(&scene), &["default", "ROOTCA"]).await;
    let reading = tokio::spawn(async move {
        loop {
            good.take().await;
        }
    });
    let waits = |status: &Value| {
        let waiting = &status_of(status, "desk")["sds_waiting_for"];
        waiting.as_array().is_some_and(|it| !it.is_empty())
    };
    node.wait_until(LIMIT, waits).await;
    let ca = scene.ca.as_ref().unwrap();
    let before = status_of(&node.status(), "cart")["trust"]["number"].as_u64();
    assert!(before.is_some());
    let acknowledges = |name: &'static str| {
        move |status: &Value| {
            let trust = &status_of(status, name)["trust"];
            trust["acknowledged"].is_u64() && trust["acknowledged"].as_u64() > before
        }
    };
    let _begun = ca.operator(&["rotate", "start"]);
    node.wait_until(LIMIT, acknowledges("cart")).await;
    node.wait_until(LIMIT, acknowledges("till")).await;
    // However often the others settle, the desk's word waits for its own reader.
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let status = node.status();
        assert!(!acknowledges("desk")(&status), "{status:#}");
    }
    drop(deaf);
    node.wait_until(LIMIT, acknowledges("desk")).await;
    reading.abort();
}

#[tokio::test]
async fn what_each_workload_has_for_itself_is_refused_for_all() {
    let scene = scene();
    scene.put("workloads.yaml", &list());
    let table = [
        (vec!["--out=x"], "--out"),
        (vec!["--token-file=x"], "--token-file"),
        (vec!["--spiffe-id=spiffe://a/b"], "--spiffe-id"),
        (vec!["--workload-api-allow=any"], "--workload-api-allow"),
        (vec!["--combined=x"], "--combined"),
        (vec!["--hook-command=x"], "--hook-command"),
    ];
    for (flags, named) in table {
        let args = [&["--node=workloads.yaml"], &flags[..]].concat();
        let said = scene.try_agent(&args).unwrap_err();
        assert!(said.starts_with("Some(2)"), "{said}");
        assert!(
            said.contains(named) && said.contains("--node"),
            "{named}: {said}"
        );
    }
    scene.put("workloads.yaml", &list().replace("till", "cart"));
    let said = scene.try_agent(&["--node=workloads.yaml"]).unwrap_err();
    assert!(
        said.starts_with("Some(2)") && said.contains("workload cart is listed twice"),
        "{said}"
    );
    let said = scene.try_agent(&["--node=missing.yaml"]).unwrap_err();
    assert!(
        said.starts_with("Some(2)") && said.contains("missing.yaml"),
        "{said}"
    );
    assert!(!scene.out().exists(), "nothing was made");
}

#[tokio::test]
async fn a_node_goes_on_with_what_it_had_when_the_ca_is_away() {
    let mut scene = scene();
    let node = start(&scene, &list());
    ready(&node).await;
    drop(node);
    scene.ca_goes();
    let node = start(&scene, &list());
    let mut reader = until("the socket", LIMIT, async || {
        let client = envoy::connect(&sds(&scene)).await.ok()?;
        Reader::over(client, asking(&["default", DESK])).await.ok()
    })
    .await;
    let mut names = reader.take().await.names;
    names.sort();
    assert_eq!(names, ["default", DESK]);
    drop(node);
}
