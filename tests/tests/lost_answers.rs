//! A one-time token whose answer is lost on the way: the CA spent it, and the agent still gets its certificate.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

use std::time::Duration;

use tests::poll::until;
use tests::relay::Relay;
use tests::scene::Scene;
use tests::workload::look;

const SOON: Duration = Duration::from_secs(20);

/// Waits until the CA has spent the token, and maybe until the leaf it was spent on is recorded.
async fn spent(scene: &Scene, is_recorded: bool) {
    let ca = scene.ca.as_ref().unwrap();
    let list = [
        "certs",
        "list",
        "--spiffe-id",
        tests::CART,
        "--output",
        "json",
    ];
    let is_listed = async || {
        let listed = ca.operator(&list);
        let is_enough = !is_recorded || !listed.contains("may-exist");
        (listed.contains("\"serial\"") && is_enough).then_some(())
    };
    until("the token is spent", SOON, is_listed).await;
}

/// The certificate is there within `limit` after the connection broke on an agent that waited for its answer.
async fn survives_a_cut(is_recorded: bool, limit: Duration) {
    let scene = Scene::new();
    scene.put_one_time_token();
    let relay = Relay::that_swallows_answers(scene.grpc).await;
    let addr = format!("--ca-addr={}", relay.addr);
    let agent = scene.agent(&[&addr, "--ttl=1h", "--timeout=60s"]);
    spent(&scene, is_recorded).await;
    assert_eq!(agent.status()["ready"], false);
    relay.heal();
    let took = agent
        .wait_until(limit, |status| status["ready"] == true)
        .await;
    eprintln!("recorded {is_recorded}: a certificate {took:?} after the cut");
    assert!(look(&scene.out()).is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_one_time_token_survives_an_answer_that_is_lost_on_the_way() {
    survives_a_cut(true, Duration::from_secs(5)).await;
}

/// The CA takes the request that was cut short for one that it still answers, for five seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_one_time_token_survives_a_cut_in_mid_issuance() {
    survives_a_cut(false, Duration::from_secs(12)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_one_time_token_survives_an_agent_that_is_killed_before_its_answer() {
    let scene = Scene::new();
    scene.put_one_time_token();
    let relay = Relay::that_swallows_answers(scene.grpc).await;
    let addr = format!("--ca-addr={}", relay.addr);
    let mut first = scene.agent(&[&addr, "--ttl=1h", "--timeout=60s"]);
    spent(&scene, true).await;
    first.signal("KILL");
    first.wait();
    relay.heal();
    let second = scene.agent(&[&addr, "--ttl=1h"]);
    second
        .wait_until(SOON, |status| status["ready"] == true)
        .await;
    assert!(look(&scene.out()).is_ok());
    let requested = scene.out().join("..requested-key.pem");
    assert!(!requested.exists(), "the key of the request is gone");
}
