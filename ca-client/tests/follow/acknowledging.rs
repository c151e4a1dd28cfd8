//! Files renamed, hook ended well, settled: then, and only then, it is acknowledged.

use std::time::Duration;
use std::time::Instant;

use ca_client::agent::Files;
use ca_client::agent::Hook;

use crate::scene::Running;
use crate::scene::Scene;
use crate::scene::a_while;
use crate::scene::exists;
use crate::scene::until;

/// Ends well once there is a file `ok`, and copies what it sees then.
fn hook(scene: &Scene) -> Hook {
    let dir = scene.dir.path().display();
    let command = format!(
        "test -e {dir}/ok && cp {dir}/out/root-cert.pem {dir}/new && mv {dir}/new {dir}/seen"
    );
    Hook::command(command, Duration::from_secs(5))
}

#[tokio::test]
async fn a_hook_that_fails_runs_again_and_nothing_is_acknowledged_until_it_ends_well() {
    let scene = Scene::new().await;
    let agent = Running::start(scene.builder().hook(hook(&scene)));
    until("the first failure", || {
        agent.status.borrow().hook_failures > 0
    })
    .await;
    a_while().await;
    assert_eq!(scene.ca.state().acknowledged(), []);
    std::fs::write(scene.dir.path().join("ok"), "").unwrap();
    until("an acknowledgement", || {
        scene.ca.state().has_acknowledged(5)
    })
    .await;
    assert!(exists(scene.dir.path().join("seen")));
}

#[tokio::test]
async fn readers_have_their_time_after_the_hook() {
    let settle = Duration::from_millis(900);
    let scene = Scene::new().await;
    std::fs::write(scene.dir.path().join("ok"), "").unwrap();
    let builder = scene.builder().hook(hook(&scene)).settle(settle);
    let _agent = Running::start(builder);
    let seen = scene.dir.path().join("seen");
    until("the hook", || exists(&seen)).await;
    let hook_ended = Instant::now();
    assert_eq!(scene.ca.state().acknowledged(), []);
    until("an acknowledgement", || {
        scene.ca.state().has_acknowledged(5)
    })
    .await;
    // The hook ended some milliseconds before it was noticed here.
    assert!(hook_ended.elapsed() > settle - Duration::from_millis(100));
}

#[tokio::test]
async fn the_hook_sees_the_new_roots_before_they_are_acknowledged() {
    let scene = Scene::new().await;
    std::fs::write(scene.dir.path().join("ok"), "").unwrap();
    let _agent = Running::start(scene.builder().hook(hook(&scene)));
    until("an acknowledgement", || {
        scene.ca.state().has_acknowledged(5)
    })
    .await;
    scene.push_both(|_| {}).await;
    let seen = std::fs::read_to_string(scene.dir.path().join("seen")).unwrap();
    assert_eq!(seen.matches("BEGIN").count(), 2);
}

#[tokio::test]
async fn renewals_quicker_than_settling_do_not_put_acknowledgements_off() {
    let scene = Scene::new().await;
    let agent = Running::start(scene.builder().settle(Duration::from_millis(800)));
    for _ in 0..10 {
        agent.renewed().await;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert!(scene.ca.state().has_acknowledged(5));
}

/// The agent may be writing while its directory goes.
async fn put_something_in_the_way(scene: &Scene) {
    until("a file in place of the directory", || {
        let _not_whole = std::fs::remove_dir_all(scene.out());
        std::fs::write(scene.out(), "in the way").is_ok()
    })
    .await;
}

#[tokio::test]
async fn files_that_cannot_be_written_are_not_acknowledged() {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    put_something_in_the_way(&scene).await;
    scene
        .ca
        .push(crate::trust_ca::bundle(6, &[&scene.a, &scene.b]));
    until("bundle 6", || agent.status.borrow().trust.number == Some(6)).await;
    a_while().await;
    assert!(!scene.ca.state().has_acknowledged(6));
    std::fs::remove_file(scene.out()).unwrap();
    until("an acknowledgement", || {
        scene.ca.state().has_acknowledged(6)
    })
    .await;
    let instance = scene.file("instance-id");
    let asked_by = scene.ca.state().asked_by[0].clone().unwrap();
    assert_eq!(instance.trim(), asked_by, "written anew with the rest");
}

#[tokio::test]
async fn what_is_lost_before_readers_had_their_time_is_not_acknowledged_until_it_is_back() {
    let scene = Scene::new().await;
    let settle = Duration::from_millis(2500);
    let agent = Running::start(scene.builder().settle(settle));
    until("files", || scene.has_roots(&[&scene.a])).await;
    put_something_in_the_way(&scene).await;
    until("the loss", || {
        matches!(agent.status.borrow().files, Files::Failed { .. })
    })
    .await;
    for _ in 0..5 {
        a_while().await;
    }
    assert_eq!(scene.ca.state().acknowledged(), []);
    std::fs::remove_file(scene.out()).unwrap();
    until("an acknowledgement", || {
        scene.ca.state().has_acknowledged(5)
    })
    .await;
}

#[tokio::test]
async fn a_hook_is_not_run_again_for_files_that_are_gone() {
    let scene = Scene::new().await;
    let agent = Running::start(scene.builder().hook(hook(&scene)));
    until("a failure", || agent.status.borrow().hook_failures > 0).await;
    put_something_in_the_way(&scene).await;
    until("the loss", || {
        matches!(agent.status.borrow().files, Files::Failed { .. })
    })
    .await;
    a_while().await;
    let failures = agent.status.borrow().hook_failures;
    for _ in 0..10 {
        a_while().await;
    }
    assert_eq!(agent.status.borrow().hook_failures, failures);
    std::fs::remove_file(scene.out()).unwrap();
    until("the hook", || {
        agent.status.borrow().hook_failures > failures
    })
    .await;
}

#[tokio::test]
async fn an_older_set_that_somebody_puts_back_is_replaced_and_told_again() {
    let scene = Scene::new().await;
    let _agent = scene.settled().await;
    let data = scene.out().join("..data");
    let before = std::fs::read_link(&data).unwrap();
    scene.push_both(|_| {}).await;
    let said = scene.ca.state().acknowledged().len();
    std::fs::remove_file(&data).unwrap();
    std::os::unix::fs::symlink(before, &data).unwrap();
    until("the newer set", || scene.has_roots(&[&scene.a, &scene.b])).await;
    until("another acknowledgement", || {
        scene.ca.state().acknowledged().len() > said
    })
    .await;
}

#[tokio::test]
async fn after_a_crash_between_two_files_nothing_is_acknowledged_until_both_are_new() {
    let scene = Scene::new().await;
    let combined = scene.dir.path().join("all.pem");
    let agent = Running::start(scene.builder_beside(Some(&combined)).await);
    until("what is in use", || !scene.file("in-use.json").is_empty()).await;
    agent.stop().await;
    std::fs::remove_file(scene.out().join("in-use.json")).unwrap();
    let builder = scene.builder_beside(Some(&combined)).await;
    std::fs::write(&combined, "an older one").unwrap();
    // Stands where the new file has to be made.
    let stuck = scene.dir.path().join(".all.pem.ca-client-new");
    std::fs::create_dir(&stuck).unwrap();
    let said = scene.ca.state().acknowledged().len();
    let again = Running::start(builder);
    until("the failure", || {
        matches!(again.status.borrow().files, Files::Failed { .. })
    })
    .await;
    a_while().await;
    assert_eq!(scene.ca.state().acknowledged().len(), said);
    std::fs::remove_dir(&stuck).unwrap();
    until("an acknowledgement", || {
        scene.ca.state().acknowledged().len() > said
    })
    .await;
}

#[tokio::test]
async fn one_file_that_cannot_be_written_does_not_have_the_others_written_every_second() {
    let scene = Scene::new().await;
    let combined = scene.dir.path().join("all.pem");
    let agent = Running::start(scene.builder_beside(Some(&combined)).await);
    until("files", || combined.exists()).await;
    let stuck = scene.dir.path().join(".all.pem.ca-client-new");
    std::fs::create_dir(&stuck).unwrap();
    agent.renewed().await;
    until("the failure", || {
        matches!(agent.status.borrow().files, Files::Failed { .. })
    })
    .await;
    let generation = std::fs::read_link(scene.out().join("..data")).unwrap();
    for _ in 0..4 {
        a_while().await;
    }
    let seen = std::fs::read_link(scene.out().join("..data")).unwrap();
    assert_eq!(seen, generation);
    std::fs::remove_dir(&stuck).unwrap();
    let chain = || scene.file("cert-chain.pem");
    until("the last file", || {
        std::fs::read_to_string(&combined)
            .unwrap()
            .ends_with(&chain())
    })
    .await;
}
