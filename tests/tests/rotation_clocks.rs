//! Group "clocks": the server's clock is set forward and back in the middle of a rotation. Neither opens a gate that
//! waits for leaves to die, and neither stops the signing. Runs through `tests/clocks/run`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tests::CART;
use tests::agent::Agent;
use tests::agent::key_and_csr;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::cacerts::Cacerts;
use tests::faketime::FakeTime;
use tests::follower::Enrolled;
use tests::follower::Follower;
use tests::poll::until;
use tests::rotation::signer;
use tests::rotation::status;
use tests::witness::Witness;
use tonic::Code;

const LIMIT: Duration = Duration::from_secs(30);
const HOUR: i64 = 3600;
/// How long the leaf lives that somebody holds: less than the clock jumps.
const TEN_MINUTES: i64 = 600;

/// A plugged-in CA by a clock of its own, and an agent with a leaf of it. Its roots are older than any jump.
struct House {
    dir: TempDir,
    time: FakeTime,
    ca: TestCa,
    old: String,
    agent: Enrolled,
}

impl House {
    async fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let time = FakeTime::new(dir.path(), "ca-time")?;
        bundle().write(&dir.path().join("cacerts"));
        let ca = start(&dir, &time);
        let agent = Enrolled::new(&ca, CART, 1, TEN_MINUTES).await;
        Some(Self {
            old: signer(&status(&ca), "active"),
            dir,
            time,
            ca,
            agent,
        })
    }

    /// Other files come, and their root is published.
    async fn distribute(&self) {
        bundle().write(&self.dir.path().join("cacerts"));
        self.reaches("distribute").await;
        assert_eq!(self.roots(), 2);
    }

    async fn reaches(&self, phase: &str) {
        until(phase, LIMIT, async || {
            (status(&self.ca)["phase"] == phase).then_some(())
        })
        .await;
    }

    /// The agent says that it uses what it is told.
    async fn acknowledges(&self) {
        let mut follower = Follower::of(&self.ca, &self.agent).await.unwrap();
        let told = follower.next().await.unwrap();
        follower.say(self.agent.serves(told.number)).await;
        until("a word", LIMIT, async || {
            (self.ca.metric("signet_acknowledgements_total") > 0).then_some(())
        })
        .await;
    }

    /// Sets the clock. When this returns, the conductor has seen it several times, and whoever listens has a certificate
    /// by it.
    async fn set_clock(&self, seconds: i64) {
        self.time.set(seconds);
        let looks = || self.ca.metric("signet_ca_bundle_looks");
        let before = looks();
        until("some looks", LIMIT, async || {
            (looks() > before + 3).then_some(())
        })
        .await;
    }

    fn roots(&self) -> usize {
        self.ca.roots_pem().matches("BEGIN").count()
    }

    /// A leaf by whoever asks now. Whose clock is right may not believe the server's certificate.
    async fn signs(&self) -> Witness {
        let token = self.ca.token(CART);
        let mut agent = Agent::connect_unverified(self.ca.grpc, &[&token]).await;
        Witness::in_pem(&agent.create(&key_and_csr(CART).1, 60).await.unwrap())
    }

    /// The gate of this step waits for the agent's leaf.
    fn waits_for_the_agent(&self, step: &str) -> Value {
        let status = status(&self.ca);
        let steps = status["steps"].as_array().unwrap();
        let found = steps.iter().find(|it| it["step"] == step).unwrap().clone();
        assert_eq!(found["open"], false, "{status:#}");
        assert!(found.to_string().contains(CART), "{status:#}");
        status
    }
}

fn bundle() -> Cacerts {
    Cacerts::valid(-20_000..10_000_000)
}

fn start(dir: &TempDir, time: &FakeTime) -> TestCa {
    let flags = [
        "--min-ttl=1s",
        "--default-ttl=10m",
        "--max-ttl=20m",
        "--reload-interval=1s",
        "--unrecorded-ttl=0s",
    ];
    TestCa::start_with(Setup {
        root_ca_dir: Some(dir.path().join("cacerts")),
        data_dir: Some(dir.path().join("data")),
        flags: flags.map(str::to_owned).to_vec(),
        env: time.env(),
        ..Setup::default()
    })
}

#[tokio::test]
async fn a_clock_set_forward_an_hour_while_a_root_is_distributed_opens_no_gate() {
    let Some(house) = House::new().await else {
        return;
    };
    house.distribute().await;
    house.set_clock(HOUR).await;
    let status = house.waits_for_the_agent("activate");
    assert_eq!(signer(&status, "active"), house.old);
    let _leaf = house.signs().await;
    // Right again, and the agent's word is what opens it.
    house.set_clock(0).await;
    house.acknowledges().await;
    house.reaches("drain").await;
}

#[tokio::test]
async fn a_clock_set_forward_an_hour_while_leaves_run_out_retires_nobody() {
    let Some(house) = House::new().await else {
        return;
    };
    house.distribute().await;
    house.acknowledges().await;
    house.reaches("drain").await;
    house.set_clock(HOUR).await;
    let status = house.waits_for_the_agent("retire");
    assert_eq!(signer(&status, "draining"), house.old);
    assert_eq!(house.roots(), 2);
    Witness::of(&house.agent).insist(&house.ca.roots_pem(), "an hour ahead");
}

#[tokio::test]
async fn a_clock_set_back_an_hour_while_a_root_is_distributed_stops_no_signing() {
    let Some(house) = House::new().await else {
        return;
    };
    house.distribute().await;
    let number = house.ca.metric("signet_trust_bundle_number");
    house.set_clock(-HOUR).await;
    house.waits_for_the_agent("activate");
    let leaf = house.signs().await;
    assert!(leaf.not_after + 3000 < Witness::of(&house.agent).not_after);
    assert_eq!(house.ca.metric("signet_trust_bundle_number"), number);
    house.set_clock(0).await;
    house
        .signs()
        .await
        .insist(&house.ca.roots_pem(), "right again");
}

#[tokio::test]
async fn a_clock_set_back_an_hour_while_leaves_run_out_stops_no_signing_and_takes_no_root_away() {
    let Some(house) = House::new().await else {
        return;
    };
    house.distribute().await;
    house.acknowledges().await;
    house.reaches("drain").await;
    let number = house.ca.metric("signet_trust_bundle_number");
    house.set_clock(-HOUR).await;
    let _leaf = house.signs().await;
    house.waits_for_the_agent("retire");
    assert!(house.ca.metric("signet_trust_bundle_number") >= number);
    Witness::of(&house.agent).insist(&house.ca.roots_pem(), "an hour behind");
}

#[tokio::test]
async fn a_clock_set_back_to_before_the_ca_was_made_is_named_and_once_it_is_right_all_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let Some(time) = FakeTime::new(dir.path(), "ca-time") else {
        return;
    };
    let ca = start(&dir, &time);
    let _started = ca.operator(&["rotate", "start"]);
    let ask = async || {
        let token = ca.token(CART);
        let mut agent = Agent::connect_unverified(ca.grpc, &[&token]).await;
        agent.create(&key_and_csr(CART).1, 60).await
    };
    time.set(-HOUR);
    let refused = ask().await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("not valid before"), "{refused}");
    time.set(0);
    let leaf = Witness::in_pem(&ask().await.unwrap());
    leaf.insist(&ca.roots_pem(), "the clock is right again");
    let _activated = ca.operator(&["rotate", "activate"]);
}
