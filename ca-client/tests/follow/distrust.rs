//! A key in wrong hands must not authenticate the CA; and who is left behind is told so.

use std::sync::Arc;
use std::time::Duration;

use ca_client::CaClient;
use ca_client::Clock as _;
use ca_client::Credential;
use ca_client::OutputDir;
use ca_client::SystemClock;
use ca_client::files::OutputOptions;
use proto::certificate::Fingerprint;

use crate::pki::Pki;
use crate::scene::Running;
use crate::scene::Scene;
use crate::scene::until;
use crate::trust_ca::bundle;

fn root_of(pki: &Pki) -> String {
    Fingerprint::of(pki.root.der()).to_string()
}

#[tokio::test]
async fn a_distrusted_root_stays_for_workloads_and_authenticates_no_ca_also_after_a_restart() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    scene.push_both(|_| {}).await;
    scene.ca.state().shown = Arc::clone(&scene.b);
    let streams = scene.ca.state().streams.0;
    let mut tainted = bundle(6, &[&scene.a, &scene.b]);
    tainted.distrusted = vec![root_of(&scene.a)];
    scene.ca.push(tainted);
    until("another stream", || scene.ca.state().streams.0 > streams).await;
    assert!(
        scene.ca.state().streams.1 > 0,
        "the first was ended in good order"
    );
    let hints = scene.ca.state().hints.last().cloned().flatten().unwrap();
    assert_eq!(hints, [name_of(&scene.b)], "only B is asked for");
    assert!(scene.has_roots(&[&scene.a, &scene.b]));
    scene.ca.state().answered.0 = Some(6);
    agent.renewed().await;

    scene.ca.state().shown = Arc::clone(&scene.a);
    assert_eq!(agent.refused().await.0, "ca-not-trusted");
    scene.ca.push(bundle(7, &[&scene.a, &scene.b]));
    agent.stop().await;
    let again = Running::start(scene.builder_when_free().await);
    until("a stored certificate", || again.serial().is_some()).await;
    assert_eq!(again.refused().await.0, "ca-not-trusted");
    assert!(scene.has_roots(&[&scene.a, &scene.b]));
}

#[tokio::test]
async fn who_is_distrusted_in_a_bundle_that_does_not_fit_yet_is_not_the_ca_from_then_on() {
    let mut scene = Scene::new().await;
    scene.patience = Duration::from_secs(60);
    let agent = scene.settled().await;
    scene.push_both(|_| {}).await;
    {
        let mut state = scene.ca.state();
        (state.shown, state.stalls) = (Arc::clone(&scene.b), true);
    }
    let mut away = bundle(7, &[&scene.b]);
    away.distrusted = vec![root_of(&scene.a)];
    scene.ca.push(away);
    until("the refusal", || agent.status.borrow().trust.refused > 0).await;
    until("nobody to ask for A", || {
        let hints = scene.ca.state().hints.last().cloned().flatten();
        hints.unwrap() == [name_of(&scene.b)]
    })
    .await;
    until("the next run to know", || {
        let kept = scene.file("..data/trust-bundle.json");
        kept.contains(&root_of(&scene.a)) && kept.contains("\"number\":6")
    })
    .await;
    assert!(scene.has_roots(&[&scene.a, &scene.b]));
}

#[tokio::test]
async fn a_single_fetch_goes_on_from_what_the_agent_knew() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    let taint = vec![root_of(&scene.a)];
    scene.ca.state().shown = Arc::clone(&scene.b);
    scene
        .push_both(|both| both.distrusted.clone_from(&taint))
        .await;
    agent.stop().await;
    let request = || {
        CaClient::builder(scene.ca.addr.to_string().parse().unwrap())
            .credential(Credential::token("a-token"))
            .going_on_from(&scene.out())
            .unwrap()
            .build()
            .unwrap()
    };
    scene.ca.state().shown = Arc::clone(&scene.a);
    assert_eq!(
        request().enrol().await.unwrap_err().reason(),
        "ca-not-trusted"
    );
    scene.ca.state().shown = Arc::clone(&scene.b);
    let enrolled = request().enrol().await.unwrap();
    assert_eq!((enrolled.bundle, enrolled.svid.roots().len()), (Some(6), 2));
    let out = OutputDir::open(scene.out(), OutputOptions::default()).unwrap();
    out.write_enrolled(&enrolled, SystemClock.now()).unwrap();
    assert!(scene.file("..data/trust-bundle.json").contains(&taint[0]));
    assert!(scene.has_roots(&[&scene.a, &scene.b]));
}

#[tokio::test]
async fn an_agent_that_was_left_behind_says_what_it_knows_what_it_sees_and_what_to_do() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    {
        let mut state = scene.ca.state();
        (state.signer, state.shown) = (Arc::clone(&scene.b), Arc::clone(&scene.b));
        state.answered = (Some(9), vec![Arc::clone(&scene.b)]);
    }
    let (reason, message) = agent.refused().await;
    assert_eq!(reason, "ca-not-trusted");
    for part in [
        &format!(
            "knows only the root {} of trust bundle 5",
            root_of(&scene.a)
        ),
        &format!("a chain with {} at its end", root_of(&scene.b)),
        "remove the files",
        "--ca-roots",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[tokio::test]
async fn the_roots_that_count_are_named_in_each_handshake() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    scene.push_both(|_| {}).await;
    agent.renewed().await;
    let hints = scene.ca.state().hints.clone();
    assert_eq!(
        hints.first().unwrap().as_ref().unwrap(),
        &[name_of(&scene.a)]
    );
    let mut last = hints.last().unwrap().clone().unwrap();
    last.sort();
    let mut both = [name_of(&scene.a), name_of(&scene.b)];
    both.sort();
    assert_eq!(last, both);
}

fn name_of(pki: &Pki) -> Vec<u8> {
    use x509_parser::prelude::FromDer as _;
    let (_, root) = x509_parser::prelude::X509Certificate::from_der(pki.root.der()).unwrap();
    root.subject().as_raw().to_vec()
}
