//! What does `ca-client fetch` do as a process: files, output, exit codes?

use std::path::Path;
use std::process::Output;
use std::process::Stdio;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tonic::Status;

use crate::CART;
use crate::fake_ca::FakeCa;
use crate::pki::Leaf;

/// A scene: a directory with what a person has before the first contact.
pub(crate) struct Scene {
    pub(crate) dir: TempDir,
    pub(crate) ca: FakeCa,
}

impl Scene {
    pub(crate) fn with(ca: FakeCa) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("roots.pem"), ca.pki.roots_pem()).unwrap();
        std::fs::write(dir.path().join("token"), "file-token\n").unwrap();
        Self { dir, ca }
    }

    pub(crate) fn out(&self) -> std::path::PathBuf {
        self.dir.path().join("out")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ca-client"));
        command
            .env_clear()
            .current_dir(self.dir.path())
            .args(["fetch", "--out", "out", "--ca-addr"])
            .arg(self.ca.address().to_string())
            .args(args)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().await.unwrap()
    }
}

pub(crate) const FIRST: [&str; 4] = ["--ca-roots", "roots.pem", "--token-file", "token"];

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}

#[tokio::test]
async fn a_person_is_told_who_they_are_and_how_to_check() {
    let scene = Scene::with(FakeCa::honest().await);
    let output = scene.run(&FIRST).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let told = String::from_utf8(output.stdout).unwrap();
    for part in [CART, "serial", "good for", "out/key.pem"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let advice = told
        .lines()
        .find_map(|line| line.strip_prefix("try "))
        .unwrap();
    let mut shell = std::process::Command::new("sh");
    let check = shell.args(["-c", advice]).current_dir(scene.dir.path());
    assert!(check.status().unwrap().success(), "{advice}");
}

#[tokio::test]
async fn a_script_gets_json_alone_on_stdout() {
    let scene = Scene::with(FakeCa::honest().await);
    let output = scene
        .run(&[&FIRST[..], &["--output", "json"]].concat())
        .await;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["spiffe_id"], CART);
    assert!(told["remaining_seconds"].as_u64().unwrap() > 3000);
}

#[tokio::test]
async fn the_second_run_needs_neither_token_nor_roots() {
    let scene = Scene::with(FakeCa::honest().await);
    scene.run(&FIRST).await;

    let output = scene.run(&[]).await;

    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("renewing"), "{}", stderr(&output));
    let asked = scene.ca.asked().remove(1);
    assert_eq!((asked.authorization, asked.client_certificates), (None, 2));
}

#[tokio::test]
async fn a_token_comes_from_standard_input() {
    let scene = Scene::with(FakeCa::honest().await);
    let mut command = scene.command(&["--ca-roots", "roots.pem", "--token-file", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"piped-token\n").await.unwrap();
    drop(stdin);
    assert!(child.wait().await.unwrap().success());
    let asked = scene.ca.asked().remove(0);
    assert_eq!(asked.authorization.as_deref(), Some("Bearer piped-token"));
}

#[tokio::test]
async fn a_lie_leaves_the_directory_untouched() {
    let scene = Scene::with(
        FakeCa::start(|pki, asked| Ok(vec![pki.leaf(&asked.csr, &Leaf::named(CART))])).await,
    );
    let output = scene.run(&FIRST).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(is_empty(&scene.out()));
    assert!(
        stderr(&output).contains("1 elements"),
        "{}",
        stderr(&output)
    );
}

#[tokio::test]
async fn a_refusal_ends_it_at_once_and_no_token_is_shown() {
    let scene = Scene::with(FakeCa::start(|_, _| Err(Status::unauthenticated("no"))).await);
    let output = scene.run(&FIRST).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(scene.ca.asked().len(), 1);
    assert!(
        stderr(&output).contains("the token in token"),
        "{}",
        stderr(&output)
    );
    assert!(!stderr(&output).contains("file-token"));
}

#[tokio::test]
async fn an_unavailable_ca_is_asked_again() {
    let tries = AtomicUsize::new(0);
    let ca = FakeCa::start(
        move |pki, asked| match tries.fetch_add(1, Ordering::Relaxed) {
            0 => Err(Status::unavailable("starting")),
            _ => Ok(pki.answer(pki.leaf(&asked.csr, &Leaf::named(CART)))),
        },
    )
    .await;
    let scene = Scene::with(ca);
    let output = scene.run(&FIRST).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("trying again"),
        "{}",
        stderr(&output)
    );
    assert_eq!(scene.ca.asked().len(), 2);
}

#[tokio::test]
async fn attempts_run_out() {
    let scene = Scene::with(FakeCa::start(|_, _| Err(Status::unavailable("down"))).await);
    let output = scene
        .run(&[&FIRST[..], &["--attempts", "1"]].concat())
        .await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(scene.ca.asked().len(), 1);
}

#[tokio::test]
async fn wrong_usage_is_exit_code_2_and_names_what_is_missing() {
    let scene = Scene::with(FakeCa::honest().await);
    let table: [(&[&str], &str); 4] = [
        (&["--ca-roots", "roots.pem"], "--token-file"),
        (&["--token-file", "token"], "--ca-fingerprint"),
        (&["--no-such-flag"], "--no-such-flag"),
        (&["--ttl", "60"], "--ttl"),
    ];
    for (args, named) in table {
        let output = scene.run(args).await;
        assert_eq!(
            output.status.code(),
            Some(2),
            "{args:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(named),
            "{args:?}: {}",
            stderr(&output)
        );
    }
    assert!(scene.ca.asked().is_empty());
    assert!(!scene.out().exists());
}

#[tokio::test]
async fn other_roots_than_the_stored_ones_win_with_a_warning() {
    let scene = Scene::with(FakeCa::honest().await);
    scene.run(&FIRST).await;
    let stranger = crate::pki::Pki::new("stranger").roots_pem();
    std::fs::write(scene.dir.path().join("roots.pem"), stranger).unwrap();

    let output = scene.run(&FIRST).await;

    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("share nothing"),
        "{}",
        stderr(&output)
    );
    assert!(
        stderr(&output).contains("does not lead to a trusted root"),
        "{}",
        stderr(&output)
    );
    assert_eq!(scene.ca.asked().len(), 1);
}
