//! Group "clocks": clocks that jump under a running agent, and clocks that differ from the CA's, from outside.
//! Runs through `tests/clocks/run`. The same by a clock with hands is in ca-client's own tests.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

use std::time::Duration;

use serde_json::Value;
use tests::faketime::FakeTime;
use tests::jwt::unix_now;
use tests::scene::Scene;
use tests::workload::Workload;
use tests::workload::look;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const SOON: Duration = Duration::from_secs(20);
const FIVE_SECONDS: Duration = Duration::from_secs(5);
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A scene whose CA goes by the first clock from its next start on, and the clock for an agent.
fn scene() -> Option<(Scene, FakeTime, FakeTime)> {
    let mut scene = Scene::new();
    let ca = FakeTime::new(scene.dir.path(), "ca-time")?;
    let agent = FakeTime::new(scene.dir.path(), "agent-time")?;
    scene.ca_env = ca.env();
    scene.put_token(3 * DAY);
    Some((scene, ca, agent))
}

fn ready(status: &Value) -> bool {
    status["ready"] == true
}

/// Within five seconds there is another certificate than `before`, and the offset is `offset` within one second.
async fn is_renewed(agent: &Workload, before: &str, offset: f64, what: &str) {
    let took = agent
        .wait_until(FIVE_SECONDS, |status| {
            ready(status) && status["certificate"]["serial"] != before
        })
        .await;
    let seen = agent.status()["ca_clock_offset_seconds"].as_f64().unwrap();
    eprintln!("{what}: a certificate after {took:?}, offset {seen:.3} s");
    assert!((seen - offset).abs() < 1.0, "{seen}, expected {offset}");
    let metric = format!(
        "signet_agent_ca_clock_offset_seconds {}",
        agent.status()["ca_clock_offset_seconds"]
    );
    let metrics = agent.get("/metrics").1;
    assert!(
        metrics.contains(metric.split('.').next().unwrap()),
        "{metrics}"
    );
}

async fn first_serial(agent: &Workload) -> String {
    agent.wait_until(SOON, ready).await;
    let status = agent.status();
    status["certificate"]["serial"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn after_a_suspend_of_a_day_a_certificate_is_there_within_five_seconds() {
    let Some((mut scene, ca, agent_time)) = scene() else {
        return;
    };
    let agent = scene.agent_in(&agent_time.env(), &["--ttl=1h"]);
    let before = first_serial(&agent).await;
    scene.ca_goes();
    ca.set(DAY);
    scene.ca_returns();
    agent_time.set(DAY);
    agent
        .wait_until(FIVE_SECONDS, |status| !ready(status))
        .await;
    is_renewed(&agent, &before, 0.0, "a day forward").await;
    assert!(
        agent
            .log()
            .contains("the clock jumped, or the machine slept")
    );
    let metrics = agent.get("/metrics").1;
    assert!(
        metrics.contains("signet_agent_clock_jumps_total 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn after_a_clock_was_set_back_an_hour_what_is_due_comes_within_five_seconds() {
    let Some((mut scene, ca, agent_time)) = scene() else {
        return;
    };
    scene.ca_goes();
    ca.set(HOUR);
    agent_time.set(HOUR);
    scene.ca_returns();
    let agent = scene.agent_in(&agent_time.env(), &["--ttl=4s"]);
    first_serial(&agent).await;
    scene.ca_goes();
    ca.set(0);
    agent_time.set(0);
    scene.ca_returns();
    let held = agent.status()["certificate"]["serial"].clone();
    is_renewed(&agent, held.as_str().unwrap(), 0.0, "an hour back").await;
    let left = agent.status()["certificate"]["remaining_seconds"].as_u64();
    assert!(left < Some(10), "{left:?}");
}

/// An agent whose clock is off by `skew` is ready, knows by how much, and means to renew when half of an
/// hour has really passed; it is also renewed over mutual TLS.
async fn does_not_mind(skew: i32) {
    let Some((mut scene, _ca, agent_time)) = scene() else {
        return;
    };
    scene.ca_goes();
    scene.ca_returns();
    agent_time.set(skew.into());
    let agent = scene.agent_in(&agent_time.env(), &["--ttl=1h"]);
    is_renewed(&agent, "", -f64::from(skew), &format!("skew {skew} s")).await;
    let next = agent.status()["next_attempt"].as_str().unwrap().to_owned();
    let next = OffsetDateTime::parse(&next, &Rfc3339)
        .unwrap()
        .unix_timestamp();
    let here = i64::try_from(unix_now()).unwrap() + i64::from(skew);
    let minutes = (next - here) / 60;
    assert!((26..=34).contains(&minutes), "renewal in {minutes} minutes");
    std::fs::remove_file(scene.dir.path().join("token")).unwrap();
    let before = first_serial(&agent).await;
    agent.signal("HUP");
    is_renewed(&agent, &before, -f64::from(skew), "by certificate").await;
    assert_eq!(agent.status()["last_failure"], Value::Null);
    assert!(look(&scene.out()).is_ok());
}

#[tokio::test]
async fn a_clock_that_is_ten_minutes_ahead_changes_nothing() {
    does_not_mind(600).await;
}

#[tokio::test]
async fn a_clock_that_is_ten_minutes_behind_changes_nothing() {
    does_not_mind(-600).await;
}
