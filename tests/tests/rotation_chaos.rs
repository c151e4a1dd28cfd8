//! Operators, crashes and agents that come and go, in any order and at any moment: whatever is done without force,
//! nobody notices. The order is drawn from a seed, which is printed. Run by `tests/storms/run`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

use std::fmt::Write as _;
use std::time::Duration;
use std::time::Instant;

use fastrand::Rng;
use tests::ca::TestCa;
use tests::mesh::Mesh;
use tests::peers::Traffic;
use tests::poll::until;
use tests::rotation::record;
use tests::workload::Workload;
use tokio::time::sleep;

/// Short enough for many rotations in a minute, long enough for an agent that stands still for some seconds.
const TTL: Duration = Duration::from_secs(20);
/// Leaves live no longer meanwhile, and an agent that stands still must not outlive its own.
const RENEW_WITHIN: &str = "12s";
const LIMIT: Duration = Duration::from_secs(180);
const NAMES: [&str; 3] = ["a", "b", "c"];

struct Scene {
    mesh: Mesh,
    ca: TestCa,
    agents: Vec<Workload>,
    rng: Rng,
    /// How many bundles were made, `ca-0` first.
    made: usize,
    told: String,
    begin: Instant,
}

#[tokio::test]
async fn whatever_is_done_without_force_no_handshake_fails_and_the_last_ca_wins() {
    let Some(budget) = std::env::var_os("SIGNET_TEST_CHAOS") else {
        eprintln!("SKIPPED: run tests/storms/run");
        return;
    };
    let budget = Duration::from_secs(budget.to_str().unwrap().parse().unwrap());
    let seed = std::env::var_os("SIGNET_TEST_CHAOS_SEED");
    let seed = seed.map_or_else(
        || fastrand::u64(..),
        |seed| seed.to_str().unwrap().parse().unwrap(),
    );
    let mut mesh = Mesh::new(TTL);
    let ca = mesh.start(&[]).unwrap();
    let (agents, dirs): (Vec<_>, Vec<_>) =
        NAMES.map(|name| mesh.agent(&ca, name)).into_iter().unzip();
    let traffic = Traffic::between(&dirs);
    let mut scene = Scene {
        mesh,
        ca,
        agents,
        rng: Rng::with_seed(seed),
        made: 0,
        told: String::new(),
        begin: Instant::now(),
    };
    let mut actions = 0;
    while scene.begin.elapsed() < budget && traffic.seen().failed.is_empty() {
        scene.act().await;
        actions += 1;
    }
    let root = scene.drop_new();
    let over = until("the last root alone", LIMIT, async || {
        let failed = !traffic.seen().failed.is_empty();
        (failed || scene.ca.roots_pem() == root).then_some(())
    });
    over.await;
    let seen = traffic.stop();
    eprintln!(
        "seed {seed}: {actions} actions, {} bundles, {} handshakes, {} failed",
        scene.made,
        seen.made,
        seen.failed.len()
    );
    assert_eq!(
        seen.failed,
        Vec::<String>::new(),
        "seed {seed}\n{}",
        scene.told
    );
}

impl Scene {
    /// Does anything, and waits for any time.
    async fn act(&mut self) {
        match self.rng.u8(0..20) {
            0..3 => drop(self.drop_new()),
            3 => self.put_back(),
            4 => self.tell("files taken away", Mesh::take_away),
            5 => self.tell("half a file", Mesh::break_off),
            6..8 => self.ask(&["rotate", "start", "--auto", "--renew-within", RENEW_WITHIN]),
            8 => self.ask(&["rotate", "start"]),
            9 => self.ask(&["rotate", "activate"]),
            10 => self.ask(&["rotate", "retire"]),
            11 => self.ask(&["rotate", "abort"]),
            12 => self.taint(),
            13 => self.ask(&["reload"]),
            14..16 => self.restart("KILL"),
            16 => self.restart("TERM"),
            17 => self.freeze().await,
            _ => self.kill_agent(),
        }
        sleep(Duration::from_millis(self.rng.u64(0..3_000))).await;
    }

    fn note(&mut self, what: &str) {
        let at = self.begin.elapsed().as_secs_f32();
        writeln!(self.told, "{at:.1} {what}").unwrap();
    }

    fn tell(&mut self, what: &str, act: impl FnOnce(&Mesh)) {
        self.note(what);
        act(&self.mesh);
    }

    fn drop_new(&mut self) -> String {
        let name = format!("ca-{}", self.made);
        self.made += 1;
        self.note(&format!("{name} dropped in"));
        self.mesh.drop_in(&name)
    }

    fn put_back(&mut self) {
        if self.made > 0 {
            let name = format!("ca-{}", self.rng.usize(0..self.made));
            self.tell(&format!("{name} put back"), |mesh| drop(mesh.put(&name)));
        }
    }

    fn ask(&mut self, args: &[&str]) {
        let answer = self.ca.try_operator(args);
        let said = String::from_utf8_lossy(&answer.stderr);
        let first = said.lines().next().unwrap_or("done").to_owned();
        self.note(&format!("{}: {first}", args.join(" ")));
    }

    /// A key is stolen: any that is held.
    fn taint(&mut self) {
        let held = record(&self.mesh.data_dir());
        let signers = held["signers"].as_array().unwrap();
        let stolen = self.rng.choice(signers).unwrap()["issuer"]
            .as_str()
            .unwrap();
        self.ask(&["rotate", "taint", stolen]);
    }

    fn restart(&mut self, signal: &str) {
        self.note(&format!("{signal} to the CA"));
        self.ca.signal(signal);
        self.ca.wait();
        self.ca = self.mesh.start(&[]).unwrap();
    }

    async fn freeze(&mut self) {
        let agent = self.rng.usize(0..NAMES.len());
        self.note(&format!("agent {agent} stands still"));
        self.agents[agent].signal("STOP");
        sleep(Duration::from_millis(self.rng.u64(500..3_000))).await;
        self.agents[agent].signal("CONT");
    }

    fn kill_agent(&mut self) {
        let agent = self.rng.usize(0..NAMES.len());
        self.note(&format!("agent {agent} killed"));
        self.agents[agent].signal("KILL");
        self.agents[agent].wait();
        self.agents[agent] = self.mesh.agent_again(&self.ca, NAMES[agent]);
    }
}
