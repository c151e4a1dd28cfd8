//! One conductor on a data directory, without a server around it: what it leaves behind, what it waits for, and what it
//! remembers across restarts.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::ca::CaError;
use super::directory::Directory;
use super::*;
use crate::authority::self_signed;
use crate::authority::self_signed::NewRoot;
use crate::authority::state::TrustDomainChange;
use crate::ledger::LedgerOptions;
use crate::rotation::Command;
use crate::rotation::Origin;
use crate::rotation::Phase;
use crate::rotation::Report;
use crate::x509::SystemEntropy;

const LONG: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// With leaves of that length a root is replaced long before its issuing CA.
const ROOT_IS_DUE: Duration = Duration::from_secs(5 * 365 * 24 * 60 * 60);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A data directory, and one that an operator may fill.
struct Scene {
    work: TempDir,
}

impl Scene {
    fn new() -> Self {
        let work = tempfile::tempdir().unwrap();
        fs::create_dir_all(work.path().join("data")).unwrap();
        fs::create_dir_all(work.path().join("cacerts")).unwrap();
        Self { work }
    }

    fn data(&self) -> PathBuf {
        self.work.path().join("data")
    }

    fn cacerts(&self) -> PathBuf {
        self.work.path().join("cacerts")
    }

    /// Another CA's files, as an operator brings them.
    fn put_files(&self) {
        let _other = self.put_files_of_other();
    }

    fn put_files_of_other(&self) -> TempDir {
        let other = tempfile::tempdir().unwrap();
        let (domain, new) = ("cluster.local".parse().unwrap(), NewRoot::Allow);
        let mut state = State::open(other.path(), &domain, TrustDomainChange::Refuse).unwrap();
        self_signed::open_or_create(other.path(), &mut state, new, now(), &SystemEntropy).unwrap();
        for name in [
            "ca-cert.pem",
            "ca-key.pem",
            "cert-chain.pem",
            "root-cert.pem",
        ] {
            fs::copy(
                other.path().join("ca").join(name),
                self.cacerts().join(name),
            )
            .unwrap();
        }
        other
    }

    /// Beside them the lists of both CAs, which end in 30 days.
    fn put_files_with_lists(&self) {
        let other = self.put_files_of_other();
        let sign = "set -e; cd \"$0\"; printf '[ca]\ndefault_ca=c\n[c]\ndatabase=i\ndefault_md=sha256\ncrl_extensions=x\n[x]\nauthorityKeyIdentifier=keyid:always\n' > cnf; touch i
            for of in ca root; do openssl ca -config cnf -cert $of-cert.pem -keyfile $of-key.pem -gencrl -crl_lastupdate 20270114000000Z -crl_nextupdate 20270214000000Z; done > ca-crl.pem";
        let signed = std::process::Command::new("sh")
            .args(["-c", sign])
            .arg(other.path().join("ca"))
            .output();
        let signed = signed.unwrap();
        assert!(signed.status.success(), "{signed:?}");
        let list = "ca-crl.pem";
        fs::copy(
            other.path().join("ca").join(list),
            self.cacerts().join(list),
        )
        .unwrap();
    }

    fn take_files_away(&self) {
        fs::remove_dir_all(self.cacerts()).unwrap();
        fs::create_dir(self.cacerts()).unwrap();
    }

    async fn open(&self) -> Conductor {
        let domain: TrustDomain = "cluster.local".parse().unwrap();
        let state = State::open(&self.data(), &domain, TrustDomainChange::Refuse).unwrap();
        let ledger = SledLedger::open(&self.data().join("ledger"), LedgerOptions::default());
        let settings = Settings {
            data_dir: self.data(),
            root_ca_dir: self.cacerts(),
            trust_domain: domain,
            limits: Limits {
                default_ttl: Duration::from_secs(60),
                max_ttl: DAY,
                unrecorded_ttl: Duration::ZERO,
                backdating: Duration::ZERO,
                fresh_ca: Duration::ZERO,
            },
            rotation_ttl: DAY,
            keeps_copies: true,
            reload_interval: Duration::ZERO,
        };
        let ledger = Arc::new(ledger.unwrap());
        let opened = open_ca(settings, state, ledger, NewRoot::Refuse, now()).await;
        opened.unwrap()
    }

    /// What the next process finds.
    async fn open_again(&self, conductor: Conductor) -> Conductor {
        conductor.ledger.close().await.unwrap();
        drop(conductor);
        self.open().await
    }

    /// The self-signed sets and links in the data directory.
    fn sets(&self) -> Vec<String> {
        names(&self.data(), "ca")
    }
}

fn names(dir: &Path, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort_unstable();
    names
}

impl Conductor {
    /// Looks once, and takes no further step.
    async fn look(&mut self) {
        let read = Content::read(&self.settings.root_ca_dir);
        self.take_what_was_read(read, now()).await.unwrap();
    }

    async fn ask(&mut self, command: Command) -> Result<Report, CaError> {
        self.answer(&command, false, now()).await
    }

    /// Does with an order what it does while it serves, until it is answered.
    async fn order(&mut self, command: Command) -> Result<Report, CaError> {
        let (answer, mut answered) = oneshot::channel();
        let asked = Asked {
            command,
            dry_run: false,
            answer,
        };
        self.obey(Order::Asked(asked), now()).await;
        if answered.is_empty() {
            let read = self.looking.ended().await;
            self.finish_look(read, now()).await;
        }
        answered.try_recv().unwrap()
    }

    fn next_origin(&self) -> Option<Origin> {
        self.record.next_signer().map(|signer| signer.origin)
    }
}

fn start() -> Command {
    Command::Start {
        auto: false,
        renew_within: None,
    }
}

fn start_by_itself() -> Command {
    Command::Start {
        auto: true,
        renew_within: None,
    }
}

/// Nothing can be written under `name` from now on.
fn block(dir: &Path, name: &str) -> PathBuf {
    let blocked = dir.join(format!(".{name}.new"));
    fs::create_dir(&blocked).unwrap();
    blocked
}

#[tokio::test]
async fn the_keys_of_a_retired_signer_go_although_a_crash_left_the_link_to_them() {
    let scene = Scene::new();
    let conductor = scene.open().await;
    let kept = tempfile::tempdir().unwrap();
    for name in [
        "ca-cert.pem",
        "ca-key.pem",
        "cert-chain.pem",
        "root-cert.pem",
        "root-key.pem",
    ] {
        fs::copy(scene.data().join("ca").join(name), kept.path().join(name)).unwrap();
    }
    scene.put_files();
    let conductor = scene.open_again(conductor).await;
    assert_eq!(conductor.record.phase(), Phase::Steady, "no leaf waits");
    assert!(scene.sets().is_empty());
    fs::create_dir(scene.data().join("ca.1")).unwrap();
    for name in names(kept.path(), "") {
        fs::copy(
            kept.path().join(&name),
            scene.data().join("ca.1").join(&name),
        )
        .unwrap();
    }
    symlink("ca.1", scene.data().join("ca")).unwrap();
    let _conductor = scene.open_again(conductor).await;
    assert!(scene.sets().is_empty(), "{:?}", scene.sets());
}

#[tokio::test]
async fn a_retired_key_that_cannot_be_destroyed_holds_up_nothing_and_goes_later() {
    let scene = Scene::new();
    let mut conductor = scene.open().await;
    let first = conductor.record.active;
    conductor.ask(start()).await.unwrap();
    let in_the_way = scene.data().join("ca.old");
    fs::write(&in_the_way, "").unwrap();
    conductor
        .ask(Command::Activate { force: None })
        .await
        .unwrap();
    let retire = Command::Retire {
        issuer: None,
        force: None,
    };
    conductor.ask(retire).await.unwrap();
    assert_eq!(conductor.record.phase(), Phase::Steady);
    assert_ne!(conductor.record.active, first);
    assert!(conductor.signers.get(&first).is_some() && !conductor.unfinished);
    fs::remove_file(in_the_way).unwrap();
    conductor.bring_up_to_date(now()).await.unwrap();
    assert!(conductor.signers.get(&first).is_none());
    assert_eq!(scene.sets().len(), 2, "one set and the link to it");
}

#[tokio::test]
async fn a_refused_order_is_not_called_recorded_because_something_else_was() {
    let scene = Scene::new();
    let mut conductor = scene.open().await;
    // As after a root came under which the signer is accepted as well.
    conductor.record.signers[0].also_accepted_by = vec![conductor.record.active];
    conductor.unfinished = true;
    let refused = conductor.ask(Command::Abort).await.unwrap_err();
    assert!(!matches!(refused, CaError::Recorded(_)), "{refused:?}");
}

#[tokio::test]
async fn a_retired_signers_copy_goes_although_it_was_never_loaded() {
    let scene = Scene::new();
    scene.put_files();
    let mut conductor = scene.open().await;
    let lost = scene.data().join("signers").join("0".repeat(64));
    fs::create_dir(&lost).unwrap();
    conductor.enact(now()).await.unwrap();
    assert!(!lost.exists());
    assert_eq!(names(&scene.data().join("signers"), "").len(), 1);
}

#[tokio::test]
async fn a_signer_of_our_own_that_is_not_taken_leaves_no_keys() {
    let scene = Scene::new();
    let mut conductor = scene.open().await;
    let before = scene.sets();
    let made = conductor.make_root(now()).unwrap();
    assert_ne!(scene.sets(), before);
    let never = now() + DAY * 365 * 20;
    conductor.introduce(made, true, never).await.unwrap_err();
    assert_eq!(scene.sets(), before, "over before it began");
    let blocked = block(&scene.data(), "rotation.json");
    conductor.ask(start()).await.unwrap_err();
    let issuer = conductor.record.active;
    let taint = Command::Taint {
        issuer,
        deadline: None,
        renew_within: None,
    };
    conductor.ask(taint).await.unwrap_err();
    assert_eq!(scene.sets(), before, "nothing could be written");
    fs::remove_dir(blocked).unwrap();
    conductor.ask(start()).await.unwrap();
    assert!(conductor.record.next.is_some());
}

#[tokio::test]
async fn a_renewal_that_failed_is_not_tried_again_at_every_turn() {
    let scene = Scene::new();
    let mut conductor = scene.open().await;
    conductor.settings.limits.max_ttl = ROOT_IS_DUE;
    let blocked = block(&scene.data(), "rotation.json");
    let before = scene.sets();
    conductor.renew_self_signed(now()).await.unwrap_err();
    fs::remove_dir(blocked).unwrap();
    assert_eq!(scene.sets(), before);
    conductor.renew_self_signed(now()).await.unwrap();
    assert_eq!((scene.sets(), conductor.record.next), (before, None));
    conductor.renewal_patience = Patience::default();
    conductor.renew_self_signed(now()).await.unwrap();
    assert!(conductor.record.next.is_some(), "when its time has come");
}

#[tokio::test]
async fn an_aborted_removal_stays_aborted_across_restarts_until_somebody_wants_it() {
    let scene = Scene::new();
    scene.put_files();
    let mut conductor = scene.open().await;
    scene.take_files_away();
    conductor.look().await;
    conductor.look().await;
    assert_eq!(conductor.next_origin(), Some(Origin::SelfSigned));
    let aborted = conductor.ask(Command::Abort).await.unwrap();
    for _ in 0..3 {
        conductor.look().await;
    }
    assert_eq!(conductor.next_origin(), None);
    let figures = |conductor: &Conductor| {
        let Directory {
            loaded,
            on_disk,
            failure,
            ..
        } = conductor.directory.clone();
        (
            loaded,
            on_disk,
            failure,
            conductor.directory.counts().in_sync,
        )
    };
    let before = figures(&conductor);
    assert!(
        aborted.directory.failure.contains("rotate start"),
        "{:?}",
        aborted.directory
    );
    let mut conductor = scene.open_again(conductor).await;
    conductor.look().await;
    conductor.look().await;
    assert_eq!(
        (conductor.next_origin(), figures(&conductor)),
        (None, before)
    );
    conductor.order(start_by_itself()).await.unwrap();
    let went = conductor.record.active_signer().unwrap().origin;
    assert_eq!(went, Origin::SelfSigned, "{:?}", conductor.record);
}

#[tokio::test]
async fn files_that_were_given_up_look_the_same_across_a_restart_and_begin_again_at_a_start() {
    let scene = Scene::new();
    scene.put_files();
    let mut conductor = scene.open().await;
    let old = conductor.directory.figures();
    scene.put_files();
    conductor.look().await;
    let next = conductor.record.next.unwrap();
    conductor.ask(Command::Abort).await.unwrap();
    let hashes = |conductor: &Conductor| {
        let figures = conductor.directory.figures();
        let in_sync = conductor.directory.counts().in_sync;
        (figures.loaded, figures.on_disk, figures.failure, in_sync)
    };
    let before = hashes(&conductor);
    assert_eq!((&before.0, before.3), (&old.loaded, false));
    let mut conductor = scene.open_again(conductor).await;
    assert_eq!((hashes(&conductor), conductor.record.next), (before, None));
    conductor.order(start_by_itself()).await.unwrap();
    assert_eq!(conductor.record.active, next);
}

#[tokio::test]
async fn what_is_aborted_while_the_directory_cannot_be_read_stays_so_when_it_can() {
    let scene = Scene::new();
    scene.put_files();
    let mut conductor = scene.open().await;
    for change in [Scene::put_files, Scene::take_files_away] {
        change(&scene);
        conductor.look().await;
        conductor.look().await;
        assert!(conductor.record.next.is_some());
        let gone = Err(io::Error::other("gone"));
        conductor.take_what_was_read(gone, now()).await.unwrap();
        conductor.ask(Command::Abort).await.unwrap();
        conductor.look().await;
        conductor.look().await;
        assert_eq!(conductor.record.next, None);
    }
}

#[tokio::test]
async fn an_aborted_renewal_comes_again_when_half_of_the_time_is_over() {
    let scene = Scene::new();
    let mut conductor = scene.open().await;
    conductor.settings.limits.max_ttl = ROOT_IS_DUE;
    conductor.renew_self_signed(now()).await.unwrap();
    assert!(conductor.record.next.is_some());
    conductor.ask(Command::Abort).await.unwrap();
    let mut conductor = scene.open_again(conductor).await;
    conductor.settings.limits.max_ttl = ROOT_IS_DUE;
    conductor
        .renew_self_signed(now() + DAY * 180)
        .await
        .unwrap();
    assert_eq!(conductor.record.next, None);
    conductor
        .renew_self_signed(now() + DAY * 184)
        .await
        .unwrap();
    assert!(conductor.record.next.is_some());
}

/// A mount that is gone: it answers when the test lets go.
fn hang(conductor: &mut Conductor) -> std::sync::mpsc::Sender<()> {
    let (let_go, held) = std::sync::mpsc::channel();
    let held = Mutex::new(held);
    conductor.looking = Looking::new(Duration::from_millis(50));
    conductor.looking.reader = Arc::new(move |_dir| {
        let _gone = held.lock().unwrap().recv();
        Err(io::Error::other("it came back"))
    });
    let_go
}

async fn ask(orders: &mpsc::Sender<Order>, command: Command) -> Report {
    let (answer, answered) = oneshot::channel();
    let asked = Asked {
        command,
        dry_run: false,
        answer,
    };
    orders.send(Order::Asked(asked)).await.unwrap();
    let answered = timeout(LONG, answered).await.expect("an answer in time");
    answered.unwrap().unwrap()
}

#[tokio::test]
async fn a_directory_that_hangs_is_told_and_keeps_neither_orders_nor_the_stop_waiting() {
    let scene = Scene::new();
    scene.put_files();
    let mut conductor = scene.open().await;
    let let_go = hang(&mut conductor);
    let (orders, taken) = mpsc::channel(4);
    let stop = CancellationToken::new();
    let clock = Arc::new(crate::clock::SystemClock);
    let works = conductor.run(taken, clock, Metrics::new().unwrap(), stop.clone());
    let works = tokio::spawn(works);
    for _ in 0..2 {
        let hung = ask(&orders, Command::Reload).await.directory.failure;
        assert!(hung.contains("did not answer within"), "{hung}");
    }
    orders.send(Order::Look).await.unwrap();
    let told = ask(&orders, Command::Report).await;
    assert_eq!((told.directory.failures, told.directory.looks), (1, 2));
    stop.cancel();
    timeout(LONG, works).await.expect("it stops").unwrap();
    drop(let_go);
}

#[tokio::test]
async fn orders_are_taken_while_the_directory_is_read() {
    let scene = Scene::new();
    scene.put_files();
    let mut conductor = scene.open().await;
    let let_go = hang(&mut conductor);
    let reader = Arc::clone(&conductor.looking.reader);
    conductor.looking = Looking::new(LONG * 60);
    conductor.looking.reader = reader;
    let (orders, taken) = mpsc::channel(4);
    let stop = CancellationToken::new();
    let clock = Arc::new(crate::clock::SystemClock);
    let works = conductor.run(taken, clock, Metrics::new().unwrap(), stop.clone());
    let works = tokio::spawn(works);
    orders.send(Order::Look).await.unwrap();
    let told = ask(&orders, Command::Report).await;
    assert_eq!(told.directory.failure, "");
    let reload = ask(&orders, Command::Reload);
    let let_it_go = async {
        let _answered = ask(&orders, Command::Report).await;
        drop(let_go);
    };
    let (reloaded, ()) = tokio::join!(reload, let_it_go);
    assert!(reloaded.directory.failure.contains("it came back"));
    assert_eq!(reloaded.directory.looks, 3, "the one that was asked for");
    stop.cancel();
    timeout(LONG, works).await.expect("it stops").unwrap();
}

#[tokio::test]
async fn a_list_that_is_about_to_end_is_told_and_more_so_when_it_has_ended() {
    let scene = Scene::new();
    scene.put_files_with_lists();
    let mut conductor = scene.open().await;
    let mut told = async |days: u32| {
        let report = conductor.answer(&Command::Report, false, now() + DAY * days);
        report.await.unwrap().warnings
    };
    assert_eq!(told(0).await, [""; 0]);
    for (days, word) in [(26, "ends at 2027-02-14"), (31, "ended at 2027-02-14")] {
        let warnings = told(days).await;
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        let all = |warning: &String| warning.contains(word) && warning.contains("ca-crl.pem");
        assert!(warnings.iter().all(all), "{warnings:?}");
    }
}

fn taint(issuer: Fingerprint) -> Command {
    Command::Taint {
        issuer,
        deadline: None,
        renew_within: None,
    }
}

fn distrusted(conductor: &Conductor) -> Vec<Fingerprint> {
    let current = conductor.authority.current();
    current.conditions().distrusted.clone()
}

/// The issuers whose certificates the listener may show, the preferred one first.
fn shown(conductor: &Conductor) -> Vec<Fingerprint> {
    let current = conductor.authority.current();
    let signers = current.signers();
    signers
        .map(|signer| signer.issuer().fingerprint())
        .collect()
}

#[tokio::test]
async fn a_way_out_of_a_stolen_key_is_shown_on_when_its_key_is_stolen_too() {
    let scene = Scene::new();
    let mut conductor = scene.open().await;
    // Nobody would take a step by itself before all of this was seen.
    conductor.settings.limits.fresh_ca = DAY;
    let first = conductor.record.active_signer().unwrap().clone();
    conductor.ask(taint(first.issuer)).await.unwrap();
    let second = conductor.record.next_signer().unwrap().clone();
    assert_eq!(distrusted(&conductor), [first.root]);
    // The next step by itself would be to let go of it, for nobody holds a leaf here.
    let loaded: Vec<Fingerprint> = conductor.signers.issuers().collect();
    let record = conductor
        .record
        .taint(&second.issuer, (None, None), &loaded, now());
    conductor.turn_away(record.unwrap(), now()).await.unwrap();
    let third = conductor.record.next_signer().unwrap().issuer;
    assert_eq!(shown(&conductor), [first.issuer, third, second.issuer]);
    assert_eq!(distrusted(&conductor), [first.root, second.root]);
    conductor.bring_up_to_date(now()).await.unwrap();
    assert_eq!(shown(&conductor), [first.issuer, third]);
}

#[tokio::test]
async fn a_way_out_of_a_stolen_key_is_shown_on_when_other_files_come() {
    let scene = Scene::new();
    let mut conductor = scene.open().await;
    conductor.settings.limits.fresh_ca = DAY;
    let first = conductor.record.active;
    conductor.ask(taint(first)).await.unwrap();
    let second = conductor.record.next.unwrap();
    scene.put_files();
    conductor.look().await;
    let files = conductor.record.next.unwrap();
    assert_eq!(conductor.next_origin(), Some(Origin::PluggedIn));
    assert_eq!(shown(&conductor), [first, second], "the files are not out");
    assert_eq!(distrusted(&conductor).len(), 1);
    conductor.bring_up_to_date(now()).await.unwrap();
    assert_eq!(shown(&conductor), [first, files], "it is known to all");
}

#[tokio::test]
async fn files_that_were_given_up_stay_so_when_a_root_of_our_own_comes() {
    for is_stolen in [false, true] {
        let scene = Scene::new();
        let mut conductor = scene.open().await;
        scene.put_files();
        conductor.look().await;
        conductor.ask(Command::Abort).await.unwrap();
        let command = match is_stolen {
            true => taint(conductor.record.active),
            false => start(),
        };
        conductor.ask(command).await.unwrap();
        conductor.look().await;
        let origins = conductor.record.signers.iter().map(|it| it.origin);
        let origins: Vec<Origin> = origins.collect();
        assert!(!origins.contains(&Origin::PluggedIn), "{origins:?}");
        assert!(conductor.record.aborted.is_some());
    }
}

#[tokio::test]
async fn what_was_given_up_begins_again_as_the_operator_wants_it() {
    let within = Some(Duration::from_secs(77));
    for change in [Scene::put_files, Scene::take_files_away] {
        let scene = Scene::new();
        scene.put_files();
        let mut conductor = scene.open().await;
        change(&scene);
        conductor.look().await;
        conductor.look().await;
        conductor.ask(Command::Abort).await.unwrap();
        let by_hand = Command::Start {
            auto: false,
            renew_within: within,
        };
        conductor.order(by_hand).await.unwrap();
        conductor.look().await;
        conductor.bring_up_to_date(now()).await.unwrap();
        let record = &conductor.record;
        assert_eq!((record.auto, record.renew_within), (false, within));
        assert_eq!(record.phase(), Phase::Distribute, "published, no more");
        scene.put_files();
        conductor.look().await;
        let again = (conductor.record.auto, conductor.record.next_signer());
        assert!(again.0 && again.1.is_some(), "of other files nobody spoke");
    }
}

#[tokio::test]
async fn a_root_that_was_made_and_never_put_down_goes_at_the_next_start() {
    let scene = Scene::new();
    let conductor = scene.open().await;
    let before = scene.sets();
    let _made = conductor.make_root(now()).unwrap();
    assert_ne!(scene.sets(), before);
    let mut conductor = scene.open_again(conductor).await;
    assert_eq!(scene.sets(), before);
    conductor.settings.limits.fresh_ca = DAY;
    conductor.ask(start()).await.unwrap();
    let with_next = scene.sets();
    assert_ne!(with_next, before);
    // As a crash leaves it between the record and the rest, and as a backup brings it.
    fs::write(scene.data().join("ca.2").join("pending"), "").unwrap();
    let conductor = scene.open_again(conductor).await;
    assert_eq!(scene.sets(), with_next);
    assert!(!scene.data().join("ca.2").join("pending").exists());
    drop(conductor);
}

#[tokio::test]
async fn the_keys_of_a_signer_that_was_withdrawn_do_not_outlive_a_crash() {
    let scene = Scene::new();
    let mut conductor = scene.open().await;
    let before = scene.sets();
    conductor.ask(start()).await.unwrap();
    let (kept, set) = (scene.data().join("kept"), scene.data().join("ca.2"));
    fs::create_dir(&kept).unwrap();
    for name in names(&set, "") {
        fs::copy(set.join(&name), kept.join(&name)).unwrap();
    }
    conductor.ask(Command::Abort).await.unwrap();
    fs::rename(&kept, &set).unwrap();
    let _conductor = scene.open_again(conductor).await;
    assert_eq!(scene.sets(), before);
}

#[tokio::test]
async fn a_next_signer_whose_key_is_gone_is_told_and_blocks_nothing() {
    let scene = Scene::new();
    let mut conductor = scene.open().await;
    conductor.settings.keeps_copies = false;
    conductor.settings.limits.fresh_ca = DAY;
    scene.put_files();
    conductor.look().await;
    conductor.bring_up_to_date(now()).await.unwrap();
    let next = conductor.record.next.unwrap();
    scene.take_files_away();
    let mut conductor = scene.open_again(conductor).await;
    conductor.bring_up_to_date(now()).await.unwrap();
    assert_eq!(conductor.record.next, Some(next));
    let told = conductor.ask(Command::Report).await.unwrap();
    let sentences = told.steps[0].obstacles.iter().map(ToString::to_string);
    let sentences: Vec<String> = sentences.collect();
    assert!(sentences[0].contains("is not here"), "{sentences:?}");
    let refused = conductor.ask(Command::Activate { force: None }).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("put its files back")
    );
    let issuer = conductor.record.active;
    let loaded: Vec<Fingerprint> = conductor.signers.issuers().collect();
    let record = conductor
        .record
        .taint(&issuer, (None, None), &loaded, now());
    conductor.turn_away(record.unwrap(), now()).await.unwrap();
    assert_eq!(distrusted(&conductor), [], "only the stolen one is shown");
}
