//! Roots come at once, beside the same certificate, and never go back.

use std::sync::Arc;

use crate::scene::Running;
use crate::scene::Scene;
use crate::scene::a_while;
use crate::scene::until;
use crate::trust_ca::bundle;

#[tokio::test]
async fn pushed_roots_come_beside_the_same_certificate_and_key() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    let (serial, key) = (agent.serial(), scene.file("key.pem"));
    scene.push_both(|_| {}).await;
    assert!(scene.has_roots(&[&scene.a, &scene.b]));
    assert_eq!((agent.serial(), scene.file("key.pem")), (serial, key));
    assert!(scene.openssl_agrees());
    let chain = scene.file("cert-chain.pem");
    assert!(chain.ends_with(&scene.a.roots_pem().replace("\r\n", "\n")));
    let svid = agent.svids.borrow().clone().unwrap();
    assert_eq!(svid.roots().len(), 2, "watchers have them, too");
    assert_eq!(agent.status.borrow().trust.acknowledged, Some(6));
    assert_eq!(scene.ca.state().asked_by.len(), 1, "nothing was asked for");
}

#[tokio::test]
async fn an_older_push_changes_nothing() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    scene.push_both(|_| {}).await;
    scene.ca.push(bundle(5, &[&scene.a]));
    a_while().await;
    assert!(scene.has_roots(&[&scene.a, &scene.b]));
    assert_eq!(agent.status.borrow().trust.number, Some(6));
}

#[tokio::test]
async fn a_late_answer_brings_its_leaf_but_not_its_roots() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    scene.push_both(|_| {}).await;
    let before = agent.serial();
    agent.renewed().await;
    until("the new leaf", || agent.serial() != before).await;
    until("its acknowledgement", || {
        scene
            .ca
            .state()
            .acknowledged()
            .last()
            .map(|it| it.serial.clone())
            == agent.serial()
    })
    .await;
    assert!(scene.has_roots(&[&scene.a, &scene.b]));
    assert_eq!(scene.ca.state().acknowledged().last().unwrap().bundle, 6);
    assert!(scene.openssl_agrees());
}

#[tokio::test]
async fn a_late_answer_after_a_restart_leads_back_no_more_than_before() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    scene.push_both(|_| {}).await;
    agent.stop().await;
    scene.ca.state().is_mute = true;
    let again = Running::start(scene.builder_when_free().await);
    until("a stored certificate", || again.serial().is_some()).await;
    let before = again.serial();
    again.renewed().await;
    assert_ne!(again.serial(), before);
    assert_eq!(again.svids.borrow().clone().unwrap().roots().len(), 2);
    assert_eq!(again.status.borrow().trust.number, Some(6));
}

#[tokio::test]
async fn a_late_answer_whose_leaf_leads_elsewhere_is_refused_and_asked_for_again() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    scene.push_both(|_| {}).await;
    scene.ca.push(bundle(7, &[&scene.a]));
    until("bundle 7", || agent.status.borrow().trust.number == Some(7)).await;
    let before = agent.serial();
    {
        let mut state = scene.ca.state();
        state.signer = Arc::clone(&scene.b);
        state.answered = (Some(6), vec![Arc::clone(&scene.a), Arc::clone(&scene.b)]);
    }
    let (reason, message) = agent.refused().await;
    assert_eq!(reason, "bad-answer");
    assert!(
        message.contains("trust bundle 6, and 7 is known"),
        "{message}"
    );
    assert_eq!(agent.serial(), before);
    scene.ca.state().answered.0 = Some(8);
    agent.renewed().await;
    until("the new roots", || scene.has_roots(&[&scene.a, &scene.b])).await;
}

#[tokio::test]
async fn a_newer_answer_brings_leaf_and_roots_in_one_swap() {
    let scene = Scene::new().await;
    scene.ca.state().is_mute = true;
    let agent = Running::start(scene.builder());
    until("files", || scene.has_roots(&[&scene.a])).await;
    {
        let mut state = scene.ca.state();
        state.signer = Arc::clone(&scene.b);
        state.answered = (Some(9), vec![Arc::clone(&scene.a), Arc::clone(&scene.b)]);
    }
    let generation = std::fs::read_link(scene.out().join("..data")).unwrap();
    agent.renewed().await;
    until("the next generation", || {
        std::fs::read_link(scene.out().join("..data")).unwrap() != generation
    })
    .await;
    assert!(scene.has_roots(&[&scene.b, &scene.a]) && scene.openssl_agrees());
    assert_eq!(agent.status.borrow().trust.number, Some(9));
}

#[tokio::test]
async fn roots_that_share_nothing_with_those_that_authenticated_the_ca_are_refused_whatever_their_number()
 {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    {
        let mut state = scene.ca.state();
        state.signer = Arc::clone(&scene.b);
        state.answered = (Some(9), vec![Arc::clone(&scene.b)]);
    }
    let (reason, message) = agent.refused().await;
    assert_eq!(reason, "bad-answer");
    assert!(
        message.contains("root that is not trusted here"),
        "{message}"
    );
    assert!(scene.has_roots(&[&scene.a]));
}

#[tokio::test]
async fn a_ca_that_does_not_count_gives_its_roots_with_each_answer() {
    let scene = Scene::counting_from(None).await;
    scene.ca.state().offers_push = false;
    let agent = Running::start(scene.builder());
    until("files", || scene.has_roots(&[&scene.a])).await;
    let both = vec![Arc::clone(&scene.a), Arc::clone(&scene.b)];
    scene.ca.state().answered = (None, both);
    agent.renewed().await;
    until("both roots", || scene.has_roots(&[&scene.a, &scene.b])).await;
    scene.ca.state().answered = (None, vec![Arc::clone(&scene.a)]);
    agent.renewed().await;
    until("one root", || scene.has_roots(&[&scene.a])).await;
    assert_eq!(agent.status.borrow().trust.number, None);
}
