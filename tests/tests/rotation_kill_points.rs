//! SIGKILL of the server at every single file operation of a whole rotation, one after the other: started again, it
//! finishes what it began, keeps every promise on the way, and nothing of the old key is left. The same where the system
//! refuses an operation once, without a restart. Needs strace: run by `tests/kills/run`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;
use tests::CART;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::cacerts::Cacerts;
use tests::follower::Enrolled;
use tests::follower::Follower;
use tests::poll::until;
use tests::poll::wait_for;
use tests::rotation::phase_away_from;
use tests::rotation::record;
use tests::rotation::signer;
use tests::tracer::Tracer;
use tests::tracer::conductor;
use tests::tracer::group_is_on;
use tests::witness::Witness;
use tests::witness::files_with;
use tokio::runtime::Builder;

/// What makes, moves, removes or syncs a file. The conductor's thread does these for record, trust bundle, copies, keys and
/// links alone: the ledger has threads of its own.
const OPERATIONS: &str = "rename,renameat,renameat2,unlink,unlinkat,rmdir,symlink,symlinkat,mkdir,mkdirat,link,linkat,ftruncate,chmod,fchmod,fsync,fdatasync";
/// Most of a run is waiting.
const AT_ONCE: usize = 20;
const LIMIT: Duration = Duration::from_secs(90);
const LEAF_SECONDS: i64 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    SelfSigned,
    PluggedIn,
}

/// Where to kill: at the `nth` of `operation`.
#[derive(Clone, Debug)]
struct Point {
    kind: Kind,
    operation: String,
    nth: u32,
}

/// A CA that is about to be rotated, and what is known of it before.
struct Scene {
    kind: Kind,
    dir: TempDir,
    root: String,
    issuer: String,
    keys: Vec<String>,
}

impl Scene {
    /// Makes the CA and starts it.
    fn new(kind: Kind) -> (Self, TestCa) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("cacerts")).unwrap();
        let mut scene = Self {
            kind,
            dir,
            root: String::new(),
            issuer: String::new(),
            keys: Vec::new(),
        };
        if kind == Kind::PluggedIn {
            let bundle = Cacerts::make();
            bundle.write(&scene.cacerts());
            scene.keys.push(bundle.key);
        }
        let ca = scene.start().unwrap();
        if kind == Kind::SelfSigned {
            let read = |name: &str| fs::read_to_string(scene.data().join("ca").join(name)).unwrap();
            scene.keys.extend(["ca-key.pem", "root-key.pem"].map(read));
        }
        scene.root = ca.roots_pem();
        scene.issuer = scene.record()["active"].as_str().unwrap().to_owned();
        (scene, ca)
    }

    fn start(&self) -> Result<TestCa, String> {
        self.start_as(Setup::default())
    }

    /// Starts under strace until the `nth` rename, or for a while. What is done again may be cut short as well.
    async fn start_and_be_killed(&self, nth: u32) {
        let under = [
            "strace",
            "-fqq",
            "--output=/dev/null",
            "--trace=rename",
            &format!("--inject=rename:signal=SIGKILL:when={nth}"),
        ];
        let Ok(mut ca) = self.start_as(Setup {
            under: under.map(str::to_owned).to_vec(),
            ..Setup::default()
        }) else {
            return;
        };
        let start = Instant::now();
        until("the kill, or some time", LIMIT, async || {
            (ca.has_ended() || start.elapsed() > Duration::from_secs(1)).then_some(())
        })
        .await;
        ca.kill();
    }

    fn start_as(&self, setup: Setup) -> Result<TestCa, String> {
        let flags = [
            "--min-ttl=1s",
            "--default-ttl=4s",
            "--max-ttl=8s",
            "--reload-interval=1s",
        ];
        TestCa::try_start(Setup {
            root_ca_dir: Some(self.cacerts()),
            data_dir: Some(self.data()),
            flags: flags.map(str::to_owned).to_vec(),
            ..setup
        })
    }

    /// Begins the rotation. Whoever is killed meanwhile does not answer.
    fn rotate(&self, ca: &TestCa) {
        match self.kind {
            Kind::SelfSigned => drop(ca.try_operator(&["rotate", "start", "--auto"])),
            Kind::PluggedIn => Cacerts::make().write(&self.cacerts()),
        }
    }

    /// An order that was not answered, or refused, is given again where nothing came of it. Files are found without.
    fn rotate_again(&self, ca: &TestCa) {
        let status: Value = wait_for(LIMIT, || {
            // Whoever asks also hears what else could not be done.
            let said = ca.try_operator(&["rotate", "status", "--output", "json"]);
            serde_json::from_slice(&said.stdout).ok()
        });
        let is_as_before = status["phase"] == "steady" && signer(&status, "active") == self.issuer;
        if is_as_before && self.kind == Kind::SelfSigned {
            let _started = ca.operator(&["rotate", "start", "--auto"]);
        }
    }

    fn cacerts(&self) -> PathBuf {
        self.dir.path().join("cacerts")
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn record(&self) -> Value {
        record(&self.data())
    }

    fn phase(&self) -> &'static str {
        phase_away_from(&self.issuer, &self.record())
    }

    /// The number of the trust bundle on disk.
    fn number(&self) -> u64 {
        let stored = fs::read(self.data().join("trust-bundle.json")).unwrap();
        let stored: Value = serde_json::from_slice(&stored).unwrap();
        stored["sequence"].as_u64().unwrap()
    }

    fn has_ended(&self) -> bool {
        self.phase() == "retired" && files_with(&self.data(), &self.keys).is_empty()
    }
}

/// An agent that acknowledges whatever it is told, as long as it is told something; its leaf.
async fn acknowledging(ca: &TestCa) -> Witness {
    let agent = Enrolled::new(ca, CART, 1, LEAF_SECONDS).await;
    let mut follower = Follower::of(ca, &agent).await.unwrap();
    let witness = Witness::of(&agent);
    tokio::spawn(async move {
        while let Ok(told) = follower.next().await {
            let _ended = follower.requests.send(agent.serves(told.number)).await;
        }
    });
    witness
}

/// Runs a rotation until the kill, and without one until its end; whether it was killed.
async fn run_until_killed(scene: &Scene, mut ca: TestCa, args: &[String]) -> (bool, Witness) {
    let leaf = acknowledging(&ca).await;
    let tracer = Tracer::attach(&[conductor(ca.pid())], args);
    scene.rotate(&ca);
    let mut over_since: Option<Instant> = None;
    let was_killed = until("the kill, or the end", LIMIT, async || {
        if ca.has_ended() {
            return Some(true);
        }
        // What remains then are some syncs.
        let since = scene
            .has_ended()
            .then(|| *over_since.get_or_insert_with(Instant::now));
        since
            .filter(|since| since.elapsed() > Duration::from_secs(1))
            .map(|_| false)
    })
    .await;
    ca.kill();
    drop(tracer);
    (was_killed, leaf)
}

/// How often each operation is called by a rotation that nobody disturbs, and the first number not met.
async fn points(kind: Kind) -> Vec<Point> {
    let (scene, ca) = Scene::new(kind);
    let trace = scene.dir.path().join("trace");
    let args = [
        format!("--output={}", trace.display()),
        format!("--trace={OPERATIONS}"),
    ];
    let (was_killed, _) = run_until_killed(&scene, ca, &args).await;
    assert!(!was_killed);
    let mut calls: BTreeMap<String, u32> = BTreeMap::new();
    for line in fs::read_to_string(trace).unwrap().lines() {
        if let Some((name, _)) = line.split_once('(') {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    eprintln!("{kind:?}: {calls:?}");
    let each = |(operation, calls): (String, u32)| {
        (1..=calls).map(move |nth| Point {
            kind,
            operation: operation.clone(),
            nth,
        })
    };
    calls.into_iter().flat_map(each).collect()
}

/// Kills at `point` and starts again; the phase that the kill came in, if it came.
async fn kill_at(point: &Point) -> Option<&'static str> {
    let (scene, ca) = Scene::new(point.kind);
    let Point { operation, nth, .. } = point;
    let args = [
        "--output=/dev/null".to_owned(),
        format!("--trace={operation}"),
        format!("--inject={operation}:signal=SIGKILL:when={nth}"),
    ];
    let (was_killed, leaf) = run_until_killed(&scene, ca, &args).await;
    let (phase, number) = (scene.phase(), scene.number());
    scene.start_and_be_killed(1 + nth % 3).await;
    let ca = match scene.start() {
        Ok(ca) => ca,
        Err(said) => panic!("{point:?} in {phase}: {said}"),
    };
    scene.rotate_again(&ca);
    finish(&scene, &ca, leaf, number, &format!("{point:?} in {phase}")).await;
    was_killed.then_some(phase)
}

/// By itself the rotation comes to its end, and nobody who holds a leaf is left without its root on the way.
async fn finish(scene: &Scene, ca: &TestCa, leaf: Witness, number: u64, when: &str) {
    let roots = ca.roots_pem();
    leaf.insist(&roots, when);
    let mut leaves = vec![leaf];
    let newer = Enrolled::new(
        ca,
        "spiffe://cluster.local/ns/shop/sa/till",
        2,
        LEAF_SECONDS,
    )
    .await;
    leaves.push(Witness::of(&newer));
    let (mut known, mut last) = (String::new(), number);
    until(when, LIMIT, async || {
        let number = ca.metric("signet_trust_bundle_number");
        assert!(number >= last, "{when}: {number} after {last}");
        last = number;
        let roots = ca.roots_pem();
        if roots != known {
            leaves.iter().for_each(|leaf| leaf.insist(&roots, when));
            known = roots;
        }
        (!known.contains(scene.root.trim()) && scene.has_ended()).then_some(())
    })
    .await;
    assert_eq!(known.matches("BEGIN").count(), 1, "{when}");
    let last = Enrolled::new(ca, CART, 3, LEAF_SECONDS).await;
    let said = Witness::of(&last).judged_by(&known);
    assert!(said.ok, "{when}: {}", said.text);
}

/// Lets the system refuse what is done at `point`, once. The server goes on, and does it again; the phase in which the
/// rotation was then.
async fn refuse_at(point: &Point) -> Option<&'static str> {
    let (scene, ca) = Scene::new(point.kind);
    let Point { operation, nth, .. } = point;
    let trace = scene.dir.path().join("trace");
    let args = [
        format!("--output={}", trace.display()),
        format!("--trace={operation}"),
        format!("--inject={operation}:error=ENOSPC:when={nth}"),
    ];
    let (leaf, number) = (acknowledging(&ca).await, scene.number());
    let tracer = Tracer::attach(&[conductor(ca.pid())], &args);
    scene.rotate(&ca);
    let was_met = || {
        let trace = fs::read_to_string(&trace).unwrap();
        trace.contains("(INJECTED)").then(|| scene.phase())
    };
    let phase = was_met();
    scene.rotate_again(&ca);
    finish(&scene, &ca, leaf, number, &format!("{point:?} refused")).await;
    drop(tracer);
    phase.or_else(was_met)
}

/// How many kills, or refusals, came in which phase.
type Phases = BTreeMap<(Kind, &'static str), u32>;

/// Takes points until there are no more.
fn at_each(
    points: &Mutex<VecDeque<Point>>,
    disturb: impl AsyncFn(&Point) -> Option<&'static str>,
) -> Phases {
    // What an agent says goes on while its CA is looked at.
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    let mut phases = Phases::new();
    loop {
        let point = points.lock().unwrap().pop_front();
        let Some(point) = point else {
            return phases;
        };
        let phase = runtime.block_on(disturb(&point)).unwrap_or(NOT_MET);
        *phases.entry((point.kind, phase)).or_default() += 1;
    }
}

/// Does it at all points of both rotations, many at a time.
fn at_all_points(
    what: &str,
    disturb: impl AsyncFn(&Point) -> Option<&'static str> + Copy + Send + Sync,
) -> Phases {
    let start = Instant::now();
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let all = KINDS.map(|kind| runtime.block_on(points(kind))).concat();
    let (count, all) = (all.len(), Mutex::new(VecDeque::from(all)));
    let mut phases = Phases::new();
    thread::scope(|scope| {
        let runs = [(); AT_ONCE].map(|()| scope.spawn(|| at_each(&all, disturb)));
        for (phase, times) in runs.into_iter().flat_map(|run| run.join().unwrap()) {
            *phases.entry(phase).or_default() += times;
        }
    });
    eprintln!("{count} operations, {what}, in {:?}", start.elapsed());
    for ((kind, phase), times) in &phases {
        eprintln!("{kind:?}, {phase}: {times}");
    }
    for kind in KINDS {
        let not_met = phases.get(&(kind, NOT_MET)).copied().unwrap_or_default();
        assert!(not_met <= 3, "{kind:?}: {not_met}");
    }
    phases
}

#[test]
fn a_server_killed_at_any_file_operation_of_a_rotation_finishes_it_and_keeps_every_promise() {
    if !group_is_on() {
        return;
    }
    let phases = at_all_points("a kill at each", kill_at);
    for kind in KINDS {
        for phase in ["before", "distribute", "drain", "retired"] {
            assert!(phases.contains_key(&(kind, phase)), "{kind:?} {phase}");
        }
    }
}

#[test]
fn a_server_that_is_refused_any_file_operation_of_a_rotation_once_finishes_it_by_itself() {
    if !group_is_on() {
        return;
    }
    let _phases = at_all_points("each refused once", refuse_at);
}

const KINDS: [Kind; 2] = [Kind::SelfSigned, Kind::PluggedIn];
const NOT_MET: &str = "not met";
