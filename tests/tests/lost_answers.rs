//! A one-time token whose answer is lost on the way: the CA spent it, and the agent still gets its certificate.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use tests::poll::until;
use tests::relay::Relay;
use tests::scene::Scene;
use tests::workload::look;

const SOON: Duration = Duration::from_secs(20);

/// Waits until the CA has spent the token on a certificate.
async fn issued(scene: &Scene) {
    let ca = scene.ca.as_ref().unwrap();
    let list = ["certs", "list", "--spiffe-id", tests::CART, "--output", "json"];
    let is_listed = async || ca.operator(&list).contains("\"serial\"").then_some(());
    until("a certificate is issued", SOON, is_listed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_one_time_token_survives_an_answer_that_is_lost_on_the_way() {
    let scene = Scene::new();
    scene.put_one_time_token();
    let relay = Relay::that_swallows_answers(scene.grpc).await;
    let addr = format!("--ca-addr={}", relay.addr);
    let agent = scene.agent(&[&addr, "--ttl=1h", "--timeout=60s"]);
    issued(&scene).await;
    assert_eq!(agent.status()["ready"], false);
    relay.heal();
    agent
        .wait_until(Duration::from_secs(5), |status| status["ready"] == true)
        .await;
    assert!(look(&scene.out()).is_ok());
    assert_eq!(agent.status()["last_failure"]["reason"], "connection-broke");
}
