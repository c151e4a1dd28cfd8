//! A restart knows who it is, what it knew and what it said.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use ca_client::agent::Hook;

use crate::scene::Running;
use crate::scene::Scene;
use crate::scene::a_while;
use crate::scene::until;
use crate::trust_ca::bundle;

#[tokio::test]
async fn number_and_instance_survive_a_restart_and_what_was_in_use_still_is() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    scene.push_both(|_| {}).await;
    until("what is in use", || {
        scene.file("in-use.json").contains("\"bundle\":6")
    })
    .await;
    agent.stop().await;
    let before = scene.ca.state().heard.len();
    scene.ca.push(bundle(5, &[&scene.a]));
    let ran = scene.dir.path().join("ran");
    let hook = Hook::command(
        format!("touch {}", ran.display()),
        std::time::Duration::from_secs(5),
    );
    let again = scene.builder_when_free().await.hook(hook);
    let again = Running::start(again.settle(std::time::Duration::from_secs(60)));
    until("an acknowledgement", || {
        let state = scene.ca.state();
        state.heard[before..]
            .iter()
            .any(|(_, it)| it.in_use.is_some())
    })
    .await;
    a_while().await;
    assert_eq!(again.status.borrow().trust.number, Some(6));
    assert!(scene.has_roots(&[&scene.a, &scene.b]));
    assert!(!ran.exists(), "readers were told by the first run");
    let state = scene.ca.state();
    let instance = state.asked_by[0].clone().unwrap();
    assert!(state.heard.iter().all(|(_, it)| it.instance == instance));
    assert_eq!(instance.len(), 32);
}

#[tokio::test]
async fn what_an_earlier_run_did_not_get_to_tell_is_told_after_a_restart() {
    let scene = Scene::new().await;
    let failing = Hook::command("false", std::time::Duration::from_secs(5));
    let agent = Running::start(scene.builder().hook(failing));
    until("a failure", || agent.status.borrow().hook_failures > 0).await;
    agent.stop().await;
    let hook = Hook::command("true", std::time::Duration::from_secs(5));
    let again = Running::start(scene.builder_when_free().await.hook(hook));
    until("an acknowledgement", || {
        scene.ca.state().has_acknowledged(5)
    })
    .await;
    assert!(again.status.borrow().hook.is_some());
    assert_eq!(again.status.borrow().renewals, 0);
}

#[tokio::test]
async fn files_that_are_made_anew_with_other_permissions_are_told_anew() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    until("what is in use", || !scene.file("in-use.json").is_empty()).await;
    agent.stop().await;
    let chain = scene.out().join("..data/cert-chain.pem");
    std::fs::set_permissions(chain, Permissions::from_mode(0o600)).unwrap();
    let hook = Hook::command("true", std::time::Duration::from_secs(5));
    let again = Running::start(scene.builder_when_free().await.hook(hook));
    until("the hook", || again.status.borrow().hook.is_some()).await;
    let mode = std::fs::metadata(scene.out().join("cert-chain.pem")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o644);
    assert_eq!(again.status.borrow().renewals, 0);
}

#[tokio::test]
async fn a_damaged_instance_id_is_made_anew() {
    for damaged in ["", "ABCDEF", "0123456789abcdef0123456789abcdefg"] {
        let scene = Scene::new().await;
        std::fs::create_dir_all(scene.out()).unwrap();
        let path = scene.out().join("instance-id");
        std::fs::write(&path, damaged).unwrap();
        let _agent = scene.settled().await;
        let asked_by = scene.ca.state().asked_by[0].clone().unwrap();
        assert!(asked_by.len() == 32 && asked_by.chars().all(|c| c.is_ascii_hexdigit()));
        assert_eq!(scene.file("instance-id").trim(), asked_by);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn a_number_that_is_lost_is_learned_anew() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    scene.push_both(|_| {}).await;
    agent.stop().await;
    std::fs::write(scene.out().join("..data/trust-bundle.json"), "{\"num").unwrap();
    let again = Running::start(scene.builder_when_free().await);
    until("the number", || {
        again.status.borrow().trust.number == Some(6)
    })
    .await;
    until("the file", || {
        scene
            .file("..data/trust-bundle.json")
            .contains("\"number\":6")
    })
    .await;
}
