//! A chain that is good by itself, but denied: what the verification service says of it, and what it says when the
//! ledger cannot be asked.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use ca_server::api::verification::Verification;
use ca_server::authority::Authority;
use ca_server::authority::self_signed;
use ca_server::authority::self_signed::NewRoot;
use ca_server::authority::state::State;
use ca_server::authority::state::TrustDomainChange;
use ca_server::ledger::Target;
use ca_server::telemetry::metrics::Metrics;
use ca_server::x509::Csr;
use ca_server::x509::LeafName;
use ca_server::x509::LeafTemplate;
use ca_server::x509::Serial;
use ca_server::x509::SystemEntropy;
use ca_server::x509::Validity;
use proto::signet::Verdict;
use proto::signet::VerifyCertificateRequest as Ask;
use proto::signet::VerifyCertificatesRequest;
use proto::signet::verdict::Kind;
use proto::signet::verification_service_client::VerificationServiceClient;
use proto::signet::verification_service_server::VerificationService as _;
use proto::spiffe::TrustDomain;
use serde_json::Value;
use tests::CART;
use tests::agent;
use tests::agent::Agent;
use tests::agent::key_and_csr;
use tests::ca::TestCa;
use tests::doubles::Call;
use tests::doubles::FailingLedger;
use tests::doubles::TestClock;
use tonic::Code;
use tonic::Request;
use tonic::Status;
use tonic::transport::Channel;

const TILL: &str = "spiffe://cluster.local/ns/shop/sa/till";
const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
/// Words that an operator wrote for the log.
const REASON: &str = "left the company";

/// A server, and somebody who asks it without any credential.
struct Scene {
    ca: TestCa,
    client: VerificationServiceClient<Channel>,
}

impl Scene {
    async fn new() -> Self {
        let ca = TestCa::start();
        let channel = agent::channel(ca.grpc, &ca.roots_pem(), None).await;
        let client = VerificationServiceClient::new(channel.unwrap());
        Self { ca, client }
    }

    /// A chain of the server for `spiffe_id`, in PEM.
    async fn chain(&self, spiffe_id: &str) -> Vec<String> {
        let token = self.ca.token(spiffe_id);
        let roots = self.ca.roots_pem();
        let mut agent = Agent::connect(self.ca.grpc, &roots, &[&token], None).await;
        agent.create(&key_and_csr(spiffe_id).1, 0).await.unwrap()
    }

    /// The three ways to deny the newest certificate of `spiffe_id`: flag and value.
    fn ways(&self, spiffe_id: &str) -> [[String; 2]; 3] {
        let args = [
            "certs",
            "list",
            "--output",
            "json",
            "--spiffe-id",
            spiffe_id,
        ];
        let listed: Value = serde_json::from_str(&self.ca.operator(&args)).unwrap();
        let way = |flag: &str, field: &str| {
            let value = listed[0][field].as_str().unwrap();
            [flag.to_owned(), value.to_owned()]
        };
        [
            ["--spiffe-id".to_owned(), spiffe_id.to_owned()],
            way("--serial", "serial"),
            way("--key-sha256", "key_sha256"),
        ]
    }

    async fn ask(&mut self, question: Ask) -> Verdict {
        let answer = self.client.verify_certificate(question).await.unwrap();
        answer.into_inner().verdict.unwrap()
    }

    async fn ask_all(&mut self, items: Vec<Ask>) -> Vec<Verdict> {
        let request = VerifyCertificatesRequest { items };
        let answer = self.client.verify_certificates(request).await.unwrap();
        answer.into_inner().verdicts
    }
}

fn about(chain: &[String]) -> Ask {
    Ask {
        chain_pem: chain.concat(),
        ..Ask::default()
    }
}

fn kinds(verdicts: &[Verdict]) -> Vec<Kind> {
    verdicts.iter().map(Verdict::kind).collect()
}

#[tokio::test]
async fn a_chain_is_denied_by_each_target_of_its_leaf_until_it_is_allowed_again() {
    let mut scene = Scene::new().await;
    let (cart, till) = (scene.chain(CART).await, scene.chain(TILL).await);
    for [flag, value] in scene.ways(CART) {
        let deny = ["certs", "deny", &flag, &value, "--reason", REASON];
        let _said = scene.ca.operator(&deny);
        let verdict = scene.ask(about(&cart)).await;
        assert_eq!(verdict.kind(), Kind::Denied, "{flag}: {verdict:?}");
        assert_eq!((verdict.rule.as_str(), verdict.seconds_left), ("denied", 0));
        assert_eq!((verdict.path.len(), verdict.anchored), (3, true));
        assert!(verdict.reason.contains(&value), "{flag}: {verdict:?}");
        assert!(!format!("{verdict:?}").contains(REASON), "{verdict:?}");
        let batch = vec![about(&till), about(&cart), about(&till)];
        let expected = [Kind::Valid, Kind::Denied, Kind::Valid];
        assert_eq!(kinds(&scene.ask_all(batch).await), expected, "{flag}");
        let _said = scene.ca.operator(&["certs", "allow", &flag, &value]);
        let verdict = scene.ask(about(&cart)).await;
        assert_eq!(verdict.kind(), Kind::Valid, "{flag}: {verdict:?}");
    }
}

#[tokio::test]
async fn a_denied_chain_that_is_bad_by_itself_is_called_what_it_is() {
    let mut scene = Scene::new().await;
    let chain = scene.chain(CART).await;
    let _said = scene.ca.operator(&["certs", "deny", "--spiffe-id", CART]);
    let expired = Ask {
        at: Some((UNIX_EPOCH + 200 * YEAR).into()),
        ..about(&chain)
    };
    let elsewhere = Ask {
        trust_domain: "elsewhere".to_owned(),
        ..about(&chain)
    };
    let batch = vec![expired, elsewhere, about(&chain[..1]), about(&chain)];
    let expected = [
        Kind::Expired,
        Kind::WrongTrustDomain,
        Kind::UnknownIssuer,
        Kind::Denied,
    ];
    assert_eq!(kinds(&scene.ask_all(batch).await), expected);
}

#[tokio::test]
async fn verdicts_are_counted_by_their_names() {
    let mut scene = Scene::new().await;
    let (cart, till) = (scene.chain(CART).await, scene.chain(TILL).await);
    let _said = scene.ca.operator(&["certs", "deny", "--spiffe-id", CART]);
    let nothing = about(&["nothing".to_owned()]);
    let batch = vec![about(&cart), about(&till), nothing, about(&till)];
    let _verdicts = scene.ask_all(batch).await;
    let _verdict = scene.ask(about(&till)).await;
    let metrics = scene.ca.http_get("/metrics").1;
    for (verdict, count) in [("valid", 3), ("denied", 1), ("unreadable", 1)] {
        let line = format!("signet_verifications_total{{verdict=\"{verdict}\"}} {count}");
        assert!(metrics.lines().any(|l| l == line), "{line} in\n{metrics}");
    }
}

/// The service without the wire, over a ledger that fails on demand.
struct Service {
    verification: Verification,
    ledger: Arc<FailingLedger>,
    /// A good one.
    chain: Vec<String>,
    _dir: tempfile::TempDir,
}

impl Service {
    fn new() -> Self {
        let (dir, now) = (tempfile::tempdir().unwrap(), UNIX_EPOCH + 50 * YEAR);
        let domain: TrustDomain = "cluster.local".parse().unwrap();
        let mut state = State::open(dir.path(), &domain, TrustDomainChange::Refuse).unwrap();
        let (path, entropy) = (dir.path(), &SystemEntropy);
        let opened =
            self_signed::open_or_create(path, &mut state, NewRoot::Refuse, now, entropy).unwrap();
        let authority = Arc::new(Authority::new(opened.generation));
        let ledger = Arc::new(FailingLedger::open(&dir.path().join("ledger")));
        Self {
            chain: chain(&authority, now),
            verification: Verification::new(
                domain,
                authority,
                Arc::<FailingLedger>::clone(&ledger),
                Arc::new(TestClock::at(now)),
                Metrics::new().unwrap(),
            ),
            ledger,
            _dir: dir,
        }
    }

    async fn ask(&self, question: Ask) -> Result<Verdict, Status> {
        let answer = self.verification.verify_certificate(Request::new(question));
        Ok(answer.await?.into_inner().verdict.unwrap())
    }

    async fn ask_all(&self, items: Vec<Ask>) -> Result<Vec<Verdict>, Status> {
        let request = Request::new(VerifyCertificatesRequest { items });
        let answer = self.verification.verify_certificates(request);
        Ok(answer.await?.into_inner().verdicts)
    }
}

fn chain(authority: &Authority, now: SystemTime) -> Vec<String> {
    let generation = authority.current();
    let csr = Csr::from_pem(&key_and_csr(CART).1).unwrap();
    let leaf = generation.sign(&LeafTemplate {
        serial: Serial::draw(now, &SystemEntropy).unwrap(),
        name: &LeafName::Workload(CART.parse().unwrap()),
        validity: Validity::new(now, now + HOUR).unwrap(),
        public_key: csr.public_key(),
    });
    generation.leaf_chain_pem(&leaf.unwrap())
}

#[tokio::test]
async fn while_the_ledger_cannot_be_asked_no_chain_is_called_good() {
    let service = Service::new();
    let (good, bad) = (about(&service.chain), about(&service.chain[..1]));
    service.ledger.fail(Some(Call::Denials));
    let alone = service.ask(good.clone()).await.unwrap_err();
    let batch = vec![bad.clone(), good.clone()];
    let in_batch = service.ask_all(batch.clone()).await.unwrap_err();
    for status in [alone, in_batch] {
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert!(status.message().contains("try again"), "{status}");
        assert!(!status.message().contains("in this test"), "{status}");
    }
    let verdict = service.ask(bad).await.unwrap();
    assert_eq!(verdict.kind(), Kind::UnknownIssuer, "needs no ledger");
    service.ledger.fail(None);
    let verdicts = service.ask_all(batch).await.unwrap();
    assert_eq!(kinds(&verdicts), [Kind::UnknownIssuer, Kind::Valid]);
}

#[tokio::test]
async fn a_batch_asks_the_ledger_once_and_about_good_chains_only() {
    let service = Service::new();
    let (good, bad) = (about(&service.chain), about(&service.chain[..1]));
    let batch = [vec![bad.clone()], vec![good; 31]].concat();
    let _verdicts = service.ask_all(batch).await.unwrap();
    let [asked] = &service.ledger.looked_up()[..] else {
        panic!("{:?}", service.ledger.looked_up())
    };
    assert_eq!((asked.len(), asked[0].len()), (32, 0));
    for targets in &asked[1..] {
        let kinds: Vec<&str> = targets.iter().map(Target::kind).collect();
        assert_eq!(kinds, ["spiffe-id", "serial", "key"]);
    }
    let _verdict = service.ask(bad).await.unwrap();
    assert_eq!(service.ledger.looked_up().len(), 1);
}
