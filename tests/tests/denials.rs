//! Who is denied gets nothing more, on every way in, until allowed again; and the operator sees it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tests::CART;
use tests::agent::Agent;
use tests::agent::ClientIdentity;
use tests::agent::key_and_csr;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::jwt::TokenIssuer;
use tests::poll::until;
use tonic::Code;
use tonic::Status;

/// A CA that believes an issuer's JWTs, and a workload that holds a certificate of it.
struct House {
    ca: TestCa,
    issuer: TokenIssuer,
    identity: ClientIdentity,
    _dir: TempDir,
}

async fn house() -> House {
    let (dir, issuer) = (tempfile::tempdir().unwrap(), TokenIssuer::new());
    let issuers = issuer.install(dir.path());
    let ca = TestCa::start_with(Setup {
        flags: vec!["--issuers".to_owned(), issuers.display().to_string()],
        ..Setup::default()
    });
    let (key, csr) = key_and_csr(CART);
    let mut agent = Agent::connect(ca.grpc, &ca.roots_pem(), &[&issuer.token()], None).await;
    let identity = (der(&agent.create(&csr, 0).await.unwrap()[..2]), key);
    House {
        ca,
        issuer,
        identity,
        _dir: dir,
    }
}

impl House {
    async fn by(&self, bearer: &[&str], identity: Option<ClientIdentity>) -> Agent {
        Agent::connect(self.ca.grpc, &self.ca.roots_pem(), bearer, identity).await
    }

    /// New connections: by JWT, by a fresh enrolment token, by certificate.
    async fn every_way_in(&self) -> [Agent; 3] {
        let jwt = self.issuer.token();
        let token = self.ca.token(CART);
        [
            self.by(&[&jwt], None).await,
            self.by(&[&token], None).await,
            self.by(&[], Some(self.identity.clone())).await,
        ]
    }

    /// What the ledger says of the workload's newest certificate.
    fn newest(&self) -> Value {
        let listed = self.json(&["certs", "list", "--spiffe-id", CART]);
        listed[0].clone()
    }

    /// How many requests for a leaf the log has.
    fn requests(&self) -> usize {
        let peer = |event: &Value| event["span"]["peer"].is_string();
        self.ca.log().iter().filter(|event| peer(event)).count()
    }

    /// The connections that they came on.
    fn peers(&self) -> BTreeSet<String> {
        let log = self.ca.log();
        let peers = log
            .iter()
            .filter_map(|event| event["span"]["peer"].as_str());
        peers.map(str::to_owned).collect()
    }

    fn json(&self, args: &[&str]) -> Value {
        let args = [args, &["--output", "json"]].concat();
        serde_json::from_str(&self.ca.operator(&args)).unwrap()
    }
}

fn der(pems: &[String]) -> Vec<Vec<u8>> {
    let blocks = pems.iter().map(|text| pem::parse(text).unwrap());
    blocks.map(pem::Pem::into_contents).collect()
}

/// Asks for a leaf for a new key.
async fn ask(agent: &mut Agent) -> Result<Vec<String>, Status> {
    agent.create(&key_and_csr(CART).1, 0).await
}

fn assert_refused(answer: Result<Vec<String>, Status>, what: &str) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{what}: {status}");
    assert_eq!(status.message(), "request authenticate failure", "{what}");
}

#[tokio::test]
async fn a_denied_workload_gets_nothing_on_new_and_kept_connections_until_it_is_allowed_again() {
    let house = house().await;
    let mut kept = house.every_way_in().await;
    // A token is good once: the kept connection that brings one asks for the first time below.
    for way in [0, 2] {
        ask(&mut kept[way]).await.unwrap();
    }
    let said = house.ca.operator(&["certs", "deny", "--spiffe-id", CART]);
    assert!(said.contains("stay valid until they expire"), "{said}");
    let mut new = house.every_way_in().await;
    for (way, agent) in kept.iter_mut().chain(&mut new).enumerate() {
        assert_refused(ask(agent).await, &format!("way {way}"));
    }
    let said = house.ca.operator(&["certs", "allow", "--spiffe-id", CART]);
    assert!(said.contains("allowed again"), "{said}");
    for agent in kept.iter_mut().chain(&mut new) {
        ask(agent).await.unwrap();
    }
    // One that came first, three that were kept, three that were new: nobody connected again in between.
    until(
        "all requests in the log",
        Duration::from_secs(10),
        async || (house.requests() == 1 + 2 + 6 + 6).then_some(()),
    )
    .await;
    assert_eq!(house.peers().len(), 7);
}

#[tokio::test]
async fn a_denied_serial_renews_nothing_and_does_not_stop_a_token_or_another_certificate() {
    let house = house().await;
    let serial = house.newest()["serial"].as_str().unwrap().to_owned();
    let mut kept = house.by(&[], Some(house.identity.clone())).await;
    let (key, csr) = key_and_csr(CART);
    let other = (der(&kept.create(&csr, 0).await.unwrap()[..2]), key);
    let denied = house.json(&["certs", "deny", "--serial", &serial]);
    assert_eq!(denied["in_ledger"], true);

    assert_refused(ask(&mut kept).await, "kept");
    let mut new = house.by(&[], Some(house.identity.clone())).await;
    assert_refused(ask(&mut new).await, "new");
    ask(&mut house.by(&[], Some(other)).await).await.unwrap();
    let jwt = house.issuer.token();
    let mut with_both = house.by(&[&jwt], Some(house.identity.clone())).await;
    ask(&mut with_both).await.unwrap();
    let _said = house.ca.operator(&["certs", "allow", "--serial", &serial]);
    ask(&mut kept).await.unwrap();
}

#[tokio::test]
async fn a_denied_key_is_refused_in_a_csr_and_in_a_client_certificate() {
    let house = house().await;
    let jwt = house.issuer.token();
    let (key, csr) = key_and_csr(CART);
    let mut by_jwt = house.by(&[&jwt], None).await;
    let chain = by_jwt.create(&csr, 0).await.unwrap();
    let hash = house.newest()["key_sha256"].as_str().unwrap().to_owned();
    let identity = (der(&chain[..2]), key);
    let mut by_certificate = house.by(&[], Some(identity.clone())).await;
    let _said = house.ca.operator(&["certs", "deny", "--key-sha256", &hash]);

    assert_refused(by_jwt.create(&csr, 0).await, "as the key of a CSR");
    assert_refused(ask(&mut by_certificate).await, "as the caller's key");
    let mut new = house.by(&[&house.ca.token(CART)], None).await;
    assert_refused(new.create(&csr, 0).await, "by token, new connection");
    let mut new = house.by(&[], Some(identity)).await;
    assert_refused(ask(&mut new).await, "by certificate, new connection");
    ask(&mut by_jwt).await.expect("another key is fine");
    let _said = house
        .ca
        .operator(&["certs", "allow", "--key-sha256", &hash]);
    by_jwt.create(&csr, 0).await.unwrap();
    ask(&mut by_certificate).await.unwrap();
}

#[tokio::test]
async fn the_repeat_of_a_spent_token_is_refused_to_who_is_denied() {
    let house = house().await;
    let token = house.ca.token(CART);
    let mut agent = house.by(&[&token], None).await;
    let (_, csr) = key_and_csr(CART);
    let first = agent.create(&csr, 0).await.unwrap();
    let serial = house.newest()["serial"].as_str().unwrap().to_owned();
    for target in [["--spiffe-id", CART], ["--serial", &serial]] {
        let _said = house
            .ca
            .operator(&[&["certs", "deny"], &target[..]].concat());
        assert_refused(agent.create(&csr, 0).await, target[0]);
        let _said = house
            .ca
            .operator(&[&["certs", "allow"], &target[..]].concat());
        assert_eq!(agent.create(&csr, 0).await.unwrap(), first);
    }
}

#[tokio::test]
async fn a_denied_caller_reads_the_same_whatever_it_asks_and_the_log_and_a_metric_have_the_reason()
{
    let house = house().await;
    let deny = [
        "certs",
        "deny",
        "--spiffe-id",
        CART,
        "--reason",
        "left the company",
    ];
    let _said = house.ca.operator(&deny);
    let [mut agent, _, _] = house.every_way_in().await;
    assert_refused(agent.create("not a csr", 0).await, "a bad CSR");
    assert_refused(
        agent.create(&key_and_csr(CART).1, i64::MAX).await,
        "a long life",
    );
    let logged = |event: &Value| {
        let text = event.to_string();
        text.contains("is denied: left the company") && text.contains("request_id")
    };
    let patience = Duration::from_secs(10);
    let both = async || {
        let count = house.ca.log().iter().filter(|event| logged(event)).count();
        (count == 2).then_some(())
    };
    until("two refusals in the log", patience, both).await;
    let metrics = house.ca.http_get("/metrics").1;
    let counted = "signet_denied_total{by=\"spiffe-id\"} 2";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn denied_certificates_are_marked_and_denials_listed() {
    let house = house().await;
    let (serial, key) = (
        house.newest()["serial"].clone(),
        house.newest()["key_sha256"].clone(),
    );
    assert_eq!(house.newest()["denied"], Value::Null);
    let serial = serial.as_str().unwrap();
    for (flag, value) in [
        ("--serial", serial),
        ("--key-sha256", key.as_str().unwrap()),
        ("--spiffe-id", CART),
    ] {
        let args = [flag, value, "--reason", "lost"];
        let denied = house.json(&[&["certs", "deny"], &args[..]].concat());
        assert_eq!(denied["value"], value);
        assert_eq!(house.newest()["denied"]["by"], flag.trim_start_matches('-'));
        let shown = house.ca.operator(&["certs", "show", serial]);
        assert!(shown.contains("lost"), "{shown}");
        let listed = house.ca.operator(&["certs", "list"]);
        assert_eq!(listed.matches("recorded, denied").count(), 1, "{listed}");
        let denials = house.json(&["certs", "denied"]);
        assert_eq!(denials[0]["reason"], "lost");
        assert!(house.ca.operator(&["certs", "denied"]).contains(value));
        let _said = house.ca.operator(&["certs", "allow", flag, value]);
    }
    assert_eq!(house.json(&["certs", "denied"]), serde_json::json!([]));
}

#[tokio::test]
async fn what_cannot_be_denied_or_allowed_is_said_and_changes_nothing() {
    let house = house().await;
    let long = "x".repeat(600);
    let table: [(&[&str], i32, &str); 9] = [
        (&["allow", "--spiffe-id", CART], 1, "is not denied"),
        (&["deny", "--spiffe-id", "cart"], 1, "is not a SPIFFE ID"),
        (
            &["deny", "--spiffe-id", "spiffe://other/x"],
            1,
            "trust domain",
        ),
        (&["deny", "--serial", "xyz"], 1, "hex digits"),
        (&["deny", "--serial", ""], 1, "hex digits"),
        (&["deny", "--key-sha256", "abcd"], 1, "64 hex digits"),
        (
            &["deny", "--spiffe-id", CART, "--reason", &long],
            1,
            "one line",
        ),
        (&["deny"], 2, "--spiffe-id"),
        (
            &["deny", "--serial", "1", "--spiffe-id", CART],
            2,
            "cannot be used with",
        ),
    ];
    for (args, code, words) in table {
        let output = house.ca.try_operator(&[&["certs"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
    assert_eq!(house.json(&["certs", "denied"]), serde_json::json!([]));
    let unknown = house.ca.operator(&["certs", "deny", "--serial", "01:02"]);
    assert!(unknown.contains("no certificate of it"), "{unknown}");
}

#[tokio::test]
async fn denials_survive_a_restart_and_a_restored_backup() {
    let dir = tempfile::tempdir().unwrap();
    let (data_dir, restored) = (dir.path().join("data"), dir.path().join("restored"));
    let start = |data_dir: &std::path::Path| {
        TestCa::start_with(Setup {
            data_dir: Some(data_dir.to_path_buf()),
            ..Setup::default()
        })
    };
    let mut ca = start(&data_dir);
    let _said = ca.operator(&["certs", "deny", "--spiffe-id", CART]);
    let backup = dir.path().join("backup").display().to_string();
    let _said = ca.operator(&["backup", "--to", &backup]);
    ca.stop();
    let restore = tests::ca::operator(&restored, &["restore", "--from", &backup]);
    assert!(restore.status.success());
    for data_dir in [data_dir, restored] {
        let ca = start(&data_dir);
        let token = ca.token(CART);
        let mut agent = Agent::connect(ca.grpc, &ca.roots_pem(), &[&token], None).await;
        assert_refused(ask(&mut agent).await, &data_dir.display().to_string());
    }
}

#[tokio::test]
async fn a_denial_of_the_authoritys_own_certificate_does_not_stop_it_from_serving() {
    let dir = tempfile::tempdir().unwrap();
    let setup = || Setup {
        data_dir: Some(dir.path().join("data")),
        ..Setup::default()
    };
    let mut ca = TestCa::start_with(setup());
    let listed: Value =
        serde_json::from_str(&ca.operator(&["certs", "list", "--output", "json"])).unwrap();
    assert_eq!(listed[0]["purpose"], "serving");
    for (flag, field) in [("--serial", "serial"), ("--key-sha256", "key_sha256")] {
        let _said = ca.operator(&["certs", "deny", flag, listed[0][field].as_str().unwrap()]);
    }
    ca.stop();
    let ca = TestCa::start_with(setup());
    assert_eq!(ca.http_get("/readyz").0, 200);
    let marked = ca.operator(&["certs", "list"]);
    assert!(!marked.contains("denied"), "{marked}");
    let mut agent = Agent::connect(ca.grpc, &ca.roots_pem(), &[&ca.token(CART)], None).await;
    ask(&mut agent).await.unwrap();
}
