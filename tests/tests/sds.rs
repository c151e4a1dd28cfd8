//! Readers by SDS get every certificate and every root in time and in order, whatever other readers do.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::SystemTime;

use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use serde_json::Value;
use tests::CART;
use tests::envoy::DeltaReader;
use tests::envoy::Reader;
use tests::envoy::Secrets;
use tests::envoy::asking;
use tests::envoy::connect;
use tests::envoy::subscribing;
use tests::poll::until;
use tests::scene::Scene;
use tests::workload::Workload;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;

const LIMIT: Duration = Duration::from_secs(60);
const BOTH: &[&str] = &["default", "ROOTCA"];
/// Beyond what an answer takes on a busy machine.
const QUIET: Duration = Duration::from_millis(700);

/// An agent with a socket that answers.
async fn serving(scene: &Scene) -> (Workload, PathBuf) {
    let agent = scene.agent(&["--sds-socket=sds.sock", "--settle=100ms"]);
    let path = scene.dir.path().join("sds.sock");
    appears(&path).await;
    (agent, path)
}

async fn appears(path: &Path) {
    until("the socket", LIMIT, async || path.exists().then_some(())).await;
}

fn metric(agent: &Workload, name: &str) -> u64 {
    let text = agent.get("/metrics").1;
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_socket_comes_with_the_first_certificate_and_every_renewal_is_pushed() {
    let mut scene = Scene::new();
    scene.ca_goes();
    let agent = scene.agent(&["--sds-socket=uds/sds.sock", "--sds-mode=600"]);
    let path = scene.dir.path().join("uds/sds.sock");
    agent
        .wait_until(LIMIT, |status| status["failures_in_a_row"] != 0)
        .await;
    assert!(!path.exists(), "there is nothing to answer");
    scene.ca_returns();
    appears(&path).await;
    let mut reader = Reader::open(&path, BOTH).await;
    let first = reader.take().await;
    assert_eq!(first.names, ["ROOTCA", "default"]);
    let mut serials = vec![first.serial_under(&first.roots)];
    for _ in 0..3 {
        let secrets = reader.take().await;
        serials.push(secrets.serial_under(&first.roots));
    }
    serials.dedup();
    assert_eq!(serials.len(), 4);
    agent.signal("TERM");
    until("the socket's end", LIMIT, async || {
        (!path.exists()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn fetching_and_differences_give_the_same_secrets() {
    let scene = Scene::new();
    let (_agent, path) = serving(&scene).await;
    let mut client = connect(&path).await.unwrap();
    let fetched = client
        .fetch_secrets(asking(&[CART, "x", "ROOTCA"]))
        .await
        .unwrap()
        .into_inner();
    let fetched = Secrets::of(&fetched.resources);
    assert_eq!(fetched.names, ["ROOTCA", CART]);
    let _serial = fetched.serial_under(&fetched.roots);
    let mut reader = DeltaReader::open(&path, subscribing(&["ROOTCA"])).await;
    let (roots, _) = reader.take(subscribing(&["default"])).await;
    assert_eq!(
        (roots.names, &roots.roots),
        (vec!["ROOTCA".to_owned()], &fetched.roots)
    );
    let (leaf, before) = reader.take(subscribing(&[])).await;
    assert_eq!(leaf.names, ["default"]);
    let (renewed, after) = reader.take(subscribing(&[])).await;
    assert_eq!(renewed.names, ["default"], "the roots are as they were");
    assert_ne!(
        leaf.serial_under(&roots.roots),
        renewed.serial_under(&roots.roots)
    );
    assert_ne!(before, after);
}

#[tokio::test]
async fn a_delta_reader_that_returns_is_told_what_it_lacks() {
    let scene = Scene::new();
    let (_agent, path) = serving(&scene).await;
    let mut reader = DeltaReader::open(&path, subscribing(BOTH)).await;
    let (_, versions) = reader.take(subscribing(&[])).await;
    drop(reader);
    let mut again = subscribing(BOTH);
    again.initial_resource_versions = versions.into_iter().collect();
    again
        .initial_resource_versions
        .insert("default".to_owned(), "old".to_owned());
    let mut reader = DeltaReader::open(&path, again).await;
    let (secrets, _) = reader.take(subscribing(&[])).await;
    assert_eq!(secrets.names, ["default"]);
}

#[tokio::test]
async fn what_a_reader_refuses_is_logged_and_counted_and_not_pushed_again() {
    let scene = Scene::new();
    let (agent, path) = serving(&scene).await;
    let mut reader = Reader::open(&path, &["ROOTCA"]).await;
    let _roots = reader.next().await;
    reader.nack("these roots are not to my taste").await;
    assert!(reader.is_silent(QUIET).await);
    assert_eq!(metric(&agent, "signet_agent_sds_nacks_total"), 1);
    let log = agent.log();
    let line = log
        .lines()
        .find(|line| line.contains("not to my taste"))
        .unwrap();
    assert!(
        line.contains("ROOTCA") && line.contains("node 'me'"),
        "{line}"
    );
    let refusal = &agent.status()["sds"]["last_refusal"]["message"];
    assert!(
        refusal.as_str().unwrap().contains("not to my taste"),
        "{refusal}"
    );
}

#[tokio::test]
async fn unknown_names_are_waited_for_on_an_open_stream() {
    let scene = Scene::new();
    let (_agent, path) = serving(&scene).await;
    let mut reader = Reader::open(&path, &["file-root:system"]).await;
    assert!(reader.is_silent(QUIET).await);
    reader.want(&["file-root:system", "ROOTCA"]).await;
    assert_eq!(reader.take().await.names, ["ROOTCA"]);
    reader.want(&[]).await;
    assert!(reader.is_silent(QUIET).await, "it unsubscribed");
    reader.want(&["ROOTCA"]).await;
    assert_eq!(reader.take().await.names, ["ROOTCA"]);
}

#[tokio::test]
async fn a_reader_that_returns_with_an_old_nonce_is_answered() {
    let scene = Scene::new();
    let (agent, path) = serving(&scene).await;
    let first = DiscoveryRequest {
        version_info: "of another agent".to_owned(),
        response_nonce: "of another stream".to_owned(),
        ..asking(BOTH)
    };
    let client = connect(&path).await.unwrap();
    let mut reader = Reader::over(client, first).await.unwrap();
    assert_eq!(reader.take().await.names, ["ROOTCA", "default"]);
    assert_eq!(metric(&agent, "signet_agent_sds_nacks_total"), 0);
}

#[tokio::test]
async fn roots_come_before_leaves_and_the_ca_waits_for_the_word_of_every_reader() {
    let scene = Scene::new();
    let ca = scene.ca.as_ref().unwrap();
    let (agent, path) = serving(&scene).await;
    let mut mute = Reader::open(&path, &["ROOTCA"]).await;
    let old = mute.take().await.roots;
    let (mut of_roots, mut of_leaf) = (
        Reader::open(&path, &["ROOTCA"]).await,
        Reader::open(&path, &["default"]).await,
    );
    let (mut roots, mut leaf) = (of_roots.take().await.roots, of_leaf.take().await);
    // Without its key the old root signs the new one not across, which would let it go on without the agents.
    std::fs::remove_file(ca.data_dir.join("ca/root-key.pem")).unwrap();
    let _started = ca.operator(&["rotate", "start", "--auto"]);
    let _unsaid = mute.next().await;
    let mut is_held = true;
    while is_of(&leaf, &old) {
        tokio::select! {
            biased;
            secrets = of_roots.take() => roots = secrets.roots,
            secrets = of_leaf.take() => {
                leaf = secrets;
                let _serial = leaf.serial_under(&roots);
            }
        }
        let waits = agent.status()["sds"]["waiting_for"].to_string();
        let is_told = waits.contains("node 'me'") && agent.log().contains("have not acknowledged");
        if is_held && is_told {
            mute.ack().await;
            is_held = false;
        }
    }
    assert!(!is_held, "the rotation went on without a reader's word");
    assert!(roots.contains(&old) && roots != old);
}

/// Whether the chain ends in this root.
fn is_of(leaf: &Secrets, root: &str) -> bool {
    let (_, last) = leaf.chain.rsplit_once("-----BEGIN").unwrap();
    root.contains(last)
}

/// The other readers of the socket, at their worst, for as long as this is polled.
async fn abuse(path: &Path) {
    let mut mute = Vec::new();
    for _ in 0..40 {
        let client = connect(path).await.unwrap();
        for _ in 0..5 {
            mute.push(Reader::over(client.clone(), asking(BOTH)).await.unwrap());
        }
    }
    let names: Vec<String> = (0..1000)
        .map(|number| format!("spiffe://cluster.local/{number}"))
        .collect();
    let names: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .chain(["default"])
        .collect();
    let mut greedy = Reader::open(path, &names).await;
    let mut refusing = Reader::open(path, BOTH).await;
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    loop {
        tokio::select! {
            _ = pace.tick() => {
                drop(Reader::open(path, BOTH).await);
                die_mid_message(path).await;
            }
            _ = refusing.next() => refusing.nack("no").await,
            _ = greedy.take() => {}
        }
    }
}

/// Speaks half a preface, or a preface and half a frame.
async fn die_mid_message(path: &Path) {
    for said in [
        &b"PRI * HTT"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\xff\x04",
    ] {
        let mut stream = UnixStream::connect(path).await.unwrap();
        // Who is turned away at once has said enough.
        drop(stream.write_all(said).await);
    }
}

#[tokio::test]
async fn nobody_is_served_late_because_of_others_and_memory_stays_small() {
    let scene = Scene::new();
    let (agent, path) = serving(&scene).await;
    let mut reader = Reader::open(&path, BOTH).await;
    let roots = reader.take().await.roots;
    let renewals = async {
        let mut late = Duration::ZERO;
        for _ in 0..8 {
            let serial = reader.take().await.serial_under(&roots);
            late = late.max(since_logged(&agent, &serial));
        }
        late
    };
    let late = tokio::select! {
        late = renewals => late,
        () = abuse(&path) => unreachable!(),
    };
    assert!(late < Duration::from_secs(1), "{late:?}");
    let streams = agent.status()["sds"]["streams"].as_u64().unwrap();
    assert!(streams > 200, "{streams}");
    let memory = agent.peak_memory();
    println!("{streams} streams, {} KiB", memory >> 10);
    assert!(memory < 64 << 20, "{memory}");
}

/// A process of its own that takes all that it can get, and goes when dropped.
struct Greedy(Child);

impl Greedy {
    fn start(path: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sds_abuse"));
        let started = command.arg(path).stdin(Stdio::piped()).spawn();
        Self(started.unwrap())
    }
}

impl Drop for Greedy {
    fn drop(&mut self) {
        let _ended_before = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[tokio::test]
async fn greedy_processes_take_neither_the_memory_nor_the_places_of_others() {
    let scene = Scene::new();
    let (agent, path) = serving(&scene).await;
    let mut reader = Reader::open(&path, BOTH).await;
    let roots = reader.take().await.roots;
    let _greedy = [Greedy::start(&path), Greedy::start(&path)];
    let (mut late, mut most, mut renewals) = (Duration::ZERO, 0, 0);
    // Until there are more streams than one process is given.
    while renewals < 6 || most <= 230 {
        let serial = reader.take().await.serial_under(&roots);
        late = late.max(since_logged(&agent, &serial));
        renewals += 1;
        // Somebody new is let in, and is fetched for.
        let new = Reader::open(&path, &["ROOTCA"]).await.take().await;
        assert_eq!(new.roots, roots);
        let mut client = connect(&path).await.unwrap();
        client.fetch_secrets(asking(&["ROOTCA"])).await.unwrap();
        most = most.max(agent.status()["sds"]["streams"].as_u64().unwrap());
        assert!(renewals < 40, "{most} streams");
    }
    let memory = agent.peak_memory();
    println!(
        "at most {late:?} late, {most} streams, {} KiB",
        memory >> 10
    );
    assert!(memory < 64 << 20, "{memory}");
    assert!(late < Duration::from_secs(1), "{late:?}");
}

#[tokio::test]
async fn a_reader_that_has_said_all_is_given_what_it_is_owed_and_then_the_end() {
    let scene = Scene::new();
    let (_agent, path) = serving(&scene).await;
    for _ in 0..30 {
        let mut client = connect(&path).await.unwrap();
        let all = tokio_stream::once(asking(BOTH));
        let mut answers = client.stream_secrets(all).await.unwrap().into_inner();
        let answer = tokio::time::timeout(LIMIT, answers.message()).await;
        let answer = answer.unwrap().unwrap().expect("an answer");
        assert_eq!(Secrets::of(&answer.resources).names, ["ROOTCA", "default"]);
        let end = tokio::time::timeout(LIMIT, answers.message()).await;
        assert!(end.unwrap().unwrap().is_none());
    }
}

/// How long ago the agent said that it got this certificate; what was pushed before that was read is not late.
fn since_logged(agent: &Workload, serial: &str) -> Duration {
    let log = agent.log();
    let mut events = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let got = |event: &Value| {
        event["fields"]["serial"] == serial && event["fields"]["message"] == "got a certificate"
    };
    let Some(event) = events.find(got) else {
        return Duration::ZERO;
    };
    let time = event["timestamp"].as_str().unwrap();
    let time: SystemTime = OffsetDateTime::parse(time, &Rfc3339).unwrap().into();
    time.elapsed().unwrap()
}

#[tokio::test]
async fn a_socket_of_a_killed_agent_is_replaced_and_that_of_a_living_one_is_not() {
    let scene = Scene::new();
    let (mut agent, path) = serving(&scene).await;
    let more = ["--sds-socket=sds.sock", "--out=other"];
    let refused = scene.try_agent(&more).unwrap_err();
    assert!(
        refused.starts_with("Some(1)") && refused.contains("is another agent's"),
        "{refused}"
    );
    agent.signal("KILL");
    agent.wait();
    assert!(path.exists());
    let second = scene.agent(&more);
    second
        .wait_until(LIMIT, |status| status["sds"]["listening"] == true)
        .await;
    assert_eq!(Reader::open(&path, BOTH).await.take().await.names.len(), 2);
}

#[tokio::test]
async fn a_path_that_cannot_be_is_refused_by_name() {
    let scene = Scene::new();
    let long = format!("--sds-socket=/tmp/{}", "s".repeat(103));
    let refused = scene.try_agent(&[&long]).unwrap_err();
    assert!(
        refused.starts_with("Some(2)") && refused.contains("at most 107"),
        "{refused}"
    );
    scene.put("file", "mine");
    let refused = scene.try_agent(&["--sds-socket=file"]).unwrap_err();
    assert!(
        refused.starts_with("Some(1)") && refused.contains("not a socket"),
        "{refused}"
    );
    let kept = std::fs::read_to_string(scene.dir.path().join("file")).unwrap();
    assert_eq!(kept, "mine");
}

#[tokio::test]
async fn a_socket_that_is_taken_away_comes_back_and_open_streams_stay() {
    let scene = Scene::new();
    let (_agent, path) = serving(&scene).await;
    let mut reader = Reader::open(&path, &["default"]).await;
    let _first = reader.take().await;
    std::fs::remove_file(&path).unwrap();
    appears(&path).await;
    let _new = Reader::open(&path, &["default"]).await.take().await;
    let _renewed = reader.take().await;
}
