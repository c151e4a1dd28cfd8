//! kill -9 and SIGTERM under load: what a client received is in the ledger, and the server starts again every time.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::time::Duration;

use tests::ca::Setup;
use tests::ca::TestCa;
use tests::jwt::TokenIssuer;
use tests::load::Load;
use tests::load::Seen;
use tests::load::assert_all_are_listed;
use tests::poll::until;

const KILLS: usize = 50;
const STOPS: usize = 5;

/// A data directory and flags with a token issuer, to start one server after another from.
struct Place {
    dir: tempfile::TempDir,
    issuer: TokenIssuer,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            issuer: TokenIssuer::new(),
        }
    }

    fn start(&self) -> TestCa {
        let issuers = self.issuer.install(self.dir.path()).display().to_string();
        TestCa::start_with(Setup {
            flags: vec!["--issuers".to_owned(), issuers],
            data_dir: Some(self.dir.path().join("data")),
            ..Setup::default()
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_a_client_received_before_a_kill_is_in_the_ledger() {
    let (place, seen, mut roots) = (Place::new(), Seen::default(), BTreeSet::new());
    for kill in 0..KILLS {
        let ca = place.start();
        roots.insert(ca.roots_pem());
        let load = Load::start(&ca, &place.issuer, &seen).await;
        tokio::time::sleep(Duration::from_millis(
            20 + 7 * u64::try_from(kill % 20).unwrap(),
        ))
        .await;
        ca.signal("KILL");
        drop(ca);
        load.until_the_end().await;
    }
    let received = seen.received().len();
    assert!(received > KILLS, "there was no load: {received} leaves");
    assert_eq!(roots.len(), 1, "one root through all");
    assert_all_are_listed(&place.start(), &seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_ends_with_0_and_everything_received_is_in_the_ledger_with_its_leaf() {
    let (place, seen) = (Place::new(), Seen::default());
    for _ in 0..STOPS {
        let mut ca = place.start();
        let load = Load::start(&ca, &place.issuer, &seen).await;
        let before = seen.received().len();
        let busy = async || (seen.received().len() > before + 20).then_some(());
        until("twenty leaves", Duration::from_secs(30), busy).await;
        ca.stop();
        load.until_the_end().await;
    }
    let ca = place.start();
    assert_all_are_listed(&ca, &seen);
    // A stop that waits for the records leaves no intent of which nobody knows what became.
    let listed = ca.operator(&["certs", "list", "--output", "json", "--limit", "10000000"]);
    assert!(!listed.contains("may-exist"), "{listed}");
}
