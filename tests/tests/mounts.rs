//! Group "mounts": disks that fill up, and disks that turn read-only, under a server that issues meanwhile and
//! under commands that make files.
//!
//! Runs through `tests/mounts/run`, which knows whether it may mount.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tests::CART;
use tests::agent::Agent;
use tests::agent::key_and_csr;
use tests::binaries::binaries;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::cacerts::Cacerts;
use tests::cacerts::Volume;
use tests::jwt::TokenIssuer;
use tests::load::Load;
use tests::load::Seen;
use tests::load::assert_all_are_listed;
use tests::mount::Mount;
use tests::mount::group_is_on;
use tests::mount::skip;
use tests::poll::until;
use tests::poll::wait_for;
use tonic::Code;

/// Readiness is looked at every ten seconds at most, and the ledger comes back within five.
const SECONDS: Duration = Duration::from_secs(30);
const REFUSAL: &str =
    "Unavailable: the ledger cannot be written now; nothing was issued; try again";

/// A server under load, with its data on a disk that a test has its hands on.
struct Scene {
    ca: TestCa,
    issuer: TokenIssuer,
    seen: Seen,
    load: Load,
}

impl Scene {
    async fn start(issuers_dir: &Path, data_dir: &Path) -> Self {
        let issuer = TokenIssuer::new();
        let issuers = issuer.install(issuers_dir).display().to_string();
        let ca = TestCa::start_with(Setup {
            flags: vec!["--issuers".to_owned(), issuers],
            ..on(data_dir)
        });
        let seen = Seen::default();
        let load = Load::start(&ca, &issuer, &seen).await;
        let scene = Self {
            ca,
            issuer,
            seen,
            load,
        };
        scene.more_leaves().await;
        scene
    }

    async fn more_leaves(&self) {
        let before = self.seen.received().len();
        let more = async || (self.seen.received().len() > before + 10).then_some(());
        until("more leaves", SECONDS, more).await;
    }

    /// The answer to somebody who asks once.
    async fn ask(&self) -> Result<Vec<String>, tonic::Status> {
        let mut agent = Agent::connect(
            self.ca.grpc,
            &self.ca.roots_pem(),
            &[&self.issuer.token()],
            None,
        )
        .await;
        agent.create(&key_and_csr(CART).1, 0).await
    }

    /// Callers are refused with the one code, the HTTP port says why, and the process lives.
    async fn is_refusing(&self, why: &str) {
        let refused = async || self.ask().await.err();
        let status = until("a refusal", SECONDS, refused).await;
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        let not_ready =
            async || Some(self.ca.http_get("/readyz")).filter(|(status, _)| *status == 503);
        let (_, reason) = until("503", SECONDS, not_ready).await;
        assert!(
            reason.contains("the ledger is not available") && reason.contains(why),
            "{reason}"
        );
        assert_eq!(
            self.ca.http_get("/healthz").0,
            200,
            "restarting it would not help"
        );
    }

    /// Nobody did anything to the server, and it issues again; what was received at any time is in the ledger.
    async fn recovers(self) -> TestCa {
        self.more_leaves().await;
        let ready = async || (self.ca.http_get("/readyz").0 == 200).then_some(());
        until("200", SECONDS, ready).await;
        self.load.stop().await;
        assert_eq!(self.seen.refused(), BTreeSet::from([REFUSAL.to_owned()]));
        assert_all_are_listed(&self.ca, &self.seen);
        self.ca
    }
}

fn on(data_dir: &Path) -> Setup {
    Setup {
        data_dir: Some(data_dir.to_owned()),
        ..Setup::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_issuance_and_room_on_it_brings_it_back_without_a_restart() {
    if !group_is_on() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let disk = Mount::tmpfs(&work.path().join("disk"), "32m");
    let data_dir = disk.path().join("data");
    let scene = Scene::start(work.path(), &data_dir).await;
    let filler = disk.fill();
    scene.is_refusing("No space left on device").await;
    fs::remove_file(filler).unwrap();
    let mut ca = scene.recovers().await;
    ca.stop();
    // What came through all that is a ledger that opens.
    let again = TestCa::start_with(on(&data_dir));
    assert_eq!(again.http_get("/readyz").0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_disk_that_turned_read_only_stops_issuance_and_mounting_it_again_brings_it_back() {
    if !group_is_on() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let data_dir = work.path().join("data");
    // What a kernel does after an I/O error takes a real file system; the ledger has it for itself.
    let Some(disk) = Mount::ext4(&work.path().join("image"), &data_dir.join("ledger")) else {
        return skip("an ext4 on a loop device cannot be had here");
    };
    let scene = Scene::start(work.path(), &data_dir).await;
    disk.remount("abort");
    scene.is_refusing("Read-only file system").await;
    let mounted = async || disk.mount_again().then_some(());
    until("the ledger lets go of its disk", SECONDS, mounted).await;
    let mut ca = scene.recovers().await;
    ca.stop();
}

#[test]
fn a_start_on_a_full_or_read_only_data_directory_fails_with_a_sentence_that_names_it() {
    if !group_is_on() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let disk = Mount::tmpfs(&work.path().join("disk"), "32m");
    let (used, new) = (disk.path().join("used"), disk.path().join("new"));
    TestCa::start_with(on(&used)).stop();
    let refuses = |data_dir: &Path, reason: &str| {
        let refused = TestCa::refused(on(data_dir));
        assert_eq!(refused.code, Some(1), "{}", refused.said);
        for part in [data_dir.to_str().unwrap(), reason] {
            assert!(refused.said.contains(part), "{part} in {}", refused.said);
        }
        assert!(!refused.said.contains("panicked"), "{}", refused.said);
    };

    let filler = disk.fill();
    refuses(&used, "No space left on device");
    refuses(&new, "No space left on device");
    fs::remove_file(filler).unwrap();
    disk.remount("ro");
    refuses(&used, "Read-only file system");
    refuses(&new, "Read-only file system");
    disk.remount("rw");
    drop(TestCa::start_with(on(&used)));
}

#[test]
fn a_bundle_is_not_made_by_halves_on_a_full_or_read_only_disk() {
    if !group_is_on() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let create = |line: &str| {
        let mut command = Command::new(&binaries().ca_server);
        command.args(["bundle", "create"]).args(line.split(' '));
        command.current_dir(work.path()).output().unwrap()
    };
    assert!(create("root --out root").status.success());
    let disk = Mount::tmpfs(&work.path().join("disk"), "1m");
    let refuses = |out: &str, reason: &str| {
        for line in ["root", "csr --common-name x", "issuer --root root --name x"] {
            let output = create(&format!("{line} --out {out}"));
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("disk") && said.contains(reason), "{said}");
        }
    };
    fs::create_dir(disk.path().join("empty")).unwrap();
    let filler = disk.fill();
    refuses("disk/new/deep", "No space left on device");
    refuses("disk/empty", "No space left on device");
    fs::remove_file(filler).unwrap();
    disk.remount("ro");
    refuses("disk/new/deep", "Read-only file system");
    refuses("disk/empty", "Read-only file system");
    disk.remount("rw");
    let names: Vec<_> = fs::read_dir(disk.path()).unwrap().flatten().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    fs::remove_dir(disk.path().join("empty")).unwrap();
    // Nothing can be renamed over a mount point.
    refuses("disk", "found a mount point");
    assert!(create("root --out disk/root").status.success());
}

#[tokio::test]
async fn a_rotation_that_a_full_disk_interrupts_goes_on_by_itself_when_there_is_room_again() {
    if !group_is_on() {
        return skip("it fills a disk");
    }
    let dir = tempfile::tempdir().unwrap();
    let disk = Mount::tmpfs(&dir.path().join("disk"), "64m");
    let ca = TestCa::start_with(on(&disk.path().join("data")));
    let before = ca.roots_pem();
    let filler = disk.fill();
    let start = ["rotate", "start", "--auto"];
    let refused = ca.try_operator(&start);
    assert!(!refused.status.success(), "there is no room for new files");
    assert_eq!(ca.roots_pem(), before, "what was in force is in force");
    fs::remove_file(filler).unwrap();
    let started = async || ca.try_operator(&start).status.success().then_some(());
    until("a rotation", SECONDS, started).await;
    let over = async || {
        let roots = ca.roots_pem();
        let is_new = roots.matches("BEGIN").count() == 1 && roots != before;
        is_new.then_some(())
    };
    until("the new root alone", SECONDS, over).await;
}

#[test]
fn a_bundle_that_cannot_be_copied_waits_until_it_can_and_the_old_one_signs() {
    if !group_is_on() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (cacerts, data_dir) = (work.path().join("cacerts"), work.path().join("data"));
    let (old, new) = (Cacerts::make(), Cacerts::make());
    let mut volume = Volume::new(cacerts.clone());
    volume.put_bundle(&old);
    let copies = Mount::tmpfs(&data_dir.join("signers"), "1m");
    let ca = TestCa::start_with(Setup {
        root_ca_dir: Some(cacerts),
        flags: vec!["--reload-interval=200ms".to_owned()],
        ..on(&data_dir)
    });
    let metric = |line: &str| ca.http_get("/metrics").1.contains(line);
    let becomes = |line: &str| wait_for(SECONDS, || metric(line).then_some(()));
    let refusals = || {
        let lines = ca.log().into_iter().map(|line| line.to_string());
        let refusals = lines.filter(|line| line.contains("keeping the last good CA"));
        refusals.collect::<Vec<_>>()
    };
    let filler = copies.fill();
    volume.put_bundle(&new);
    becomes("signet_ca_bundle_reload_failures 1\n");
    assert!(refusals()[0].contains("No space left on device"));
    fs::remove_file(filler).unwrap();
    wait_for(SECONDS, || (ca.roots_pem() != old.root).then_some(()));
    becomes("signet_ca_bundle_in_sync 1\n");

    copies.remount("ro");
    let third = Cacerts::make();
    let before = ca.roots_pem();
    volume.put_bundle(&third);
    becomes("signet_ca_bundle_reload_failures 2\n");
    let said = refusals()[1].clone();
    for part in ["signers", "Read-only file system"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!ca.roots_pem().contains(&third.root) && before.contains(&new.root));
    copies.remount("rw");
    becomes("signet_ca_bundle_in_sync 1\n");
    assert!(ca.roots_pem().contains(third.root.trim()));
    assert_eq!(refusals().len(), 2, "each is said once");
}
