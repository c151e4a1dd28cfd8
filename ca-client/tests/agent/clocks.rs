//! Suspend, jumps and skew.

use std::time::Duration;

use crate::fake_ca::FakeCa;
use crate::hands::Hands;
use crate::hands::agent_of;
use crate::hands::ca_by;
use crate::hands::two_looks;
use crate::hands::until;

/// Runs an agent until it has its first certificate, does `event` to the clock, and insists on a second
/// certificate within five seconds.
async fn renews_after(event: impl FnOnce(&Hands)) {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = ca_by(clock.clone()).await;
    let agent = agent_of(&ca, &clock, dir.path()).build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.renewals == 1).await;
    event(&clock);
    until(&mut status, |status| status.renewals == 2).await;
    running.abort();
}

#[tokio::test]
async fn after_a_days_sleep_a_new_certificate_comes_within_five_seconds() {
    renews_after(|clock| clock.sleep(40_000, true)).await;
}

#[tokio::test]
async fn the_same_where_the_steady_clock_sleeps_too() {
    renews_after(|clock| clock.sleep(40_000, false)).await;
}

#[tokio::test]
async fn a_clock_set_back_an_hour_does_not_put_off_what_is_due() {
    renews_after(|clock| {
        clock.set(-3600);
        clock.pass(1801);
    })
    .await;
}

#[tokio::test]
async fn a_clock_set_back_an_hour_makes_nothing_due_by_itself() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = ca_by(Hands::default()).await;
    let agent = agent_of(&ca, &clock, dir.path()).build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.renewals == 1).await;
    clock.set(-3600);
    until(&mut status, |status| status.clock_jumps == 1).await;
    two_looks().await;
    assert_eq!(ca.asked().len(), 1);
    running.abort();
}

/// An agent whose clock is off by `skew` renews at half of the life, and knows the offset.
async fn renews_on_time_with(skew: i64) {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    clock.set(skew);
    let ca = FakeCa::honest().await;
    let agent = agent_of(&ca, &clock, dir.path()).build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.renewals == 1).await;
    let offset = status.borrow().ca_clock_offset.unwrap();
    assert!((offset + skew as f64).abs() < 1.0, "{offset} at {skew}");
    clock.pass(1790);
    two_looks().await;
    assert_eq!(ca.asked().len(), 1, "too early, skew {skew}");
    clock.pass(20);
    until(&mut status, |status| status.renewals == 2).await;
    running.abort();
}

#[tokio::test]
async fn a_skew_of_ten_minutes_changes_nothing() {
    for skew in [-590, 590] {
        renews_on_time_with(skew).await;
    }
}

#[tokio::test]
async fn a_certificate_that_begins_later_by_a_slow_clock_is_shown_all_the_same() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    clock.set(-590);
    let ca = FakeCa::honest().await;
    let agent = agent_of(&ca, &clock, dir.path()).build();
    let (mut status, renew) = (agent.status(), agent.renew_now());
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.renewals == 1).await;
    std::fs::remove_file(dir.path().join("token")).unwrap();
    renew.notify_one();
    until(&mut status, |status| status.renewals == 2).await;
    assert_eq!(ca.asked()[1].client_certificates, 2);
    running.abort();
}

#[tokio::test]
async fn a_clock_a_day_ahead_keeps_the_certificate_and_recovers_when_it_is_put_right() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = FakeCa::honest().await;
    let agent = agent_of(&ca, &clock, dir.path()).build();
    let (mut status, svids) = (agent.status(), agent.svids());
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.renewals == 1).await;
    let first = svids.borrow().clone().unwrap().serial();
    clock.set(86_400);
    until(&mut status, |status| status.failures > 0).await;
    assert_eq!(svids.borrow().clone().unwrap().serial(), first);
    clock.set(-86_400);
    let since = until(&mut status, |status| status.clock_jumps == 2).await;
    assert!(since < Duration::from_secs(5));
    until(&mut status, |status| {
        status.not_ready(crate::pki::moment(0)).is_none()
    })
    .await;
    running.abort();
}

#[tokio::test]
async fn a_clock_that_was_set_is_not_taken_for_as_wrong_as_before() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    clock.set(-500);
    let ca = FakeCa::honest().await;
    let agent = agent_of(&ca, &clock, dir.path()).build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.ca_clock_offset.is_some()).await;
    clock.set(500);
    until(&mut status, |status| status.clock_jumps == 1).await;
    assert_eq!(status.borrow().ca_clock_offset, None);
    running.abort();
}

#[tokio::test]
async fn a_clock_set_back_an_hour_under_a_spent_token_does_not_stop_renewal() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = FakeCa::start(|pki, asked| match asked.authorization.as_deref() {
        Some("Bearer spent") => Err(tonic::Status::unauthenticated("spent")),
        _ => Ok(pki.answer(pki.leaf(&asked.csr, &crate::pki::Leaf::named(crate::CART)))),
    })
    .await;
    let agent = agent_of(&ca, &clock, dir.path()).build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.renewals == 1).await;
    std::fs::write(dir.path().join("token"), "spent").unwrap();
    // The CA's clock is right, so its new certificates begin an hour ahead of ours.
    clock.pass(1810);
    clock.set(-1810 - 3600);
    until(&mut status, |status| status.renewals == 2).await;
    let offset = status.borrow().ca_clock_offset.unwrap();
    assert!((offset - 3600.0).abs() < 1.0, "{offset}");
    running.abort();
}

#[tokio::test]
async fn what_ends_by_our_own_clock_before_it_is_due_is_renewed_when_it_ends() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    clock.set(2000);
    let ca = FakeCa::honest().await;
    let agent = agent_of(&ca, &clock, dir.path()).build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.renewals == 1).await;
    clock.pass(1590);
    two_looks().await;
    assert_eq!(ca.asked().len(), 1, "too early");
    // What the CA signs now would end then, too, but for the seconds that the test took.
    clock.pass(15);
    until(&mut status, |status| status.attempts > 1).await;
    running.abort();
}

#[tokio::test]
async fn a_renewal_that_is_always_due_is_no_hot_loop() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = FakeCa::honest().await;
    let agent = agent_of(&ca, &clock, dir.path())
        .renewal(ca_client::agent::Renewal::new(1e-9, 0.0).unwrap())
        .build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| {
        status.renewals >= 1 && status.next_attempt > status.last_success
    })
    .await;
    let status = status.borrow().clone();
    let wait = status
        .next_attempt
        .unwrap()
        .duration_since(status.last_success.unwrap());
    assert!(wait.unwrap() >= Duration::from_millis(50));
    running.abort();
}
