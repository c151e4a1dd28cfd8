//! Two thousand agents at once: each hears of a new root in seconds, they renew over the window they are told, and when
//! they have left, their memory is free again. Takes its time: run by `tests/storms/run`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use proto::signet::TrustBundle;
use tests::CART;
use tests::agent::tls_config;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::follower::Enrolled;
use tests::follower::Follower;
use tests::follower::connect;
use tests::poll::until;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::transport::Channel;

const AGENTS: u128 = 2000;
const HOUR: i64 = 3600;
const WINDOW: Duration = Duration::from_secs(30);
/// No test fails on a time below that.
const LIMIT: Duration = Duration::from_secs(120);

const MIB: u64 = 1024 * 1024;
/// How much more than before may stay: a quarter and this much, for leaves in the ledger's cache and threads.
const MARGIN: u64 = 32 * MIB;
/// By when a crowd's memory is back.
const GIVES_BACK_WITHIN: Duration = Duration::from_secs(30);

/// One agent: its leaf, its stream, and the connection it renews over.
struct Watching {
    agent: Enrolled,
    follower: Follower,
    channel: Channel,
}

/// Does `work` for each, some at a time.
async fn each<I, T, W>(items: Vec<I>, work: impl Fn(I) -> W) -> Vec<T>
where
    T: Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(64));
    let mut running = JoinSet::new();
    for item in items {
        let (places, work) = (Arc::clone(&places), work(item));
        running.spawn(async move {
            let _place = places.acquire().await.unwrap();
            work.await
        });
    }
    running.join_all().await
}

/// Leaves for all of them, by the certificate of the first.
async fn enrol(ca: &TestCa) -> Vec<Enrolled> {
    let first = Enrolled::new(ca, CART, 0, HOUR).await;
    let config = Arc::new(tls_config(&ca.roots_pem(), Some(first.identity.clone())));
    let channel = connect(ca.grpc, &config, None).await.unwrap();
    let others = each((1..AGENTS).collect(), |number| {
        let channel = channel.clone();
        async move { Enrolled::over(channel, None, CART, number, HOUR).await }
    });
    [vec![first], others.await].concat()
}

/// All of them follow, and use what they were told first.
async fn follow(ca: &TestCa, agents: &[Enrolled]) -> Vec<Watching> {
    let (addr, roots) = (ca.grpc, ca.roots_pem());
    each(agents.to_vec(), |agent: Enrolled| {
        let roots = roots.clone();
        async move {
            let config = Arc::new(tls_config(&roots, Some(agent.identity.clone())));
            let channel = connect(addr, &config, None).await.unwrap();
            let mut follower = Follower::over(channel.clone()).await.unwrap();
            let first = follower.next().await.unwrap();
            follower.say(agent.serves(first.number)).await;
            Watching {
                agent,
                follower,
                channel,
            }
        }
    })
    .await
}

/// Waits for the message that `wanted` is about in each, and says when it came.
async fn hear(
    watching: Vec<Watching>,
    wanted: fn(&TrustBundle) -> bool,
) -> Vec<(Watching, TrustBundle, Instant)> {
    let mut hearing = JoinSet::new();
    for mut each in watching {
        hearing.spawn(async move {
            loop {
                let told = each.follower.next().await.unwrap();
                if wanted(&told) {
                    each.follower.say(each.agent.serves(told.number)).await;
                    return (each, told, Instant::now());
                }
            }
        });
    }
    hearing.join_all().await
}

fn print(what: &str, start: Instant, mut times: Vec<Instant>) {
    times.sort();
    let at = |share: usize| {
        let place = (times.len() - 1) * share / 100;
        times.get(place).unwrap().duration_since(start)
    };
    eprintln!(
        "{what}: {} in {:?} (half {:?}, 99 % {:?})",
        times.len(),
        at(100),
        at(50),
        at(99)
    );
}

/// Renews as agents do, at a moment drawn from the window that the advice names. When, as a share of the window.
async fn renew(told: Vec<(Watching, TrustBundle, Instant)>) -> Vec<(Watching, f64)> {
    let mut renewing = JoinSet::new();
    for (each, told, _) in told {
        renewing.spawn(async move {
            let advice = told.renew_by.unwrap();
            let spread = Duration::try_from(advice.spread.unwrap()).unwrap();
            let since = SystemTime::try_from(advice.since.unwrap()).unwrap();
            assert_eq!(spread, WINDOW);
            let drawn = random();
            let ago = SystemTime::now().duration_since(since).unwrap_or_default();
            tokio::time::sleep(spread.mul_f64(drawn).saturating_sub(ago)).await;
            let instance = u128::from_str_radix(&each.agent.instance, 16).unwrap();
            let channel = each.channel.clone();
            let _leaf = Enrolled::over(channel, None, CART, instance, 20).await;
            let after = SystemTime::now().duration_since(since).unwrap();
            (each, after.as_secs_f64() / spread.as_secs_f64())
        });
    }
    renewing.join_all().await
}

fn random() -> f64 {
    let mut bytes = [0; 4];
    let provider = rustls::crypto::ring::default_provider();
    provider.secure_random.fill(&mut bytes).unwrap();
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

/// Waits until nobody is connected and their memory is back with the system: what the server has then.
async fn memory_without_anybody(ca: &TestCa, before: u64) -> u64 {
    until("an empty server", LIMIT, async || {
        let left = ca.metric("signet_watchers") + ca.metric("signet_connections");
        (left == 0).then_some(())
    })
    .await;
    let (start, limit) = (Instant::now(), before + before / 4 + MARGIN);
    let mut lowest = ca.memory();
    while lowest > limit && start.elapsed() < GIVES_BACK_WITHIN {
        tokio::time::sleep(Duration::from_millis(500)).await;
        lowest = lowest.min(ca.memory());
    }
    eprintln!(
        "{} MiB after {:?}, at most {} expected",
        lowest / MIB,
        start.elapsed(),
        limit / MIB
    );
    lowest
}

/// All of them hear of a new root, use it, are told to renew, do, and leave. The memory with all of them connected.
async fn rotate_under(ca: &TestCa, agents: &[Enrolled]) -> u64 {
    let start = Instant::now();
    let watching = follow(ca, agents).await;
    eprintln!("{AGENTS} streams in {:?}", start.elapsed());
    let during = ca.memory();
    let start = Instant::now();
    let window = format!("{}s", WINDOW.as_secs());
    let asked = tokio::task::spawn_blocking({
        let data_dir = ca.data_dir.clone();
        move || {
            let args = ["rotate", "start", "--auto", "--renew-within", &window];
            tests::ca::operator(&data_dir, &args)
        }
    });
    let told = hear(watching, |told| {
        told.domains
            .values()
            .any(|roots| roots.certificates.len() == 2)
    });
    let told = tokio::time::timeout(LIMIT, told).await.unwrap();
    let output = asked.await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    print(
        "told of both roots, from the order on",
        start,
        told.iter().map(|it| it.2).collect(),
    );

    // All have said that they use both: the new one signs, and says from when to when to renew.
    // Who was told late was told both in one message.
    let (mut told, others): (Vec<_>, Vec<_>) =
        told.into_iter().partition(|it| it.1.renew_by.is_some());
    let others = others.into_iter().map(|it| it.0).collect();
    let others = hear(others, |told| told.renew_by.is_some());
    told.extend(tokio::time::timeout(LIMIT, others).await.unwrap());
    print(
        "told to renew, from the order on",
        start,
        told.iter().map(|it| it.2).collect(),
    );
    let renewed = renew(told).await;
    let mut tenths = [0_u32; 10];
    for (_, share) in &renewed {
        let tenth = (share * 10.0).min(9.0) as usize;
        *tenths.get_mut(tenth).unwrap() += 1;
    }
    eprintln!("renewed per tenth of {WINDOW:?}: {tenths:?}");
    // Those drawn for the time in which the slowest was told come together; nobody else does.
    let most = tenths.iter().max().unwrap();
    assert!(
        u128::from(*most) < AGENTS / 2 && tenths.last() > Some(&0),
        "{tenths:?}"
    );
    during
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_agents_are_told_of_a_new_root_and_renew_one_after_the_other() {
    if std::env::var_os("SIGNET_TEST_STORM").is_none() {
        eprintln!("SKIPPED: run tests/storms/run");
        return;
    }
    let flags = ["--min-ttl=1s", "--default-ttl=1h"];
    let ca = TestCa::start_with(Setup {
        flags: flags.map(str::to_owned).to_vec(),
        ..Setup::default()
    });
    let (empty, start) = (ca.memory(), Instant::now());
    let agents = enrol(&ca).await;
    eprintln!("{AGENTS} leaves in {:?}", start.elapsed());
    let enrolled = ca.memory();
    let watching = follow(&ca, &agents).await;
    let crowded = ca.memory();
    drop(watching);
    let first = memory_without_anybody(&ca, enrolled).await;

    let during = rotate_under(&ca, &agents).await;
    let peak = ca.memory();
    let renewed = memory_without_anybody(&ca, enrolled).await;

    let watching = follow(&ca, &agents).await;
    let again = ca.memory();
    drop(watching);
    let after = memory_without_anybody(&ca, enrolled).await;
    let stages = [
        ("empty", empty),
        ("with all leaves in the ledger", enrolled),
        ("with a first crowd", crowded),
        ("after it left", first),
        ("with all of them", during),
        ("when they had renewed", peak),
        ("after they left", renewed),
        ("with all of them again", again),
        ("after they left", after),
    ];
    let stages = stages.map(|(when, bytes)| format!("{} {when}", bytes / MIB));
    eprintln!("MiB: {}", stages.join(", "));
    let limit = enrolled + enrolled / 4 + MARGIN;
    // The C library's allocator keeps most of it.
    if std::env::var_os("SIGNET_TEST_FEATURES").is_some() {
        for left in [first, renewed, after] {
            assert!(left <= limit, "{stages:?}");
        }
    }
}
