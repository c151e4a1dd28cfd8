//! Group "mounts", the agent's part: an output directory on a disk that fills up, and on one that turns
//! read-only. Runs through `tests/mounts/run`, which knows whether it may mount.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tests::mount::Mount;
use tests::mount::group_is_on;
use tests::mount::skip;
use tests::openssl::shell;
use tests::poll::until;
use tests::scene::Scene;
use tests::workload::Look;
use tests::workload::Workload;
use tests::workload::look;

const SOON: Duration = Duration::from_secs(20);
const FIVE_SECONDS: Duration = Duration::from_secs(5);

fn ready(status: &Value) -> bool {
    status["ready"] == true
}

/// An agent that renews every other second into `out`, and has done so.
async fn renewing(scene: &Scene, out: &Path) -> Workload {
    let combined = out.join("all.pem").display().to_string();
    let out = format!("--out={}", out.display());
    let agent = scene.agent(&[&out, "--combined", &combined]);
    agent
        .wait_until(SOON, |status| {
            ready(status) && status["renewals"].as_u64() >= Some(2)
        })
        .await;
    agent
}

/// Waits until the agent says on all its ways that `out` is not written for `reason`, and has renewed
/// twice since. What is there is one whole set.
async fn complains(agent: &Workload, out: &Path, reason: &str) -> Look {
    let said = |status: &Value| status["files"].as_str().unwrap().contains(reason);
    agent.wait_until(SOON, said).await;
    // As long as what is there is valid, workloads have what they need.
    let not_ready = |_: &Value| {
        let (code, because) = agent.get("/readyz");
        code == 503 && because.contains(reason) && because.contains(out.to_str().unwrap())
    };
    agent.wait_until(SOON, not_ready).await;
    assert!(agent.get("/metrics").1.contains("signet_agent_files_ok 0"));
    assert_eq!(agent.get("/healthz").0, 200, "restarting it would not help");
    let kept = look(out).unwrap();
    let before = agent.status()["renewals"].as_u64().unwrap();
    agent
        .wait_until(SOON, |status| {
            status["renewals"].as_u64() >= Some(before + 2)
        })
        .await;
    assert_eq!(look(out).unwrap(), kept, "the old set stays");
    let lines = agent.log().matches("the files are not written").count();
    assert!(lines <= 2, "{lines} lines for one reason");
    let same_key = "for f in 'pkey -in all.pem -pubout' 'pkey -in key.pem -pubout'; do openssl $f; done | sort | uniq -u";
    assert_eq!(shell(out, same_key), "", "the combined file stays");
    kept
}

/// Within five seconds the files are what the agent holds, it was not restarted, and nothing is left over.
async fn recovers(agent: &Workload, out: &Path, kept: &Look, what: &str) {
    let took = agent
        .wait_until(FIVE_SECONDS, |status| {
            let written = look(out).is_ok_and(|look| look.serial != kept.serial);
            ready(status) && written
        })
        .await;
    eprintln!("{what}: written {took:?} after the disk was well");
    let entries = fs::read_dir(out).unwrap().count();
    // Three names, `..data`, the combined file, two generations, and what a renewal is at just now.
    assert!(entries <= 9, "{entries} entries");
}

#[tokio::test]
async fn an_agent_on_a_full_disk_keeps_its_set_and_writes_when_there_is_room() {
    if !group_is_on() {
        return;
    }
    let scene = Scene::new();
    let disk = Mount::tmpfs(&scene.dir.path().join("disk"), "1m");
    let out = disk.path().join("out");
    let agent = renewing(&scene, &out).await;
    let filler = disk.fill();
    let kept = complains(&agent, &out, "No space left on device").await;
    fs::remove_file(filler).unwrap();
    recovers(&agent, &out, &kept, "full").await;
}

#[tokio::test]
async fn an_agent_on_a_read_only_mount_keeps_its_set_and_writes_when_it_may() {
    if !group_is_on() {
        return;
    }
    let scene = Scene::new();
    let disk = Mount::tmpfs(&scene.dir.path().join("disk"), "1m");
    let out = disk.path().join("out");
    let agent = renewing(&scene, &out).await;
    disk.remount("ro");
    let kept = complains(&agent, &out, "Read-only file system").await;
    disk.remount("rw");
    recovers(&agent, &out, &kept, "read-only").await;
}

#[tokio::test]
async fn an_agent_on_a_disk_that_had_errors_writes_when_it_is_mounted_again() {
    if !group_is_on() {
        return;
    }
    let scene = Scene::new();
    let path = scene.dir.path().join("disk");
    let Some(disk) = Mount::ext4(&scene.dir.path().join("image"), &path) else {
        return skip("an ext4 on a loop device cannot be had here");
    };
    let out = path.join("out");
    let agent = renewing(&scene, &out).await;
    disk.remount("abort");
    let kept = complains(&agent, &out, "Read-only file system").await;
    let mounted = async || disk.mount_again().then_some(());
    until("the agent lets go of the disk", SOON, mounted).await;
    recovers(&agent, &out, &kept, "ext4 with errors").await;
    drop(agent);
}

#[test]
fn a_start_on_a_read_only_mount_is_refused_with_a_sentence_that_names_it() {
    if !group_is_on() {
        return;
    }
    let scene = Scene::new();
    let disk = Mount::tmpfs(&scene.dir.path().join("disk"), "1m");
    disk.remount("ro");
    let out = format!("--out={}", disk.path().join("out").display());
    let said = scene.try_agent(&[&out]).unwrap_err();
    assert!(said.starts_with("Some(1)"), "{said}");
    for part in ["disk/out", "Read-only file system", "check permissions"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    disk.remount("rw");
    drop(scene.try_agent(&[&out]).unwrap());
}

#[tokio::test]
async fn a_start_on_a_full_disk_gets_a_certificate_and_writes_it_when_there_is_room() {
    if !group_is_on() {
        return;
    }
    let scene = Scene::new();
    let disk = Mount::tmpfs(&scene.dir.path().join("disk"), "1m");
    let out = disk.path().join("out");
    let filler = disk.fill();
    let agent = scene.agent(&["--ttl=1h", &format!("--out={}", out.display())]);
    agent
        .wait_until(SOON, |status| {
            let files = status["files"].as_str().unwrap();
            status["renewals"] == 1 && files.contains("No space left on device")
        })
        .await;
    assert!(look(&out).is_err());
    fs::remove_file(filler).unwrap();
    agent.wait_until(FIVE_SECONDS, ready).await;
    assert!(look(&out).is_ok());
    assert_eq!(agent.status()["renewals"], 1);
}
