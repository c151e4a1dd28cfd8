//! What an agent makes of the files of an earlier run, and of files that cannot be written.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;

use ca_client::Svid;
use ca_client::agent::AgentBuilder;
use ca_client::agent::Files;
use ca_client::agent::Output;
use ca_client::files::OutputDir;
use ca_client::files::OutputOptions;

use crate::fake_ca::FakeCa;
use crate::hands::Hands;
use crate::hands::agent_of;
use crate::hands::two_looks;
use crate::hands::until;
use crate::pki::Leaf;
use crate::pki::moment;
use crate::pki::new_key;

/// Leaves a certificate in `dir/out` that was received `ago` seconds ago and is good from then for `life`.
pub(crate) fn left_behind(ca: &FakeCa, dir: &Path, ago: i64, life: i64) -> Svid {
    let key = new_key();
    let leaf = Leaf {
        from: -ago,
        until: life - ago,
        ..Leaf::named(crate::CART)
    };
    let chain = ca.pki.answer(ca.pki.leaf_for(&key, &leaf)).concat();
    let svid = Svid::from_pem(
        chain.as_bytes(),
        key.serialize_pem().as_bytes(),
        ca.pki.roots_pem().as_bytes(),
    )
    .unwrap();
    let out = OutputDir::open(dir.join("out"), OutputOptions::default()).unwrap();
    out.write(&svid, moment(-ago)).unwrap();
    look_received(dir, moment(-ago));
    svid
}

fn look_received(dir: &Path, at: SystemTime) {
    let chain = std::fs::File::open(dir.join("out/cert-chain.pem")).unwrap();
    chain.set_modified(at).unwrap();
}

pub(crate) fn with_files(agent: AgentBuilder, dir: &Path, options: OutputOptions) -> AgentBuilder {
    agent.output(Output::open(dir.join("out"), options, None).unwrap())
}

#[tokio::test]
async fn a_restart_goes_on_with_the_schedule_and_the_last_success_of_the_run_before() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = FakeCa::honest().await;
    left_behind(&ca, dir.path(), 1000, 3600);
    let agent = agent_of(&ca, &clock, dir.path());
    let agent = with_files(agent, dir.path(), OutputOptions::default()).build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.last_success.is_some()).await;
    let ago = moment(0).duration_since(status.borrow().last_success.unwrap());
    assert_eq!(ago.unwrap().as_secs() / 10, 100);
    clock.pass(780);
    two_looks().await;
    assert_eq!(ca.asked().len(), 0, "too early");
    clock.pass(40);
    until(&mut status, |status| status.renewals == 1).await;
    running.abort();
}

#[tokio::test]
async fn files_that_look_newer_than_they_are_do_not_put_renewal_off_until_the_end() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = FakeCa::honest().await;
    left_behind(&ca, dir.path(), 3000, 3600);
    look_received(dir.path(), moment(0));
    let agent = agent_of(&ca, &clock, dir.path());
    let agent = with_files(agent, dir.path(), OutputOptions::default()).build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.certificate.is_some()).await;
    clock.pass(310);
    until(&mut status, |status| status.renewals == 1).await;
    running.abort();
}

#[tokio::test]
async fn other_permissions_than_those_of_the_run_before_count_at_once() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = FakeCa::honest().await;
    left_behind(&ca, dir.path(), 0, 3600);
    let options = OutputOptions {
        key_mode: 0o640,
        ..OutputOptions::default()
    };
    let agent = agent_of(&ca, &clock, dir.path());
    let agent = with_files(agent, dir.path(), options).build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    let key = dir.path().join("out/key.pem");
    let mode = || std::fs::metadata(&key).unwrap().permissions().mode() & 0o777;
    let start = std::time::Instant::now();
    while mode() != 0o640 {
        assert!(start.elapsed() < Duration::from_secs(5), "{:o}", mode());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until(&mut status, |status| {
        matches!(status.files, Files::Written { .. })
    })
    .await;
    assert_eq!(ca.asked().len(), 0, "the certificate is the same");
    running.abort();
}

#[tokio::test]
async fn an_older_certificate_that_is_still_good_on_disk_keeps_the_agent_ready() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = FakeCa::honest().await;
    let old = left_behind(&ca, dir.path(), 1000, 3600);
    let agent = agent_of(&ca, &clock, dir.path());
    let agent = with_files(agent, dir.path(), OutputOptions::default()).build();
    let (mut status, renew) = (agent.status(), agent.renew_now());
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.certificate.is_some()).await;
    // Stands where the new link has to be made.
    std::fs::create_dir(dir.path().join("out/..ca-client-new")).unwrap();
    renew.notify_one();
    until(&mut status, |status| {
        matches!(status.files, Files::Failed { .. })
    })
    .await;
    assert_eq!(status.borrow().not_ready(moment(0)), None);
    let end = old.not_after() + Duration::from_secs(1);
    let reason = status.borrow().not_ready(end).unwrap();
    assert!(reason.contains("the files are not written"), "{reason}");
    running.abort();
}

#[tokio::test]
async fn files_from_the_future_were_received_by_a_wrong_clock_and_are_renewed_at_once() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = FakeCa::honest().await;
    left_behind(&ca, dir.path(), 0, 3600);
    look_received(dir.path(), moment(600));
    let agent = agent_of(&ca, &clock, dir.path());
    let agent = with_files(agent, dir.path(), OutputOptions::default()).build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.renewals == 1).await;
    running.abort();
}

#[tokio::test]
async fn a_restart_under_a_clock_a_day_ahead_keeps_the_certificate_for_when_it_is_put_right() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = FakeCa::honest().await;
    let left = left_behind(&ca, dir.path(), 100, 3600);
    clock.set(86_400);
    let agent = agent_of(&ca, &clock, dir.path());
    std::fs::remove_file(dir.path().join("token")).unwrap();
    let agent = with_files(agent, dir.path(), OutputOptions::default()).build();
    let (mut status, svids, renew) = (agent.status(), agent.svids(), agent.renew_now());
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.failures > 0).await;
    let why = status.borrow().last_failure.clone().unwrap();
    assert!(
        why.message.contains("the certificate expired at"),
        "{why:?}"
    );
    assert!(svids.borrow().is_none());
    clock.set(-86_400);
    until(&mut status, |_| svids.borrow().is_some()).await;
    assert_eq!(svids.borrow().clone().unwrap().serial(), left.serial());
    renew.notify_one();
    until(&mut status, |status| status.renewals == 1).await;
    running.abort();
}

#[tokio::test]
async fn the_certificate_of_another_agent_that_took_the_directory_makes_nobody_ready() {
    let (clock, dir) = (Hands::default(), tempfile::tempdir().unwrap());
    let ca = FakeCa::honest().await;
    let ours = left_behind(&ca, dir.path(), 0, 3600);
    let agent = agent_of(&ca, &clock, dir.path());
    let agent = with_files(agent, dir.path(), OutputOptions::default()).build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| status.certificate.is_some()).await;
    let out = dir.path().join("out");
    let others = loop {
        // The agent may be quicker, and make it again.
        drop(std::fs::remove_dir_all(&out));
        if let Ok(others) = OutputDir::open(&out, OutputOptions::default()) {
            break others;
        }
        tokio::task::yield_now().await;
    };
    others.write(&ours, moment(0)).unwrap();
    until(&mut status, |status| {
        matches!(status.files, Files::Failed { .. })
    })
    .await;
    let reason = status.borrow().not_ready(moment(0)).unwrap();
    assert!(reason.contains("in use by another ca-client"), "{reason}");
    running.abort();
}
