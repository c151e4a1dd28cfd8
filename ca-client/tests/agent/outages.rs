//! A CA that is not there, in all the ways there are.

use std::time::Duration;
use std::time::Instant;

use ca_client::CaClient;

use crate::CART;
use crate::fake_ca::FakeCa;
use crate::hands::Hands;
use crate::hands::agent_by;
use crate::hands::until;
use crate::pki::Leaf;

#[tokio::test]
async fn a_ca_that_swallows_requests_is_complained_about_though_the_next_attempt_waits_already() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = FakeCa::silent().await;
    let request = CaClient::builder(ca.address()).answer_deadline(Duration::from_secs(4));
    let agent = agent_by(request, &ca, &clock, dir.path()).build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.failures > 0).await;
    let seen = status.borrow().clone();
    assert_eq!(seen.last_failure.as_ref().unwrap().reason, "deadline");
    assert_eq!(seen.attempts, 2, "begun beside the first");
    let why = seen.not_ready(crate::pki::moment(0)).unwrap();
    assert!(why.contains("did not answer within 4s"), "{why}");
    running.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn roots_that_cannot_be_read_for_a_moment_do_not_end_an_attempt_that_is_only_slow() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let (_nobody_sends, never) = std::sync::mpsc::channel::<()>();
    let never = std::sync::Mutex::new(never);
    let ca = FakeCa::start(move |pki, asked| {
        let slow = never.lock().unwrap();
        let _nothing_came = slow.recv_timeout(Duration::from_millis(3800));
        Ok(pki.answer(pki.leaf(&asked.csr, &Leaf::named(CART))))
    })
    .await;
    let roots = dir.path().join("roots.pem");
    std::fs::write(&roots, ca.pki.roots_pem()).unwrap();
    let agent = agent_by(CaClient::builder(ca.address()), &ca, &clock, dir.path())
        .first_contact(ca_client::agent::FirstContact::roots_file(&roots))
        .build();
    let mut status = agent.status();
    let (running, start) = (tokio::spawn(agent.run()), Instant::now());
    while ca.asked().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(3), "nothing is asked");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    std::fs::remove_file(&roots).unwrap();
    until(&mut status, |status| status.attempts == 2).await;
    until(&mut status, |status| status.renewals == 1).await;
    assert_eq!(status.borrow().failures, 0);
    running.abort();
}
