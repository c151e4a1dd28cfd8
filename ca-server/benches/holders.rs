//! What does a rotation cost while many hold leaves? One look at all of them, part by part, and how much slower leaves
//! are issued while the old root drains: at the pace of the conductor, and without a pause.
//!
//! `cargo bench --bench holders [-- HOLDERS]`. Ratios are of one run; what is before them is this machine's.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use ca_server::ledger::Acknowledgement;
use ca_server::ledger::Evidence as Proof;
use ca_server::ledger::Holding;
use ca_server::ledger::InstanceId;
use ca_server::ledger::Intent;
use ca_server::ledger::Ledger;
use ca_server::ledger::LedgerOptions;
use ca_server::ledger::SledLedger;
use ca_server::rotation::Evidence;
use ca_server::rotation::Limits;
use ca_server::rotation::Origin;
use ca_server::rotation::Pace;
use ca_server::rotation::Record;
use ca_server::rotation::Signer;
use ca_server::rotation::awaited;
use ca_server::rotation::due;
use ca_server::x509::LeafName;
use ca_server::x509::Serial;
use ca_server::x509::Validity;
use proto::certificate::Fingerprint;
use tokio::task::JoinSet;

fn main() {
    let holders = std::env::args().filter_map(|it| it.parse().ok()).next();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure(holders.unwrap_or(HOLDERS)));
}

async fn measure(holders: u64) {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::with(dir.path(), holders).await);
    println!("{holders} holders; the middle of {TIMES} times:");
    world.measure_a_look().await;
    println!("leaves issued in {WINDOW:?}, reserved and recorded, by {WORKERS} at once:");
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for _ in 0..ROUNDS {
        for (name, pace) in PACES {
            *counts.entry(name).or_default() += world.issue_while_looking(pace).await;
        }
    }
    let quiet = counts.get("nobody looks").copied().unwrap_or(1);
    for (name, _) in PACES {
        let count = counts.get(name).copied().unwrap_or(0);
        let share = 100.0 * count as f64 / quiet as f64;
        println!("  {:>8} {share:>5.1} %  {name}", count / ROUNDS);
    }
}

/// A mesh whose old root A drains, with leaves of it in everybody's hands; B signs.
struct World {
    ledger: SledLedger,
    record: Record,
    since: HashMap<Fingerprint, u64>,
    now: SystemTime,
    serials: AtomicU64,
    started: Instant,
    /// Goes on from one round to the next.
    pace: Mutex<Pace>,
}

impl World {
    async fn with(dir: &Path, holders: u64) -> Self {
        let now = SystemTime::now();
        let ledger = SledLedger::open(&dir.join("ledger"), LedgerOptions::default()).unwrap();
        let world = Arc::new(Self {
            ledger,
            record: draining(now),
            since: HashMap::from([(name_of("root A"), 5), (name_of("root B"), 7)]),
            now,
            serials: AtomicU64::new(0),
            started: Instant::now(),
            pace: Mutex::default(),
        });
        let mut filling = JoinSet::new();
        for first in 0..WORKERS {
            let world = Arc::clone(&world);
            filling.spawn(async move {
                for holder in (first..holders).step_by(usize::try_from(WORKERS).unwrap()) {
                    let serial = world.issue(holder, 'A').await;
                    world.acknowledge(holder, serial).await;
                }
            });
        }
        filling.join_all().await;
        Arc::into_inner(world).unwrap()
    }

    /// Reserves and records a leaf.
    async fn issue(&self, holder: u64, signer: char) -> Serial {
        let number = self.serials.fetch_add(1, Ordering::Relaxed);
        let serial = Serial::draw(self.now, &Numbered(number)).unwrap();
        let intent = self.intent(serial, holder, signer);
        self.ledger.reserve(intent).await.unwrap();
        self.ledger.record(serial, vec![0x30; 700]).await.unwrap();
        serial
    }

    fn intent(&self, serial: Serial, holder: u64, signer: char) -> Intent {
        Intent {
            serial,
            name: LeafName::Workload(spiffe_id(holder)),
            key: name_of(&holder.to_string()),
            validity: Validity::new(self.now, self.now + DAY).unwrap(),
            issuer: name_of(&format!("issuer {signer}")),
            root: name_of(&format!("root {signer}")),
            reserved_at: self.now,
            evidence: Proof::Jwt {
                issuer: "https://cluster.example".to_owned(),
                subject: "system:serviceaccount:shop:cart".to_owned(),
            },
            request_id: "6f1c2d3e".to_owned(),
            bundle: if signer == 'A' { 5 } else { 7 },
            instance: Some(instance(holder)),
            caller: Vec::new(),
        }
    }

    async fn acknowledge(&self, holder: u64, serial: Serial) {
        let said = Acknowledgement {
            instance: instance(holder),
            spiffe_id: spiffe_id(holder),
            bundle: 7,
            serial: Some(serial),
            at: self.now,
            shared: false,
        };
        self.ledger.acknowledge(said).await.unwrap();
    }

    fn evidence<'a>(&'a self, holdings: &'a [Holding]) -> Evidence<'a> {
        Evidence {
            now: self.now,
            bundle: 7,
            since: &self.since,
            crl_since: None,
            crl_free_since: None,
            holdings,
            unrecorded_until: None,
            hints_until: None,
            listed_roots: &[],
            next_is_here: true,
            limits: Limits {
                default_ttl: DAY,
                max_ttl: 2 * DAY,
                unrecorded_ttl: DAY,
                backdating: Duration::from_secs(120),
                fresh_ca: Duration::from_secs(120),
            },
        }
    }

    async fn look(&self) {
        let holdings = self.ledger.holdings(self.now).await.unwrap();
        tokio::task::block_in_place(|| {
            let evidence = self.evidence(&holdings);
            let counts = awaited(&self.record, &evidence);
            assert!(counts.by_retirement > 0 && due(&self.record, &evidence).is_none());
        });
    }

    async fn measure_a_look(&self) {
        let mut times: HashMap<&str, Vec<Duration>> = HashMap::new();
        let mut note = |name, start: Instant| times.entry(name).or_default().push(start.elapsed());
        for _ in 0..TIMES {
            let start = Instant::now();
            let holdings = self.ledger.holdings(self.now).await.unwrap();
            note("holdings", start);
            let evidence = self.evidence(&holdings);
            let start = Instant::now();
            let counts = awaited(&self.record, &evidence);
            note("awaited", start);
            let start = Instant::now();
            let step = due(&self.record, &evidence);
            note("due", start);
            assert!(counts.by_retirement == holdings.len() && step.is_none());
            let start = Instant::now();
            assert_eq!(self.ledger.prune_marks(self.now).await, Ok(0));
            note("prune_marks", start);
        }
        for name in ["holdings", "awaited", "due", "prune_marks"] {
            let mut times = times.remove(name).unwrap();
            times.sort();
            println!("  {:>8.1?}  {name}", times.get(TIMES / 2).unwrap());
        }
    }

    /// How many leaves are issued in a while.
    async fn issue_while_looking(self: &Arc<Self>, looking: Looking) -> u64 {
        let (stop, issued) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut running = JoinSet::new();
        for worker in 0..WORKERS {
            let (world, stop, issued) = (Arc::clone(self), Arc::clone(&stop), Arc::clone(&issued));
            running.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    world.issue(worker, 'B').await;
                    issued.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let world = Arc::clone(self);
        let looks = tokio::spawn(async move { world.look_again_and_again(looking).await });
        tokio::time::sleep(WINDOW).await;
        let count = issued.load(Ordering::Relaxed);
        stop.store(true, Ordering::Relaxed);
        looks.abort();
        // Ended, in whatever way, before the next round begins.
        drop(looks.await);
        running.join_all().await;
        count
    }

    async fn look_again_and_again(&self, looking: Looking) {
        loop {
            let began = self.started.elapsed();
            match looking {
                Looking::Never => return,
                Looking::EachTick => {
                    self.look().await;
                    self.ledger.prune_marks(self.now).await.unwrap();
                }
                Looking::AtPace if self.pace.lock().unwrap().allows(began) => {
                    self.look().await;
                    *self.pace.lock().unwrap() = Pace::after(began, self.started.elapsed());
                }
                Looking::AtPace => {}
            }
            tokio::time::sleep(TICK).await;
        }
    }
}

/// How often everything is looked at.
#[derive(Clone, Copy)]
enum Looking {
    Never,
    EachTick,
    AtPace,
}

/// In the place of randomness.
#[derive(Debug)]
struct Numbered(u64);

impl ca_server::x509::Entropy for Numbered {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), ca_server::x509::EntropyError> {
        bytes.fill(0);
        let number = self.0.to_be_bytes();
        bytes
            .last_chunk_mut::<8>()
            .unwrap()
            .copy_from_slice(&number);
        Ok(())
    }
}

fn draining(now: SystemTime) -> Record {
    let long_ago = now - 30 * DAY;
    let signer = |name: char| Signer {
        issuer: name_of(&format!("issuer {name}")),
        key: name_of(&format!("key {name}")),
        root: name_of(&format!("root {name}")),
        roots: vec![name_of(&format!("root {name}"))],
        also_accepted_by: Vec::new(),
        origin: Origin::SelfSigned,
        not_before: long_ago,
        not_after: now + 300 * DAY,
        issuer_not_before: long_ago,
        first_loaded: long_ago,
        published: true,
        has_signed: true,
        auto_retire: true,
        last_resort: false,
        tainted: None,
        deadline: None,
    };
    let mut record = Record::new(signer('B'), now);
    record.signers.insert(0, signer('A'));
    record
}

fn name_of(what: &str) -> Fingerprint {
    Fingerprint::of(what.as_bytes())
}

fn spiffe_id(holder: u64) -> proto::spiffe::SpiffeId {
    format!(
        "spiffe://cluster.local/ns/shop-{}/sa/cart-{holder}",
        holder % 100
    )
    .parse()
    .unwrap()
}

fn instance(holder: u64) -> InstanceId {
    // Drawn at random in life: rows do not come in the order of their keys.
    let hash = name_of(&format!("instance {holder}"));
    InstanceId::from(*hash.as_bytes().first_chunk::<16>().unwrap())
}

const PACES: [(&str, Looking); 3] = [
    ("nobody looks", Looking::Never),
    ("at the conductor's pace", Looking::AtPace),
    ("twice a second", Looking::EachTick),
];
const HOLDERS: u64 = 100_000;
const TIMES: usize = 5;
const ROUNDS: u64 = 3;
const WINDOW: Duration = Duration::from_secs(4);
const WORKERS: u64 = 256;
const TICK: Duration = Duration::from_millis(500);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
