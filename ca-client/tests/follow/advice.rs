//! The CA asks for early renewal, and names the time in which not all come at once.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use ca_client::Clock as _;
use ca_client::SystemClock;
use proto::certificate::Fingerprint;
use proto::signet::RenewBy;

use crate::pki::Pki;
use crate::scene::Running;
use crate::scene::Scene;
use crate::scene::a_while;
use crate::scene::until;

fn renew_by(issuer: &Pki, spread: Duration) -> Option<RenewBy> {
    Some(RenewBy {
        issuer: Fingerprint::of(issuer.issuing.der()).to_string(),
        since: Some(SystemClock.now().into()),
        spread: Some(spread.try_into().unwrap()),
    })
}

fn activate_b(scene: &Scene) {
    let mut state = scene.ca.state();
    state.signer = Arc::clone(&scene.b);
    state.answered = (Some(6), vec![Arc::clone(&scene.a), Arc::clone(&scene.b)]);
}

#[tokio::test]
async fn it_renews_at_the_moment_drawn_from_the_spread() {
    let spread = Duration::from_secs(3);
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    activate_b(&scene);
    let told = Instant::now();
    scene
        .push_both(|both| both.renew_by = renew_by(&scene.b, spread))
        .await;
    assert_eq!(agent.status.borrow().renewals, 1, "roots before leaves");
    until("a renewal", || agent.status.borrow().renewals == 2).await;
    let took = told.elapsed();
    assert!(took > spread / 2 - Duration::from_millis(700), "{took:?}");
    assert!(took < spread / 2 + Duration::from_millis(700), "{took:?}");
    until("new files", || {
        scene
            .file("cert-chain.pem")
            .ends_with(&scene.b.roots_pem().replace("\r\n", "\n"))
    })
    .await;
    assert!(scene.openssl_agrees());
    a_while().await;
    assert_eq!(agent.status.borrow().renewals, 2);
}

#[tokio::test]
async fn there_is_one_renewal_for_each_advice_whatever_it_brings() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    let advice = renew_by(&scene.b, Duration::ZERO);
    for number in 6..9 {
        let mut again = crate::trust_ca::bundle(number, &[&scene.a, &scene.b]);
        again.renew_by.clone_from(&advice);
        scene.ca.push(again);
        until("acknowledgement", || {
            scene.ca.state().has_acknowledged(number)
        })
        .await;
        a_while().await;
        assert_eq!(agent.status.borrow().renewals, 2, "bundle {number}");
    }
}

#[tokio::test]
async fn a_certificate_of_the_right_issuer_stays() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    scene
        .push_both(|both| both.renew_by = renew_by(&scene.a, Duration::ZERO))
        .await;
    a_while().await;
    assert_eq!(agent.status.borrow().renewals, 1);
}

#[tokio::test]
async fn advice_that_is_taken_back_in_time_does_not_count() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    scene
        .push_both(|both| both.renew_by = renew_by(&scene.b, Duration::from_secs(3)))
        .await;
    scene
        .ca
        .push(crate::trust_ca::bundle(7, &[&scene.a, &scene.b]));
    until("acknowledgement", || scene.ca.state().has_acknowledged(7)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(agent.status.borrow().renewals, 1);
}

#[tokio::test]
async fn a_renewal_that_fails_is_tried_until_it_succeeds() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    {
        let mut state = scene.ca.state();
        state.signer = Arc::new(Pki::new("nobody knows"));
    }
    scene
        .push_both(|both| both.renew_by = renew_by(&scene.b, Duration::ZERO))
        .await;
    until("failures", || agent.status.borrow().failures > 1).await;
    activate_b(&scene);
    until("a renewal", || agent.status.borrow().renewals == 2).await;
}

#[tokio::test]
async fn nobody_comes_early_by_a_draw_of_one() {
    let scene = Scene::new().await;
    let agent = Running::start(scene.builder().jitter_source(|| 1.0));
    until("acknowledgement", || scene.ca.state().has_acknowledged(5)).await;
    scene
        .push_both(|both| {
            both.renew_by = renew_by(&scene.b, Duration::from_secs(u64::from(u32::MAX)));
        })
        .await;
    a_while().await;
    assert_eq!(agent.status.borrow().renewals, 1);
}
