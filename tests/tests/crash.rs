//! kill -9 in a loop, under load: what a client received is in the ledger, and the server starts again every time.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tests::agent::Agent;
use tests::agent::key_and_csr;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::jwt::TokenIssuer;
use x509_parser::prelude::FromDer as _;
use x509_parser::prelude::X509Certificate;

const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";
const KILLS: usize = 50;
const WORKERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_a_client_received_before_a_kill_is_in_the_ledger() {
    let (dir, issuer) = (tempfile::tempdir().unwrap(), TokenIssuer::new());
    let flags = vec![
        "--issuers".to_owned(),
        issuer.install(dir.path()).display().to_string(),
    ];
    let setup = || Setup {
        flags: flags.clone(),
        data_dir: Some(dir.path().join("data")),
        ..Setup::default()
    };
    let received: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut roots = BTreeSet::new();
    for kill in 0..KILLS {
        let ca = TestCa::start_with(setup());
        roots.insert(ca.roots_pem());
        let load = load(&ca, &issuer, &received).await;
        tokio::time::sleep(Duration::from_millis(
            20 + 7 * u64::try_from(kill % 20).unwrap(),
        ))
        .await;
        ca.signal("KILL");
        drop(ca);
        load.join_all().await;
    }
    let ca = TestCa::start_with(setup());
    let received = received.lock().unwrap().clone();
    assert!(
        received.len() > KILLS,
        "there was no load: {} leaves",
        received.len()
    );
    assert_eq!(
        received.iter().collect::<BTreeSet<_>>().len(),
        received.len(),
        "a serial came twice"
    );
    assert_eq!(roots.len(), 1, "one root through all");
    let listed = ca.operator(&["certs", "list", "--output", "json", "--limit", "10000000"]);
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed).unwrap();
    let known: BTreeSet<&str> = listed
        .iter()
        .map(|entry| entry["serial"].as_str().unwrap())
        .collect();
    assert_eq!(known.len(), listed.len(), "a serial is listed twice");
    let lost: Vec<&String> = received
        .iter()
        .filter(|serial| !known.contains(serial.as_str()))
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} lost: {lost:?}",
        lost.len(),
        received.len()
    );
}

/// Workers that ask until the server is gone, and note the serial of each leaf that came.
async fn load(
    ca: &TestCa,
    issuer: &TokenIssuer,
    received: &Arc<Mutex<Vec<String>>>,
) -> tokio::task::JoinSet<()> {
    let (token, roots) = (issuer.token(), ca.roots_pem());
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..WORKERS {
        let mut agent = Agent::connect(ca.grpc, &roots, &[&token], None).await;
        let received = Arc::clone(received);
        workers.spawn(async move {
            let (_, csr) = key_and_csr(CART);
            while let Ok(chain) = agent.create(&csr, 0).await {
                let leaf = pem::parse(&chain[0]).expect("PEM");
                let (_, leaf) = X509Certificate::from_der(leaf.contents()).expect("a leaf");
                let serial = leaf
                    .raw_serial()
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                received.lock().expect("no worker panics").push(serial);
            }
        });
    }
    workers
}
