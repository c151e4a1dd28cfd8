//! Streams break, are silent, or are not to be had.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;

use ca_client::Clock;
use ca_client::SystemClock;
use ca_client::agent::Push;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::scene::Running;
use crate::scene::Scene;
use crate::scene::a_while;
use crate::scene::until;
use crate::trust_ca::bundle;

#[tokio::test]
async fn the_first_word_names_the_instance_and_a_broken_stream_is_opened_again_with_an_acknowledgement()
 {
    let scene = Scene::new().await;
    let agent = scene.settled().await;
    let heard = scene.ca.state().heard.len();
    scene.ca.cut();
    until("another stream", || scene.ca.state().heard.len() > heard).await;
    let state = scene.ca.state();
    let instance = state.asked_by[0].clone().unwrap();
    assert_eq!(state.heard[0].1.instance, instance);
    let (_, again) = state.heard[heard].clone();
    assert_eq!(again.instance, instance);
    let in_use = again.in_use.unwrap();
    assert_eq!((in_use.bundle, Some(in_use.serial)), (5, agent.serial()));
}

#[tokio::test]
async fn what_was_missed_is_learned_at_the_next_stream() {
    let scene = Scene::new().await;
    let _agent = scene.settled().await;
    scene.ca.cut();
    scene.push_both(|_| {}).await;
    assert!(scene.has_roots(&[&scene.a, &scene.b]));
}

#[tokio::test]
async fn a_ca_without_the_service_is_no_failure_and_not_asked_again_soon() {
    let scene = Scene::counting_from(None).await;
    scene.ca.state().offers_push = false;
    let agent = Running::start(scene.builder());
    until("knowledge", || {
        agent.status.borrow().trust.push == Push::NotOffered
    })
    .await;
    let handshakes = scene.ca.state().hints.len();
    a_while().await;
    agent.renewed().await;
    a_while().await;
    assert_eq!(
        scene.ca.state().hints.len(),
        handshakes + 1,
        "for the renewal"
    );
    assert_eq!(agent.status.borrow().trust.failures, 0);
    assert!(agent.status.borrow().not_ready(SystemClock.now()).is_none());
}

#[tokio::test]
async fn a_ca_that_says_nothing_is_tried_again_and_holds_up_no_renewal() {
    let scene = Scene::new().await;
    scene.ca.state().is_mute = true;
    let agent = Running::start(scene.builder());
    until("failures", || agent.status.borrow().trust.failures > 1).await;
    let failure = agent.status.borrow().trust.last_failure.clone().unwrap();
    assert_eq!(failure.reason, "deadline");
    agent.renewed().await;
    scene.ca.state().is_mute = false;
    until("a stream", || {
        matches!(agent.status.borrow().trust.push, Push::Connected { .. })
    })
    .await;
}

#[tokio::test]
async fn a_ca_that_asks_for_a_minute_gets_it() {
    let scene = Scene::new().await;
    scene.ca.state().is_full = true;
    let agent = Running::start(scene.builder());
    until("a failure", || agent.status.borrow().trust.failures > 0).await;
    for _ in 0..3 {
        a_while().await;
    }
    assert_eq!(scene.ca.state().streams.0, 1);
}

#[tokio::test]
async fn a_ca_that_is_slow_to_sign_does_not_keep_its_roots_from_workloads() {
    let mut scene = Scene::new().await;
    scene.patience = Duration::from_secs(60);
    let agent = scene.settled().await;
    scene.ca.state().stalls = true;
    agent.renew.notify_one();
    until("the request", || agent.status.borrow().attempts == 2).await;
    scene.push_both(|_| {}).await;
    assert!(scene.has_roots(&[&scene.a, &scene.b]));
    scene.ca.state().stalls = false;
    scene.ca.cut();
    agent.renewed().await;
}

#[tokio::test]
async fn a_ca_that_only_repeats_its_roots_does_not_cost_the_attempt_that_waits_for_it() {
    let mut scene = Scene::new().await;
    scene.patience = Duration::from_secs(60);
    let agent = scene.settled().await;
    scene.ca.state().stalls = true;
    agent.renew.notify_one();
    until("the request", || agent.status.borrow().attempts == 2).await;
    for _ in 0..5 {
        scene.ca.push(bundle(5, &[&scene.a]));
        a_while().await;
    }
    assert_eq!(agent.status.borrow().attempts, 2);
}

#[tokio::test]
async fn a_clock_that_is_set_back_two_hours_does_not_stop_new_roots() {
    let scene = Scene::new().await;
    let clock = SetBack::default();
    let agent = Running::start(scene.builder().clock(clock.clone()));
    until("an acknowledgement", || {
        scene.ca.state().has_acknowledged(5)
    })
    .await;
    clock.0.store(2 * 3600, Ordering::Relaxed);
    scene.ca.cut();
    scene.push_both(|_| {}).await;
    assert!(scene.has_roots(&[&scene.a, &scene.b]));
    assert_eq!(agent.status.borrow().renewals, 1);
}

/// The machine's clock, less some seconds.
#[derive(Clone, Debug, Default)]
struct SetBack(Arc<AtomicU64>);

impl Clock for SetBack {
    fn now(&self) -> SystemTime {
        SystemClock.now() - Duration::from_secs(self.0.load(Ordering::Relaxed))
    }

    fn steady(&self) -> Duration {
        SystemClock.steady()
    }
}

#[tokio::test]
async fn a_peer_that_died_in_silence_is_noticed() {
    let scene = Scene::new().await;
    let (address, frozen) = wire_to(scene.ca.addr).await;
    let agent = Running::start(scene.builder_at(&address));
    until("a stream", || {
        matches!(agent.status.borrow().trust.push, Push::Connected { .. })
    })
    .await;
    frozen.send_replace(true);
    until("its end", || {
        agent.status.borrow().trust.push == Push::NotConnected
    })
    .await;
    frozen.send_replace(false);
    until("another", || {
        matches!(agent.status.borrow().trust.push, Push::Connected { .. })
    })
    .await;
}

/// A wire that carries nothing, and breaks nothing, while it is frozen.
async fn wire_to(ca: std::net::SocketAddr) -> (String, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let frozen = watch::Sender::new(false);
    let state = frozen.clone();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(ca).await.unwrap();
            let (near, far) = (near.into_split(), far.into_split());
            tokio::spawn(carry(near.0, far.1, state.subscribe()));
            tokio::spawn(carry(far.0, near.1, state.subscribe()));
        }
    });
    (address, frozen)
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut frozen: watch::Receiver<bool>,
) {
    let mut bytes = [0; 4096];
    while let Ok(len) = from.read(&mut bytes).await {
        let thawed = frozen.wait_for(|frozen| !frozen).await.is_ok();
        if len == 0 || !thawed || to.write_all(&bytes[..len]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_stream_ends_in_good_order_with_the_certificate_that_opened_it_and_the_next_one_opens_another()
 {
    let scene = Scene::new().await;
    scene.ca.state().life = 4;
    let agent = Running::start(scene.builder().jitter_source(|| 0.0));
    until("another stream", || scene.ca.state().streams.0 == 2).await;
    assert_eq!(scene.ca.state().streams.1, 1);
    assert_eq!(scene.ca.state().open.1, 1, "never two at a time");
    assert_eq!(agent.status.borrow().trust.failures, 0);
    scene.push_both(|_| {}).await;
}

#[tokio::test]
async fn without_files_watchers_are_told_and_it_is_acknowledged_as_well() {
    let scene = Scene::new().await;
    let request = ca_client::CaClient::builder(scene.ca.addr.to_string().parse().unwrap());
    let trust = ca_client::Trust::roots_pem(scene.a.roots_pem().as_bytes()).unwrap();
    let builder = ca_client::Agent::builder(request)
        .first_contact(ca_client::agent::FirstContact::trust(trust))
        .token_file(scene.dir.path().join("token"))
        .settle(Duration::from_millis(50));
    let mut agent = Running::start(builder);
    until("an acknowledgement", || {
        scene.ca.state().has_acknowledged(5)
    })
    .await;
    agent.svids.borrow_and_update();
    scene.push_both(|_| {}).await;
    assert!(agent.svids.has_changed().unwrap());
    assert_eq!(agent.svids.borrow().clone().unwrap().roots().len(), 2);
}
