//! What does an agent do when other files are wanted than those that an earlier run left?

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use ca_client::agent::Files;
use ca_client::files::OutputOptions;
use ca_client::files::StorePassword;

use crate::fake_ca::FakeCa;
use crate::hands::Hands;
use crate::hands::agent_of;
use crate::hands::two_looks;
use crate::hands::until;
use crate::pki::moment;
use crate::restarts::left_behind;
use crate::restarts::with_files;

fn stores() -> OutputOptions {
    OutputOptions {
        chain_without_root: true,
        stores: Some(StorePassword::customary()),
        ..OutputOptions::default()
    }
}

fn generation(dir: &Path) -> PathBuf {
    fs::read_link(dir.join("out/..data")).unwrap()
}

/// Lets an agent with these files run until it is content; how often it asked the CA.
async fn run(ca: &FakeCa, dir: &Path, options: OutputOptions) -> usize {
    let clock = Hands::default();
    let agent = with_files(agent_of(ca, &clock, dir), dir, options).build();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| {
        matches!(status.files, Files::Written { .. })
    })
    .await;
    two_looks().await;
    running.abort();
    let _stopped = running.await;
    ca.asked().len()
}

#[tokio::test]
async fn files_that_the_run_before_did_not_make_are_made_of_the_certificate_that_is_there() {
    let (ca, dir) = (FakeCa::honest().await, tempfile::tempdir().unwrap());
    left_behind(&ca, dir.path(), 0, 3600);
    let before = generation(dir.path());
    assert_eq!(run(&ca, dir.path(), stores()).await, 0);
    let made = generation(dir.path());
    assert_ne!(
        made, before,
        "one whole set, not a file more in the old one"
    );
    for name in ["chain-without-root.pem", "keystore.p12", "truststore.p12"] {
        assert!(dir.path().join("out").join(name).is_file(), "{name}");
    }
    assert_eq!(run(&ca, dir.path(), stores()).await, 0);
    assert_eq!(generation(dir.path()), made, "nothing to do the next time");
}

#[tokio::test]
async fn another_password_than_that_of_the_run_before_counts_at_once() {
    let (ca, dir) = (FakeCa::honest().await, tempfile::tempdir().unwrap());
    left_behind(&ca, dir.path(), 0, 3600);
    run(&ca, dir.path(), stores()).await;
    let before = generation(dir.path());
    let file = dir.path().join("password");
    fs::write(&file, "another\n").unwrap();
    let options = OutputOptions {
        stores: Some(StorePassword::from_file(&file).unwrap()),
        ..stores()
    };
    assert_eq!(run(&ca, dir.path(), options).await, 0);
    assert_ne!(generation(dir.path()), before);
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["pkcs12", "-noout", "-passin", "file:password", "-in"]);
    let openssl = openssl.arg("out/keystore.p12").current_dir(dir.path());
    let output = openssl.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn a_set_without_a_store_that_is_wanted_makes_nobody_ready() {
    let (ca, dir) = (FakeCa::honest().await, tempfile::tempdir().unwrap());
    left_behind(&ca, dir.path(), 0, 3600);
    let clock = Hands::default();
    let agent = with_files(agent_of(&ca, &clock, dir.path()), dir.path(), stores()).build();
    // Stands where the new link has to be made.
    let stuck = dir.path().join("out/..ca-client-new");
    fs::create_dir(&stuck).unwrap();
    let mut status = agent.status();
    let running = tokio::spawn(agent.run());
    until(&mut status, |status| {
        matches!(status.files, Files::Failed { .. })
    })
    .await;
    let reason = status.borrow().not_ready(moment(0)).unwrap();
    assert!(reason.contains("the files are not written"), "{reason}");
    fs::remove_dir(stuck).unwrap();
    until(&mut status, |status| status.not_ready(moment(0)).is_none()).await;
    assert!(dir.path().join("out/keystore.p12").is_file());
    running.abort();
}
