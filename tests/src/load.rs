//! Workers that ask for leaves without pause, and note what they got: each serial, each refusal.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tokio::task::JoinSet;
use tonic::Status;
use x509_parser::prelude::FromDer as _;
use x509_parser::prelude::X509Certificate;

use crate::agent::Agent;
use crate::agent::key_and_csr;
use crate::ca::TestCa;
use crate::jwt::TokenIssuer;

/// What the workers of all runs have seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    received: Arc<Mutex<Vec<String>>>,
    refused: Arc<Mutex<BTreeSet<String>>>,
}

impl Seen {
    /// Serials of the leaves that arrived, as the ledger prints them.
    #[must_use]
    pub fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }

    /// Each different refusal, as `Code: message`.
    #[must_use]
    pub fn refused(&self) -> BTreeSet<String> {
        self.refused.lock().unwrap().clone()
    }

    fn note(&self, answer: &Result<Vec<String>, Status>) {
        match answer {
            Ok(chain) => self.received.lock().unwrap().push(serial_of(&chain[0])),
            Err(status) => {
                let text = format!("{:?}: {}", status.code(), status.message());
                self.refused.lock().unwrap().insert(text);
            }
        }
    }
}

/// Workers that are at it.
#[derive(Debug)]
pub struct Load {
    workers: JoinSet<()>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Starts four workers with a token of `issuer`. A refusal does not stop them; the end of the connection does.
    pub async fn start(ca: &TestCa, issuer: &TokenIssuer, seen: &Seen) -> Self {
        let (token, roots) = (issuer.token(), ca.roots_pem());
        let (mut workers, stop) = (JoinSet::new(), Arc::<AtomicBool>::default());
        for _ in 0..WORKERS {
            let mut agent = Agent::connect(ca.grpc, &roots, &[&token], None).await;
            let (seen, stop) = (seen.clone(), Arc::clone(&stop));
            workers.spawn(async move {
                let (_, csr) = key_and_csr(crate::CART);
                while !stop.load(Ordering::Relaxed) {
                    let answer = agent.create(&csr, 0).await;
                    if answer.as_ref().is_err_and(is_of_the_connection) {
                        return;
                    }
                    seen.note(&answer);
                }
            });
        }
        Self { workers, stop }
    }

    /// Waits until the server is gone.
    pub async fn until_the_end(self) {
        self.workers.join_all().await;
    }

    /// Stops the workers.
    pub async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.workers.join_all().await;
    }
}

/// Insists that each leaf of `seen` is in the ledger, that no serial came twice and none is listed twice.
///
/// # Panics
/// When one is missing.
pub fn assert_all_are_listed(ca: &TestCa, seen: &Seen) {
    let received = seen.received();
    assert_eq!(
        received.iter().collect::<BTreeSet<_>>().len(),
        received.len(),
        "a serial came twice"
    );
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

/// Serial of a leaf in PEM, as 32 hex digits.
///
/// # Panics
/// When it is no certificate.
#[must_use]
pub fn serial_of(leaf_pem: &str) -> String {
    let leaf = pem::parse(leaf_pem).expect("PEM");
    let (_, leaf) = X509Certificate::from_der(leaf.contents()).expect("a leaf");
    leaf.raw_serial()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// tonic keeps the cause of what it made up itself; what the server said has none.
fn is_of_the_connection(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

const WORKERS: usize = 4;
