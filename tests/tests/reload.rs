//! An operator replaces the CA bundle of a running server, well and badly. What works is taken, and seen at once; what
//! does not changes nothing, is said once, and is taken as soon as it works.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

use std::fs;
use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use proto::certificate::Certificate;
use tempfile::TempDir;
use tests::CART;
use tests::agent::Agent;
use tests::agent::key_and_csr;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::cacerts::Cacerts;
use tests::cacerts::NAMES;
use tests::cacerts::Volume;
use tests::openssl::shell;
use tests::poll::until;
use tests::poll::wait_for;

const LIMIT: Duration = Duration::from_secs(60);
/// Nothing is found by looking regularly.
const ONLY_HINTS: &str = "--reload-interval=1h";
const NO_HINTS: [&str; 2] = ["--no-inotify", "--reload-interval=200ms"];

/// A directory with what an operator brings, and another for the server.
struct Scene {
    work: TempDir,
}

impl Scene {
    fn new() -> Self {
        let work = tempfile::tempdir().unwrap();
        Self { work }
    }

    fn cacerts(&self) -> PathBuf {
        self.work.path().join("cacerts")
    }

    fn start(&self, flags: &[&str]) -> Running {
        let ttls = [
            "--min-ttl=1s",
            "--default-ttl=30s",
            "--max-ttl=1h",
            "--unrecorded-ttl=1s",
        ];
        let ca = TestCa::start_with(Setup {
            root_ca_dir: Some(self.cacerts()),
            data_dir: Some(self.work.path().join("data")),
            flags: [&ttls, flags]
                .concat()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            ..Setup::default()
        });
        Running(ca)
    }
}

struct Running(TestCa);

impl Running {
    fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.0.http_get("/metrics");
        let prefix = format!("signet_ca_bundle_{name} ");
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(&prefix)).unwrap();
        value.parse().unwrap()
    }

    fn roots(&self) -> String {
        self.0.roots_pem().replace("\r\n", "\n")
    }

    fn trusts(&self, bundle: &Cacerts) -> bool {
        let roots = Certificate::all_from_pem(self.roots().as_bytes()).unwrap();
        let root = Certificate::all_from_pem(bundle.root.as_bytes()).unwrap();
        roots.contains(&root[0])
    }

    fn wait_until_trusted(&self, bundle: &Cacerts) {
        wait_for(LIMIT, || self.trusts(bundle).then_some(()));
    }

    fn wait_until_alone(&self, bundle: &Cacerts) {
        let is_alone = || self.trusts(bundle) && self.roots().matches("BEGIN").count() == 1;
        wait_for(LIMIT, || is_alone().then_some(()));
    }

    fn wait_for_metric(&self, name: &str, value: u64) {
        wait_for(LIMIT, || (self.metric(name) == value).then_some(()));
    }

    /// Several more looks at the same files.
    fn looks_again(&self) {
        let before = self.metric("looks");
        wait_for(LIMIT, || (self.metric("looks") > before + 2).then_some(()));
    }

    /// The lines that say that something was refused.
    fn refusals(&self) -> Vec<String> {
        let lines = self.0.log().into_iter().map(|line| line.to_string());
        lines
            .filter(|line| line.contains("keeping the last good CA"))
            .collect()
    }

    /// Openssl takes a new leaf with this bundle's root alone.
    async fn signs_with(&self, bundle: &Cacerts, seconds: i64) -> bool {
        let token = self.0.token(CART);
        let mut agent = Agent::connect(self.0.grpc, &self.roots(), &[&token], None).await;
        let chain = agent.create(&key_and_csr(CART).1, seconds).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("leaf"), chain.concat()).unwrap();
        fs::write(dir.path().join("root"), &bundle.root).unwrap();
        let verify = "openssl verify -CAfile root -untrusted leaf leaf 2>&1 || true";
        shell(dir.path(), verify).ends_with("OK\n")
    }
}

/// Files that must not be taken instead of `good`; the file and the rule by which they are refused.
fn bad_sets(good: &Cacerts, new: &Cacerts) -> Vec<(Files, &'static str, &'static str)> {
    let with = |name: &'static str, content: String| {
        NAMES.map(|it| {
            (
                it,
                if it == name {
                    content.clone()
                } else {
                    new.file(it)
                },
            )
        })
    };
    let half = |name| new.file(name)[..400.min(new.file(name).len() / 2)].to_owned();
    let whole = |bundle: &Cacerts| NAMES.map(|name| (name, bundle.file(name)));
    let only_the_key = NAMES.map(|it| (it, [good, new][usize::from(it == "ca-key.pem")].file(it)));
    vec![
        (only_the_key, "ca-key.pem", "key-matches-certificate"),
        (
            with("ca-key.pem", good.key.clone()),
            "ca-key.pem",
            "key-matches-certificate",
        ),
        (
            with("ca-key.pem", half("ca-key.pem")),
            "ca-key.pem",
            "key-parses",
        ),
        (
            with("ca-cert.pem", half("ca-cert.pem")),
            "ca-cert.pem",
            "certificate-parses",
        ),
        (
            with("root-cert.pem", String::new()),
            "root-cert.pem",
            "not-empty",
        ),
        (
            with("root-cert.pem", good.root.clone()),
            "cert-chain.pem",
            "anchored",
        ),
        (
            with("cert-chain.pem", new.issuer.clone()),
            "ca-cert.pem",
            "anchored",
        ),
        (
            whole(&Cacerts::valid(-2000..-1)),
            "root-cert.pem",
            "expired",
        ),
        (
            whole(&Cacerts::valid(120..9_000_000)),
            "root-cert.pem",
            "not-yet-valid",
        ),
    ]
}

type Files = [(&'static str, String); 4];

#[tokio::test]
async fn what_does_not_work_changes_nothing_and_is_said_once_by_file_and_rule() {
    let scene = Scene::new();
    let mut volume = Volume::new(scene.cacerts());
    let (good, new) = (Cacerts::make(), Cacerts::make());
    volume.put_bundle(&good);
    let ca = scene.start(&NO_HINTS);
    let table = bad_sets(&good, &new);
    for (count, (files, file, rule)) in (1..).zip(table) {
        volume.put(&files);
        ca.wait_for_metric("reload_failures", count);
        ca.looks_again();
        let refusals = ca.refusals();
        assert_eq!(refusals.len() as u64, count, "{rule}: {refusals:#?}");
        let last = refusals.last().unwrap();
        assert!(
            last.contains(file) && last.contains(&format!("[{rule}]")),
            "{rule}: {last}"
        );
        assert_eq!(
            (ca.metric("reload_failures"), ca.metric("in_sync")),
            (count, 0),
            "{rule}"
        );
        assert_eq!(ca.roots(), good.root, "{rule}");
        assert!(ca.signs_with(&good, 1).await, "{rule}");
    }
    volume.put_bundle(&good);
    ca.wait_for_metric("in_sync", 1);
    assert_eq!(ca.metric("reloads"), 1, "the same files are no news");
}

#[test]
fn files_that_are_replaced_one_by_one_in_any_order_are_taken_when_the_last_is_there() {
    let scene = Scene::new();
    Cacerts::make().write(&scene.cacerts());
    let ca = scene.start(&[ONLY_HINTS]);
    let mut orders = [NAMES; 4];
    for (turns, order) in orders.iter_mut().enumerate() {
        order.rotate_left(turns);
        let (before, new) = (ca.metric("reloads"), Cacerts::make());
        for name in *order {
            assert!(!ca.trusts(&new), "{name} is not there yet");
            let (content, path) = (new.file(name), scene.cacerts().join(name));
            for part in [&content[..content.len() / 2], &content] {
                fs::write(&path, part).unwrap();
            }
            // Each state may or may not be seen; none but the last may be taken.
        }
        ca.wait_until_trusted(&new);
        ca.wait_for_metric("reloads", before + 1);
    }
    assert_eq!(ca.metric("reloads"), 5);
}

#[test]
fn a_half_written_file_is_refused_and_taken_when_it_is_whole() {
    let scene = Scene::new();
    let (good, new) = (Cacerts::make(), Cacerts::make());
    good.write(&scene.cacerts());
    let ca = scene.start(&NO_HINTS);
    let path = scene.cacerts().join("cert-chain.pem");
    fs::write(&path, &new.file("cert-chain.pem")[..700]).unwrap();
    ca.wait_for_metric("in_sync", 0);
    ca.looks_again();
    assert_eq!(ca.roots(), good.root);
    new.write(&scene.cacerts());
    ca.wait_until_trusted(&new);
}

#[test]
fn a_hundred_swaps_of_a_link_are_each_seen_by_hints_alone() {
    let scene = Scene::new();
    let mut volume = Volume::new(scene.cacerts());
    volume.put_bundle(&Cacerts::make());
    let ca = scene.start(&[ONLY_HINTS]);
    let mut longest = Duration::ZERO;
    for count in 1..=100 {
        let bundle = Cacerts::make();
        let swapped = Instant::now();
        volume.put_bundle(&bundle);
        ca.wait_until_trusted(&bundle);
        longest = longest.max(swapped.elapsed());
        ca.wait_for_metric("reloads", 1 + count);
    }
    eprintln!("100 swaps, the slowest seen after {longest:?}");
    assert_eq!(ca.refusals(), Vec::<String>::new());
}

/// Ten seconds; a minute where the group "rotations" runs.
#[tokio::test]
async fn of_a_swap_every_50_ms_the_last_one_wins() {
    let swaps = match std::env::var_os("SIGNET_TEST_ROTATIONS") {
        Some(_) => 1200,
        None => 200,
    };
    let scene = Scene::new();
    let mut volume = Volume::new(scene.cacerts());
    volume.put_bundle(&Cacerts::make());
    let ca = scene.start(&["--reload-interval=1s"]);
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let mut last = Cacerts::make();
    for _ in 0..swaps {
        pace.tick().await;
        last = Cacerts::make();
        volume.put_bundle(&last);
    }
    let in_sync = async || (ca.trusts(&last) && ca.metric("in_sync") == 1).then_some(());
    until("the last one", LIMIT, in_sync).await;
    ca.wait_until_alone(&last);
    assert!(ca.signs_with(&last, 1).await);
    assert_eq!(
        ca.refusals(),
        Vec::<String>::new(),
        "no set is read by halves"
    );
    eprintln!("{swaps} swaps, {} taken", ca.metric("reloads"));
}

#[test]
fn every_way_to_replace_files_is_told_by_the_system() {
    type Replace = fn(&Path, &Cacerts);
    let table: [(&str, Replace); 8] = [
        ("a file is overwritten", |dir, new| {
            let all = NAMES.map(|name| (dir.join(name), new.file(name)));
            all.into_iter()
                .for_each(|(path, content)| fs::write(path, content).unwrap());
        }),
        ("a file is renamed over", |dir, new| {
            for name in NAMES {
                fs::write(dir.join("new"), new.file(name)).unwrap();
                fs::rename(dir.join("new"), dir.join(name)).unwrap();
            }
        }),
        ("the directory is deleted and made again", |dir, new| {
            fs::remove_dir_all(dir).unwrap();
            new.write(dir);
        }),
        ("the directory gives way to a link", |dir, new| {
            new.write(&dir.with_file_name("one"));
            fs::remove_dir_all(dir).unwrap();
            symlink("one", dir).unwrap();
        }),
        ("the link is swapped for another", |dir, new| {
            new.write(&dir.with_file_name("two"));
            symlink("two", dir.with_file_name("link")).unwrap();
            fs::rename(dir.with_file_name("link"), dir).unwrap();
        }),
        ("files are overwritten behind the link", |dir, new| {
            new.write(&dir.with_file_name("two"));
        }),
        ("names become links to files elsewhere", |dir, new| {
            new.write(&dir.with_file_name("three"));
            for name in NAMES {
                fs::remove_file(dir.join(name)).unwrap();
                symlink(Path::new("../three").join(name), dir.join(name)).unwrap();
            }
        }),
        ("files are overwritten elsewhere", |dir, new| {
            new.write(&dir.with_file_name("three"));
        }),
    ];
    let scene = Scene::new();
    Cacerts::make().write(&scene.cacerts());
    let ca = scene.start(&[ONLY_HINTS]);
    for (what, replace) in table {
        let new = Cacerts::make();
        let start = Instant::now();
        replace(&scene.cacerts(), &new);
        ca.wait_until_trusted(&new);
        eprintln!("{what}: seen after {:?}", start.elapsed());
    }
    let noise = |line: &String| line.contains("was removed");
    let log = ca.0.log().into_iter().map(|line| line.to_string());
    assert_eq!(
        log.filter(noise).count(),
        0,
        "gone for a moment is no removal"
    );
}

#[test]
fn contents_count_and_no_times_or_lengths() {
    let scene = Scene::new();
    let bundles = [Cacerts::make(), Cacerts::make()];
    let put = |bundle: &Cacerts| {
        for name in NAMES {
            let path = scene.cacerts().join(name);
            let longest = bundles.iter().map(|it| it.file(name).len()).max().unwrap();
            let padded = format!("{:\n<longest$}", bundle.file(name));
            fs::write(&path, padded).unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            let times = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
            file.set_times(times).unwrap();
        }
    };
    fs::create_dir(scene.cacerts()).unwrap();
    put(&bundles[0]);
    let facts = || {
        let files = NAMES.map(|name| fs::metadata(scene.cacerts().join(name)).unwrap());
        files.map(|file| (file.len(), file.modified().unwrap()))
    };
    let ca = scene.start(&NO_HINTS);
    let before = facts();
    put(&bundles[1]);
    assert_eq!(facts(), before);
    ca.wait_until_trusted(&bundles[1]);
}

#[test]
fn without_hints_a_hangup_asks_for_a_look_and_nothing_else_does() {
    let scene = Scene::new();
    Cacerts::make().write(&scene.cacerts());
    let ca = scene.start(&["--no-inotify", ONLY_HINTS]);
    wait_for(LIMIT, || (ca.metric("looks") == 2).then_some(()));
    let new = Cacerts::make();
    new.write(&scene.cacerts());
    ca.0.signal("HUP");
    ca.wait_until_trusted(&new);
    ca.wait_for_metric("looks", 3);
    let other = Cacerts::make();
    other.write(&scene.cacerts());
    let _reloaded = ca.0.operator(&["reload"]);
    assert!(ca.trusts(&other));
}

#[test]
fn a_directory_that_is_gone_or_empty_for_a_while_is_no_removal() {
    let scene = Scene::new();
    let good = Cacerts::make();
    good.write(&scene.cacerts());
    let ca = scene.start(&[ONLY_HINTS]);
    fs::remove_dir_all(scene.cacerts()).unwrap();
    ca.wait_for_metric("reload_failures", 1);
    assert!(ca.refusals()[0].contains(scene.cacerts().to_str().unwrap()));
    fs::create_dir(scene.cacerts()).unwrap();
    // Hints, each with a look, less than an interval apart.
    for name in ["a", "b", "c", "ca-key.pem.tmp"] {
        let before = ca.metric("looks");
        fs::write(scene.cacerts().join(name), name).unwrap();
        wait_for(LIMIT, || (ca.metric("looks") > before).then_some(()));
    }
    assert_eq!((ca.roots(), ca.metric("in_sync")), (good.root.clone(), 0));
    good.write(&scene.cacerts());
    ca.wait_for_metric("in_sync", 1);
    assert_eq!((ca.roots(), ca.metric("reloads")), (good.root, 1));
}

#[test]
fn files_that_never_worked_are_forgotten_when_they_are_taken_away() {
    let scene = Scene::new();
    fs::create_dir(scene.cacerts()).unwrap();
    let ca = scene.start(&NO_HINTS);
    let own = ca.roots();
    fs::write(scene.cacerts().join("ca-key.pem"), "half a").unwrap();
    ca.wait_for_metric("in_sync", 0);
    fs::remove_file(scene.cacerts().join("ca-key.pem")).unwrap();
    ca.wait_for_metric("in_sync", 1);
    assert_eq!((ca.roots(), ca.metric("reload_failures")), (own, 1));
}

#[test]
fn a_root_that_is_not_valid_yet_waits_for_its_date_and_says_it() {
    let scene = Scene::new();
    let mut volume = Volume::new(scene.cacerts());
    let good = Cacerts::make();
    volume.put_bundle(&good);
    let ca = scene.start(&NO_HINTS);
    let early = Cacerts::valid(8..9_000_000);
    let root = Certificate::all_from_pem(early.root.as_bytes()).unwrap();
    let from = root[0].facts().not_before;
    volume.put_bundle(&early);
    ca.wait_for_metric("reload_failures", 1);
    let from = from
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let date = shell(scene.work.path(), &format!("date -u -d @{from} +%FT%TZ"));
    assert!(
        ca.refusals()[0].contains(date.trim()),
        "{:?}",
        ca.refusals()
    );
    // Nobody touches the files again.
    ca.wait_until_trusted(&early);
    assert!(tests::jwt::unix_now() >= from);
    assert!(ca.trusts(&good), "a root so new does not sign yet");
    ca.wait_for_metric("in_sync", 1);
    assert_eq!(ca.metric("reload_failures"), 1);
}

#[tokio::test]
async fn a_start_with_other_files_than_last_time_is_as_if_they_were_dropped_in() {
    let scene = Scene::new();
    let (old, new) = (Cacerts::make(), Cacerts::make());
    old.write(&scene.cacerts());
    let mut ca = scene.start(&[]);
    assert!(ca.signs_with(&old, 600).await);
    ca.0.stop();
    new.write(&scene.cacerts());
    let mut ca = scene.start(&[]);
    assert!(ca.trusts(&old) && ca.trusts(&new));
    assert!(
        ca.signs_with(&old, 600).await,
        "somebody lives who does not know the new root"
    );
    ca.0.stop();
    let again = scene.start(&[]);
    assert!(again.trusts(&old) && again.trusts(&new), "and again");
}

#[tokio::test]
async fn without_a_copy_of_the_key_other_files_sign_at_once_and_that_is_said() {
    let scene = Scene::new();
    let (old, new) = (Cacerts::make(), Cacerts::make());
    old.write(&scene.cacerts());
    let mut ca = scene.start(&["--no-key-copy"]);
    assert!(ca.signs_with(&old, 600).await);
    ca.0.stop();
    assert!(!scene.work.path().join("data/signers").exists());
    new.write(&scene.cacerts());
    let ca = scene.start(&["--no-key-copy"]);
    assert!(ca.trusts(&old) && ca.trusts(&new));
    assert!(ca.signs_with(&new, 1).await);
    let log = format!("{:?}", ca.0.log());
    assert!(log.contains("the new ones sign at once"), "{log}");
    assert!(
        ca.0.operator(&["rotate", "status"])
            .contains("no copy of the key before was kept")
    );
}

#[tokio::test]
async fn a_stolen_key_is_noted_also_where_the_key_before_is_not_here() {
    let scene = Scene::new();
    let (old, new, newest) = (Cacerts::make(), Cacerts::make(), Cacerts::make());
    old.write(&scene.cacerts());
    let mut ca = scene.start(&["--no-key-copy"]);
    assert!(ca.signs_with(&old, 600).await);
    ca.0.stop();
    new.write(&scene.cacerts());
    let ca = scene.start(&["--no-key-copy"]);
    assert!(ca.signs_with(&new, 600).await);
    let cert = Certificate::all_from_pem(new.issuer.as_bytes()).unwrap();
    let stolen = cert[0].fingerprint().to_string();
    let told = ca.0.operator(&["rotate", "taint", &stolen]);
    for part in ["bring in another CA", "leaves of it are held by 1:"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    newest.write(&scene.cacerts());
    ca.wait_until_trusted(&newest);
    let status = ca.0.operator(&["rotate", "status"]);
    assert!(!status.contains("bring in another CA"), "{status}");
}

#[test]
fn a_copy_that_a_crash_left_is_destroyed_at_the_next_start() {
    let scene = Scene::new();
    let (good, other) = (Cacerts::make(), Cacerts::make());
    good.write(&scene.cacerts());
    let mut ca = scene.start(&[]);
    ca.0.stop();
    let signers = scene.work.path().join("data/signers");
    other.write(&signers.join("0".repeat(64)));
    let _ca = scene.start(&[]);
    let left: Vec<_> = fs::read_dir(signers).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test]
async fn files_whose_rotation_was_aborted_start_none_until_others_were_there() {
    let scene = Scene::new();
    let mut volume = Volume::new(scene.cacerts());
    let (old, new) = (Cacerts::make(), Cacerts::make());
    volume.put_bundle(&old);
    let ca = scene.start(&NO_HINTS);
    assert!(ca.signs_with(&old, 600).await);
    volume.put_bundle(&new);
    ca.wait_until_trusted(&new);
    let _aborted = ca.0.operator(&["rotate", "abort"]);
    ca.wait_until_alone(&old);
    ca.looks_again();
    assert!(!ca.trusts(&new), "the same files");
    volume.put_bundle(&old);
    ca.wait_for_metric("reloads", 3);
    volume.put_bundle(&new);
    ca.wait_until_trusted(&new);
}
