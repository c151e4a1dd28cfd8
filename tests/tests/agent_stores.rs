//! The files for Java and others, as their readers see them: renewals, kills, a rotation, other wishes.

use std::cell::Cell;
use std::time::Duration;

use serde_json::Value;
use tests::openssl::shell;
use tests::scene::Scene;
use tests::stores::look_at_stores;
use tests::workload::Workload;
use tests::workload::look;

const SOON: Duration = Duration::from_secs(20);
const WANTED: [&str; 2] = ["--pkcs12", "--chain-without-root"];

fn ready(status: &Value) -> bool {
    status["ready"] == true
}

/// Looks at the stores until `renewals`; a generation may be gone after two swaps, and a reader starts again then.
async fn read_until(agent: &Workload, scene: &Scene, renewals: u64) -> u32 {
    let looks = Cell::new(0);
    agent
        .wait_until(SOON, |status| {
            let before = look(&scene.out());
            let stores = look_at_stores(&scene.out(), "changeit");
            let is_the_same = before.is_ok() && before == look(&scene.out());
            if is_the_same {
                assert_eq!(stores, Ok(1));
                looks.set(looks.get() + 1);
            }
            status["renewals"].as_u64() >= Some(renewals)
        })
        .await;
    looks.get()
}

#[tokio::test]
async fn the_stores_belong_to_the_set_through_renewals_and_a_kill() {
    let scene = Scene::new();
    let mut agent = scene.agent(&WANTED);
    agent.wait_until(SOON, ready).await;
    assert!(read_until(&agent, &scene, 3).await > 1);
    agent.signal("KILL");
    agent.wait();
    assert_eq!(look_at_stores(&scene.out(), "changeit"), Ok(1));
    let agent = scene.agent(&WANTED);
    assert!(read_until(&agent, &scene, 2).await > 1);
}

#[tokio::test]
async fn the_trust_store_has_both_roots_of_a_rotation_beside_the_same_key() {
    let scene = Scene::new();
    let args = ["--ttl=1h", "--settle=0s"];
    let agent = scene.agent(&[&args[..], &WANTED].concat());
    agent.wait_until(SOON, ready).await;
    let before = look(&scene.out()).unwrap();
    let _started = scene.ca.as_ref().unwrap().operator(&["rotate", "start"]);
    agent
        .wait_until(SOON, |_| look_at_stores(&scene.out(), "changeit") == Ok(2))
        .await;
    let after = look(&scene.out()).unwrap();
    assert_ne!(before.generation, after.generation);
    assert_eq!(before.serial, after.serial);
}

#[tokio::test]
async fn wishes_of_a_restart_count_at_once_and_cost_no_certificate() {
    let scene = Scene::new();
    std::fs::write(scene.dir.path().join("password"), "between us\n").unwrap();
    let agent = scene.agent(&["--ttl=1h"]);
    agent.wait_until(SOON, ready).await;
    drop(agent);
    let serial = look(&scene.out()).unwrap().serial;
    let named = ["--pkcs12-password-file=password", "--chain-without-root"];
    let modes = ["--file-mode=keystore.p12=0440", "--file-mode=all.pem=0400"];
    let combined = ["--ttl=1h", "--combined=all.pem"];
    let agent = scene.agent(&[&combined[..], &named, &modes].concat());
    let stores = || look_at_stores(&scene.out(), "between us");
    agent
        .wait_until(SOON, |status| ready(status) && stores() == Ok(1))
        .await;
    assert!(look_at_stores(&scene.out(), "changeit").is_err());
    assert_eq!(agent.status()["renewals"], 0);
    drop(agent);
    let seen = shell(
        scene.dir.path(),
        "stat -L -c %a out/keystore.p12 out/key.pem all.pem",
    );
    assert_eq!(seen, "440\n600\n400\n");
    let agent = scene.agent(&["--ttl=1h"]);
    let gone = || !scene.out().join("keystore.p12").is_symlink();
    agent
        .wait_until(SOON, |status| ready(status) && gone())
        .await;
    assert_eq!(look(&scene.out()).unwrap().serial, serial);
}
