//! Which evidence is shown, and what a refusal or a plea for patience changes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use ca_client::agent::Push;
use tonic::Status;

use crate::CART;
use crate::fake_ca::FakeCa;
use crate::hands::Hands;
use crate::hands::agent_of;
use crate::hands::two_looks;
use crate::hands::until;
use crate::pki::Leaf;

#[tokio::test]
async fn a_refused_token_is_followed_by_the_certificate_which_then_goes_first() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = FakeCa::start(|pki, asked| match asked.authorization.as_deref() {
        Some("Bearer spent") => Err(Status::unauthenticated("spent")),
        _ => Ok(pki.answer(pki.leaf(&asked.csr, &Leaf::named(CART)))),
    })
    .await;
    let agent = agent_of(&ca, &clock, dir.path()).build();
    let (mut status, renew) = (agent.status(), agent.renew_now());
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.renewals == 1).await;
    std::fs::write(dir.path().join("token"), "spent").unwrap();
    two_looks().await;
    for renewals in 2..=3 {
        renew.notify_one();
        until(&mut status, |status| status.renewals == renewals).await;
    }
    let shown: Vec<_> = ca
        .asked()
        .into_iter()
        .map(|asked| (asked.authorization.is_some(), asked.client_certificates))
        .collect();
    assert_eq!(shown, [(true, 0), (true, 0), (false, 2), (false, 2)]);
    assert_eq!(status.borrow().failures, 0);
    running.abort();
}

#[tokio::test]
async fn a_token_that_was_refused_is_not_waited_for_longer_than_it_takes_to_replace_it() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = FakeCa::start(|pki, asked| match asked.authorization.as_deref() {
        Some("Bearer fresh") => Ok(pki.answer(pki.leaf(&asked.csr, &Leaf::named(CART)))),
        _ => Err(Status::unauthenticated("no")),
    })
    .await;
    let agent = agent_of(&ca, &clock, dir.path())
        .jitter_source(|| 1.0)
        .build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.failures == 4).await;
    let failure = status.borrow().last_failure.clone().unwrap();
    assert_eq!(failure.reason, "needs-token");
    assert!(!failure.message.contains("a-token"), "{}", failure.message);
    std::fs::write(dir.path().join("token"), "fresh").unwrap();
    until(&mut status, |status| status.renewals == 1).await;
    running.abort();
}

/// The certificate requests that reach a CA whose first answer is `first`, the next ones being good.
async fn requests_after(first: Status) -> Vec<String> {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let is_first = AtomicBool::new(true);
    let ca = FakeCa::start(move |pki, asked| {
        let issued = pki.answer(pki.leaf(&asked.csr, &Leaf::named(CART)));
        match is_first.swap(false, Ordering::Relaxed) {
            true => Err(first.clone()),
            false => Ok(issued),
        }
    })
    .await;
    let agent = agent_of(&ca, &clock, dir.path()).build();
    let (mut status, renew) = (agent.status(), agent.renew_now());
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.renewals == 1).await;
    renew.notify_one();
    until(&mut status, |status| status.renewals == 2).await;
    running.abort();
    ca.asked().into_iter().map(|asked| asked.csr).collect()
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_key_and_a_renewal_with_another() {
    let asked = requests_after(Status::unavailable("issued, and lost on the way")).await;
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0], asked[1]);
    assert_ne!(asked[1], asked[2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slow_answer_is_not_given_up_for_a_later_refusal() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let is_first = AtomicBool::new(true);
    let (_nobody_sends, never) = std::sync::mpsc::channel::<()>();
    let never = std::sync::Mutex::new(never);
    let ca = FakeCa::start(move |pki, asked| {
        if !is_first.swap(false, Ordering::Relaxed) {
            return Err(Status::aborted("the same request is being answered"));
        }
        let slow = never.lock().unwrap();
        let _nothing_came = slow.recv_timeout(std::time::Duration::from_millis(3800));
        Ok(pki.answer(pki.leaf(&asked.csr, &Leaf::named(CART))))
    })
    .await;
    let agent = agent_of(&ca, &clock, dir.path()).build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.renewals == 1).await;
    assert_eq!(ca.asked().len(), 2, "another attempt was begun beside it");
    assert_eq!(status.borrow().failures, 0);
    running.abort();
}

#[tokio::test]
async fn a_request_that_the_ca_does_not_want_is_not_made_again_with_the_same_key() {
    let asked = requests_after(Status::permission_denied("that key is denied")).await;
    assert_eq!(asked.len(), 3);
    assert_ne!(asked[0], asked[1]);
}

#[tokio::test]
async fn pushback_is_obeyed() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let asked_before = AtomicUsize::new(0);
    let ca = FakeCa::start(move |pki, asked| {
        if asked_before.fetch_add(1, Ordering::Relaxed) == 0 {
            let mut busy = Status::resource_exhausted("busy");
            busy.metadata_mut()
                .insert("retry-after", "60".parse().unwrap());
            return Err(busy);
        }
        Ok(pki.answer(pki.leaf(&asked.csr, &Leaf::named(CART))))
    })
    .await;
    let agent = agent_of(&ca, &clock, dir.path()).build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.failures == 1).await;
    clock.pass(55);
    std::fs::write(dir.path().join("token"), "another").unwrap();
    two_looks().await;
    assert_eq!(ca.asked().len(), 1);
    clock.pass(20);
    until(&mut status, |status| status.renewals == 1).await;
    running.abort();
}

#[tokio::test]
async fn the_name_stays_whatever_token_is_put_there() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = FakeCa::start(|pki, asked| {
        let name = match asked.authorization.as_deref() {
            Some("Bearer of-admin") => "spiffe://cluster.local/ns/shop/sa/admin",
            _ => CART,
        };
        Ok(pki.answer(pki.leaf(&asked.csr, &Leaf::named(name))))
    })
    .await;
    let agent = agent_of(&ca, &clock, dir.path()).build();
    let (mut status, renew) = (agent.status(), agent.renew_now());
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.renewals == 1).await;
    std::fs::write(dir.path().join("token"), "of-admin").unwrap();
    two_looks().await;
    renew.notify_one();
    // Its own certificate brings what the wrong token does not.
    until(&mut status, |status| status.renewals == 2).await;
    let shown: Vec<_> = ca
        .asked()
        .into_iter()
        .map(|asked| asked.client_certificates)
        .collect();
    assert_eq!(shown, [0, 0, 2]);
    let held = status.borrow().certificate.clone().unwrap();
    assert_eq!(held.spiffe_id.as_str(), CART);
    running.abort();
}

#[tokio::test]
async fn a_certificate_that_is_refused_in_the_handshake_is_followed_by_the_token() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    clock.set(-3000);
    let asked_before = AtomicUsize::new(0);
    let ca = FakeCa::start(move |pki, asked| {
        let until = match asked_before.fetch_add(1, Ordering::Relaxed) {
            1 => return Err(Status::unauthenticated("spent")),
            // Expired by the CA's clock, so that its TLS refuses it; good by the agent's.
            2 => -60,
            _ => 3600,
        };
        let leaf = Leaf {
            from: -4000,
            until,
            ..Leaf::named(CART)
        };
        Ok(pki.answer(pki.leaf(&asked.csr, &leaf)))
    })
    .await;
    let agent = agent_of(&ca, &clock, dir.path()).build();
    let (mut status, renew) = (agent.status(), agent.renew_now());
    let running = tokio::spawn(agent.run());
    for renewals in 1..=3 {
        until(&mut status, |status| status.renewals == renewals).await;
        renew.notify_one();
    }
    let shown = ca
        .asked()
        .into_iter()
        .map(|asked| asked.authorization.is_some());
    assert!(shown.take(4).eq([true, true, false, true]));
    running.abort();
}

#[tokio::test]
async fn the_jitter_is_drawn_once_for_each_certificate() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = FakeCa::honest().await;
    let draws = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&draws);
    let draw = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        0.5
    };
    let agent = agent_of(&ca, &clock, dir.path())
        .jitter_source(draw)
        .build();
    let (mut status, renew) = (agent.status(), agent.renew_now());
    let running = tokio::spawn(agent.run());
    // This CA has no stream to follow, which is found out with one draw.
    until(&mut status, |status| status.trust.push == Push::NotOffered).await;
    for renewals in 1..=2 {
        until(&mut status, |status| status.renewals == renewals).await;
        two_looks().await;
        renew.notify_one();
    }
    until(&mut status, |status| status.renewals == 3).await;
    assert_eq!(draws.load(Ordering::Relaxed), 1 + 3);
    running.abort();
}

#[tokio::test]
async fn a_token_that_is_replaced_goes_first_again() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = FakeCa::start(|pki, asked| match asked.authorization.as_deref() {
        Some("Bearer spent") => Err(Status::unauthenticated("spent")),
        _ => Ok(pki.answer(pki.leaf(&asked.csr, &Leaf::named(CART)))),
    })
    .await;
    let agent = agent_of(&ca, &clock, dir.path()).build();
    std::fs::write(dir.path().join("token"), "spent").unwrap();
    let (mut status, renew) = (agent.status(), agent.renew_now());
    let running = tokio::spawn(agent.run());
    for (token, renewals) in [("good", 1), ("spent", 2), ("fresh", 3)] {
        std::fs::write(dir.path().join("token"), token).unwrap();
        two_looks().await;
        renew.notify_one();
        until(&mut status, |status| status.renewals >= renewals).await;
    }
    let last = ca.asked().pop().unwrap();
    assert_eq!(last.authorization.as_deref(), Some("Bearer fresh"));
    running.abort();
}
