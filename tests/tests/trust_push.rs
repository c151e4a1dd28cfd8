//! Whoever follows the trust bundle is told at once and believed as far as it proves who it is, and a watcher that
//! misbehaves costs nobody anything.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use tests::CART;
use tests::agent::tls_config;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::follower::Enrolled;
use tests::follower::Follower;
use tests::follower::connect;
use tests::poll::until;
use tests::witness::Witness;
use tonic::Code;

const LIMIT: Duration = Duration::from_secs(60);
const HOUR: i64 = 3600;
const TILL: &str = "spiffe://cluster.local/ns/shop/sa/till";

fn ca_with(flags: &[&str]) -> TestCa {
    TestCa::start_with(Setup {
        flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        ..Setup::default()
    })
}

/// Whether the next signer could sign now.
fn is_open(ca: &TestCa) -> bool {
    let status = ca.operator(&["rotate", "status", "--output", "json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    status["steps"][0]["open"] == true
}

async fn wait_until_open(ca: &TestCa, wanted: bool) {
    until("the gate", LIMIT, async || {
        (is_open(ca) == wanted).then_some(())
    })
    .await;
}

/// A CA in the middle of a rotation, one agent, and the numbers of the trust bundles before and after.
async fn rotating() -> (TestCa, Enrolled, Follower, (u64, u64)) {
    let ca = TestCa::start();
    let agent = Enrolled::new(&ca, CART, 1, HOUR).await;
    let mut follower = Follower::of(&ca, &agent).await.unwrap();
    let before = follower.next().await.unwrap();
    // Without its key the old root signs the new one not across, which would open the gate at once.
    std::fs::remove_file(ca.data_dir.join("ca/root-key.pem")).unwrap();
    let _started = ca.operator(&["rotate", "start"]);
    let after = follower.next().await.unwrap();
    assert!(before.number < after.number);
    assert_eq!(after.domains["cluster.local"].certificates.len(), 2);
    (ca, agent, follower, (before.number, after.number))
}

#[tokio::test]
async fn the_last_word_of_an_agent_opens_the_gate_and_shuts_it_again() {
    let (ca, agent, follower, (before, after)) = rotating().await;
    assert!(!is_open(&ca));
    for (bundle, open) in [(after, true), (before, false), (after, true)] {
        follower.say(agent.serves(bundle)).await;
        wait_until_open(&ca, open).await;
    }
}

#[tokio::test]
async fn an_instance_id_is_worth_nothing_under_another_name() {
    let (ca, agent, follower, (_, after)) = rotating().await;
    let thief = Enrolled::new(&ca, TILL, 1, HOUR).await;
    let other = Follower::of(&ca, &thief).await.unwrap();
    other.say(thief.serves(after)).await;
    let heard = || ca.metric("signet_acknowledgements_total");
    until("a word", LIMIT, async || (heard() == 1).then_some(())).await;
    assert!(!is_open(&ca), "one speaks for another");
    follower.say(agent.serves(after)).await;
    wait_until_open(&ca, true).await;
    other.say(thief.serves(after)).await;
    until("a word", LIMIT, async || (heard() == 3).then_some(())).await;
    assert!(is_open(&ca), "one silences another");
}

#[tokio::test]
async fn the_word_of_an_agent_that_vanished_counts_and_its_leaf_is_waited_for() {
    let (ca, agent, follower, (_, after)) = rotating().await;
    follower.say(agent.serves(after)).await;
    wait_until_open(&ca, true).await;
    drop(follower);
    until("nobody", LIMIT, async || {
        (ca.metric("signet_watchers") == 0).then_some(())
    })
    .await;
    assert!(is_open(&ca));
    let _activated = ca.operator(&["rotate", "activate"]);
    let refused = ca.try_operator(&["rotate", "retire"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains(CART), "{said}");
    let roots = ca.roots_pem();
    assert_eq!(roots.matches("BEGIN").count(), 2);
    Witness::of(&agent).insist(&roots, "it may come back");
}

#[tokio::test]
async fn what_cannot_be_so_is_refused() {
    let (ca, agent, _follower, (_, after)) = rotating().await;
    let not_hex = proto::signet::WatchTrustBundleRequest {
        instance: "X".repeat(32),
        in_use: None,
    };
    let mut odd = agent.serves(after);
    odd.in_use.as_mut().unwrap().serial = "no serial".to_owned();
    for said in [agent.serves(after + 1), not_hex, odd] {
        let follower = Follower::of(&ca, &agent).await.unwrap();
        follower.say(said.clone()).await;
        let status = follower.end().await;
        assert_eq!(status.code(), Code::InvalidArgument, "{said:?}: {status}");
    }
    let follower = Follower::of(&ca, &agent).await.unwrap();
    follower.say(agent.serves(after)).await;
    let mut other = agent.serves(after);
    other.instance = "0".repeat(32);
    follower.say(other).await;
    assert_eq!(follower.end().await.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn whoever_is_denied_is_sent_away_at_its_next_word_and_not_believed() {
    let (ca, agent, follower, (_, after)) = rotating().await;
    let _denied = ca.operator(&["certs", "deny", "--spiffe-id", CART]);
    follower.say(agent.serves(after)).await;
    assert_eq!(follower.end().await.code(), Code::Unauthenticated);
    assert!(!is_open(&ca));
    let again = Follower::of(&ca, &agent).await.map(drop).unwrap_err();
    assert_eq!(again.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_leaf_that_expires_under_a_stream_says_nothing_more() {
    let ca = ca_with(&["--min-ttl=1s"]);
    let agent = Enrolled::new(&ca, CART, 1, 2).await;
    let mut follower = Follower::of(&ca, &agent).await.unwrap();
    let bundle = follower.next().await.unwrap().number;
    let said = until("the end", LIMIT, async || {
        let word = follower.requests.try_send(agent.serves(bundle));
        word.is_err().then_some(())
    });
    said.await;
    assert_eq!(follower.end().await.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_watcher_that_has_said_all_ends_the_stream() {
    let (_ca, agent, follower, (_, after)) = rotating().await;
    follower.say(agent.serves(after)).await;
    let Follower { answers, requests } = follower;
    drop(requests);
    let mut answers = answers;
    while let Some(_told) = answers.message().await.unwrap() {}
}

#[tokio::test]
async fn words_are_taken_at_a_pace_however_many_there_are() {
    let (ca, agent, follower, (before, after)) = rotating().await;
    let start = Instant::now();
    for number in 0..1000 {
        let bundle = if number % 2 == 0 { before } else { after };
        let _full = follower.requests.try_send(agent.serves(bundle));
    }
    let taken = until("some words", LIMIT, async || {
        let taken = ca.metric("signet_acknowledgements_total");
        (taken >= 5).then_some(taken)
    })
    .await;
    let most = start.elapsed().as_millis() / 100 + 2;
    assert!(u128::from(taken) <= most, "{taken} of at most {most}");
}

#[tokio::test]
async fn one_connection_has_some_streams_and_no_more() {
    let ca = TestCa::start();
    let agent = Enrolled::new(&ca, CART, 1, HOUR).await;
    let config = Arc::new(tls_config(&ca.roots_pem(), Some(agent.identity.clone())));
    let channel = connect(ca.grpc, &config, None).await.unwrap();
    let mut followers = Vec::new();
    let refused = loop {
        match Follower::over(channel.clone()).await {
            Ok(follower) => followers.push(follower),
            Err(status) => break status,
        }
    };
    assert_eq!(
        (refused.code(), followers.len()),
        (Code::ResourceExhausted, 16)
    );
    drop(followers);
    until("a free place", LIMIT, async || {
        Follower::over(channel.clone()).await.ok()
    })
    .await;
}

#[tokio::test]
async fn a_watcher_that_does_not_read_is_let_go_and_holds_up_nobody() {
    let (ca, agent, mut follower, _) = rotating().await;
    let config = Arc::new(tls_config(&ca.roots_pem(), Some(agent.identity.clone())));
    let channel = connect(ca.grpc, &config, Some(1)).await.unwrap();
    let silent = Follower::over(channel).await.unwrap();
    for _ in 0..2 {
        let _aborted = ca.operator(&["rotate", "abort"]);
        let _started = ca.operator(&["rotate", "start"]);
    }
    for _ in 0..4 {
        let _told = follower.next().await.unwrap();
    }
    until("one watcher less", LIMIT, async || {
        (ca.metric("signet_watchers") == 1).then_some(())
    })
    .await;
    drop(silent);
}

#[tokio::test]
async fn a_stream_outlives_the_deadline_of_requests_and_ends_when_the_server_stops() {
    let mut ca = ca_with(&["--request-timeout=1s"]);
    let agent = Enrolled::new(&ca, CART, 1, HOUR).await;
    let mut followers = Vec::new();
    for _ in 0..10 {
        let mut follower = Follower::of(&ca, &agent).await.unwrap();
        let _first = follower.next().await.unwrap();
        followers.push(follower);
    }
    let start = Instant::now();
    until("some time", LIMIT, async || {
        (start.elapsed() > Duration::from_millis(1500)).then_some(())
    })
    .await;
    let _started = ca.operator(&["rotate", "start"]);
    for follower in &mut followers {
        assert_eq!(follower.next().await.unwrap().domains.len(), 1);
    }
    ca.signal("TERM");
    for follower in followers {
        let status = follower.end().await;
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(status.message().contains("is stopping"), "{status}");
    }
    assert!(ca.wait());
}
