//! What an agent makes of a server at the CA's address that keeps it waiting, or floods it: each attempt
//! ends by its deadline, memory stays bounded, and a CA that is back is noticed at once.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

use std::time::Duration;

use serde_json::Value;
use tests::impostor::Impostor;
use tests::impostor::Manner;
use tests::scene::Scene;
use tests::workload::Workload;
use tests::workload::look;

const FIVE_SECONDS: Duration = Duration::from_secs(5);

/// A scene with an impostor in the CA's place, whom the agent believes until it knows better.
async fn taken_over_by(manner: Manner) -> (Scene, Impostor) {
    let mut scene = Scene::new();
    scene.ca_goes();
    let impostor = Impostor::start(scene.grpc, manner).await;
    let roots = std::fs::read_to_string(scene.dir.path().join("roots.pem")).unwrap();
    scene.put("roots.pem", &(roots + impostor.root_pem()));
    (scene, impostor)
}

fn ready(status: &Value) -> bool {
    status["ready"] == true
}

async fn recovers(agent: &Workload, what: &str) {
    let took = agent.wait_until(FIVE_SECONDS, ready).await;
    let peak = agent.peak_memory() / 1024 / 1024;
    eprintln!("{what}: a certificate {took:?} after the CA's return, at most {peak} MiB");
}

/// The agent says `reason` and `words` soon after its deadline of two seconds a step, stays small, and
/// gets a certificate within five seconds of the CA's return.
async fn suffers(manner: Manner, reason: &str, words: &str) {
    let (mut scene, impostor) = taken_over_by(manner).await;
    let agent = scene.agent(&["--timeout=2s", "--ttl=1h"]);
    let took = agent
        .wait_until(Duration::from_secs(8), |status| {
            status["failures_in_a_row"].as_u64() >= Some(1)
        })
        .await;
    let failure = agent.status()["last_failure"].clone();
    eprintln!("{manner:?}: after {took:?}: {failure}");
    assert_eq!(failure["reason"], reason);
    assert!(failure["message"].as_str().unwrap().contains(words));
    let (code, said) = agent.get("/readyz");
    assert!(code == 503 && said.contains(words), "{code} {said}");
    agent
        .wait_until(Duration::from_secs(15), |status| {
            status["failures_in_a_row"].as_u64() >= Some(2)
        })
        .await;
    assert!(agent.peak_memory() < MOST, "{} bytes", agent.peak_memory());
    impostor.end().await;
    scene.ca_returns();
    recovers(&agent, &format!("{manner:?}")).await;
}

/// What an agent needs anyway, and a small multiple of what it reads at most.
const MOST: u64 = 64 * 1024 * 1024;

macro_rules! suffers {
    ($($name:ident: $manner:ident, $reason:literal, $words:literal;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            suffers(Manner::$manner, $reason, $words).await;
        }
    )*};
}

suffers! {
    a_black_hole_is_named_and_survived: BlackHole, "deadline", "did not accept a TLS connection within 2s";
    a_mute_server_is_named_and_survived: Mute, "deadline", "did not accept a TLS connection within 2s";
    a_handshake_of_one_byte_per_second_ends_by_the_deadline:
        DrippingHandshake, "deadline", "did not accept a TLS connection within 2s";
    a_handshake_of_a_gigabyte_is_not_read: FloodingHandshake, "handshake", "TLS";
    a_server_that_takes_the_request_and_says_nothing_is_named: Silent, "deadline", "did not answer within 2s";
    an_answer_of_one_byte_per_second_ends_by_the_deadline: DrippingAnswer, "deadline", "did not answer within 2s";
    an_answer_of_a_gigabyte_is_not_read: FloodingAnswer, "bad-answer", "1048576";
    a_gigabyte_of_answers_is_not_kept: FloodingAnswers, "deadline", "did not answer within 2s";
}

/// An attempt that hangs on the impostor, for longer than anybody waits, does not keep the agent from a CA
/// that is back at the same address: nobody hangs up on the old connections.
async fn is_not_held_up_by(manner: Manner) {
    let (mut scene, mut impostor) = taken_over_by(manner).await;
    let agent = scene.agent(&["--timeout=10m", "--ttl=1h"]);
    tokio::time::sleep(FIVE_SECONDS).await;
    assert_eq!(agent.status()["failures_in_a_row"], 0);
    impostor.stop_listening().await;
    scene.ca_returns();
    recovers(&agent, &format!("{manner:?}, still held")).await;
    assert!(look(&scene.out()).is_ok());
    drop(impostor);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_hangs_does_not_hold_up_the_recovery() {
    is_not_held_up_by(Manner::BlackHole).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_hangs_does_not_hold_up_the_recovery() {
    is_not_held_up_by(Manner::Mute).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_hangs_does_not_hold_up_the_recovery() {
    is_not_held_up_by(Manner::Silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_are_looked_after_while_an_attempt_hangs() {
    let mut scene = Scene::new();
    let agent = scene.agent(&["--timeout=10m", "--ttl=1h"]);
    agent.wait_until(FIVE_SECONDS, ready).await;
    scene.ca_goes();
    let impostor = Impostor::start(scene.grpc, Manner::Mute).await;
    agent.signal("HUP");
    impostor.has_company().await;
    std::fs::remove_dir_all(scene.out()).unwrap();
    agent
        .wait_until(FIVE_SECONDS, |_| look(&scene.out()).is_ok())
        .await;
    assert_eq!(agent.status()["failures_in_a_row"], 0);
}
