//! Verdicts over the wire: `signet.v1.VerificationService`, asked by somebody without any credential.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use proto::signet::Profile;
use proto::signet::Verdict;
use proto::signet::VerifyCertificateRequest as Ask;
use proto::signet::VerifyCertificatesRequest;
use proto::signet::verdict::Kind;
use proto::signet::verification_service_client::VerificationServiceClient;
use tests::agent;
use tests::binaries::binaries;
use tests::ca::TestCa;
use tests::openssl::shell;
use tonic::Code;
use tonic::Status;
use tonic::transport::Channel;

const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";
const DAY: Duration = Duration::from_secs(86_400);

/// A server, a chain that it issued, and somebody who asks.
struct Scene {
    ca: TestCa,
    chain_pem: String,
    client: VerificationServiceClient<Channel>,
}

impl Scene {
    async fn new() -> Self {
        let ca = TestCa::start();
        let dir = tempfile::tempdir().unwrap();
        fetch(&ca, dir.path());
        let chain_pem = std::fs::read_to_string(dir.path().join("out/cert-chain.pem")).unwrap();
        let channel = agent::channel(ca.grpc, &ca.roots_pem(), None)
            .await
            .unwrap();
        Self {
            ca,
            chain_pem,
            client: VerificationServiceClient::new(channel),
        }
    }

    fn question(&self) -> Ask {
        Ask {
            chain_pem: self.chain_pem.clone(),
            ..Ask::default()
        }
    }

    async fn ask(&mut self, question: Ask) -> Result<Verdict, Status> {
        let answer = self.client.verify_certificate(question).await?;
        Ok(answer.into_inner().verdict.unwrap())
    }

    async fn ask_all(&mut self, items: Vec<Ask>) -> Result<Vec<Verdict>, Status> {
        let request = VerifyCertificatesRequest { items };
        let answer = self.client.verify_certificates(request).await?;
        Ok(answer.into_inner().verdicts)
    }
}

fn fetch(ca: &TestCa, dir: &Path) {
    std::fs::write(dir.join("token"), ca.token(CART)).unwrap();
    std::fs::write(dir.join("roots.pem"), ca.roots_pem()).unwrap();
    let mut command = Command::new(&binaries().ca_client);
    command
        .args(["fetch", "--token-file", "token", "--ca-roots", "roots.pem"])
        .args(["--out", "out", "--ca-addr", &ca.grpc.to_string()]);
    assert!(command.current_dir(dir).output().unwrap().status.success());
}

fn later(by: Duration) -> Option<prost_types::Timestamp> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the server's clock is the machine's"
    )]
    let now = SystemTime::now();
    Some((now + by).into())
}

#[tokio::test]
async fn a_chain_of_this_authority_is_valid_with_path_fingerprints_and_time_left() {
    let mut scene = Scene::new().await;
    let verdict = scene.ask(scene.question()).await.unwrap();
    assert_eq!(verdict.kind(), Kind::Valid, "{verdict:?}");
    assert_eq!(verdict.spiffe_id, CART);
    assert!((3000..=3600).contains(&verdict.seconds_left), "{verdict:?}");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("root.pem"), scene.ca.roots_pem()).unwrap();
    let said = shell(
        dir.path(),
        "openssl x509 -in root.pem -noout -fingerprint -sha256",
    );
    let root = said.trim().rsplit('=').next().unwrap().replace(':', "");
    assert_eq!(verdict.path.last().unwrap().sha256, root.to_lowercase());
    assert_eq!((verdict.path.len(), verdict.anchored), (3, true));
}

/// A question, the verdict on it, and the rule.
type Row = (Ask, Kind, &'static str);

/// The same chain, asked about in different ways.
fn questions(good: &Ask) -> Vec<Row> {
    let row = |kind, rule, change: &dyn Fn(&mut Ask)| {
        let mut ask = good.clone();
        change(&mut ask);
        (ask, kind, rule)
    };
    let other_id = format!("{CART}2");
    vec![
        row(Kind::Expired, "not-after", &|a| a.at = later(2 * DAY)),
        row(Kind::Valid, "", &|a| a.at = later(Duration::ZERO)),
        row(Kind::NotYetValid, "not-before", &|a| {
            a.at = Some(prost_types::Timestamp::default());
        }),
        row(Kind::Valid, "", &|a| a.spiffe_id = CART.to_owned()),
        row(Kind::WrongSpiffeId, "expected-spiffe-id", &|a| {
            a.spiffe_id.clone_from(&other_id);
        }),
        row(Kind::Valid, "", &|a| {
            a.trust_domain = "cluster.local".to_owned();
        }),
        row(Kind::WrongTrustDomain, "trust-domain", &|a| {
            a.trust_domain = "elsewhere".to_owned();
        }),
        row(Kind::Valid, "", &|a| a.set_profile(Profile::Pkix)),
        row(Kind::Unreadable, "readable", &|a| {
            a.chain_pem = "nothing".to_owned();
        }),
    ]
}

/// The same chain in DER, whole and not.
fn encodings(chain_pem: &str) -> Vec<Row> {
    let blocks = pem::parse_many(chain_pem).unwrap().into_iter();
    let der: Vec<Vec<u8>> = blocks.map(pem::Pem::into_contents).collect();
    let row = |kind, rule, chain_der| {
        let ask = Ask {
            chain_der,
            ..Ask::default()
        };
        (ask, kind, rule)
    };
    vec![
        row(Kind::Valid, "", der.clone()),
        row(Kind::Valid, "", vec![der.concat()]),
        row(Kind::UnknownIssuer, "trusted-root", vec![der[0].clone()]),
        row(Kind::NotAnX509Svid, "svid-not-ca", vec![der[1].clone()]),
        row(Kind::Unreadable, "readable", vec![der[0][1..].to_vec()]),
    ]
}

#[tokio::test]
async fn each_answer_of_a_batch_is_that_of_its_item() {
    let mut scene = Scene::new().await;
    let mut table = questions(&scene.question());
    table.extend(encodings(&scene.chain_pem));
    let items = table.iter().map(|(ask, ..)| ask.clone()).collect();
    let verdicts = scene.ask_all(items).await.unwrap();
    assert_eq!(verdicts.len(), table.len());
    for (number, ((_, kind, rule), verdict)) in table.iter().zip(verdicts).enumerate() {
        let found = (verdict.kind(), verdict.rule.as_str());
        assert_eq!(found, (*kind, *rule), "item {number}: {verdict:?}");
        let looks_good = verdict.seconds_left > 0 && verdict.reason.is_empty();
        assert_eq!(looks_good, *kind == Kind::Valid, "item {number}");
    }
}

/// What spoils a question.
type Spoil = fn(&mut Ask);

#[tokio::test]
async fn questions_that_make_no_sense_are_refused_with_the_reason() {
    let mut scene = Scene::new().await;
    let good = scene.question();
    let table: [(Spoil, &str); 6] = [
        (
            |a| a.chain_pem.clear(),
            "expected a chain in one of chain_pem and chain_der",
        ),
        (
            |a| a.chain_der = vec![vec![0]],
            "expected a chain in one of chain_pem and chain_der",
        ),
        (
            |a| a.trust_domain = "A".to_owned(),
            "\"A\" is not a trust domain: a trust domain takes",
        ),
        (
            |a| a.spiffe_id = "x".to_owned(),
            "\"x\" is not a SPIFFE ID: a SPIFFE ID starts with",
        ),
        (
            |a| {
                a.at = Some(prost_types::Timestamp {
                    seconds: i64::MAX,
                    nanos: 0,
                });
            },
            "at is not a time between",
        ),
        (
            |a| {
                a.spiffe_id = CART.to_owned();
                a.set_profile(Profile::Pkix);
            },
            "trust_domain and spiffe_id are for PROFILE_X509_SVID only",
        ),
    ];
    for (change, reason) in table {
        let mut bad = good.clone();
        change(&mut bad);
        let status = scene.ask(bad.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(reason), "{status:?}");
        let status = scene.ask_all(vec![good.clone(), bad]).await.unwrap_err();
        assert!(
            status.message().starts_with(&format!("item 2: {reason}")),
            "{status:?}"
        );
    }
}

#[tokio::test]
async fn nobody_can_ask_for_more_than_the_limits() {
    let mut scene = Scene::new().await;
    let small = Ask {
        chain_pem: "x".to_owned(),
        ..Ask::default()
    };
    let verdicts = scene.ask_all(vec![small.clone(); 32]).await.unwrap();
    assert_eq!(verdicts.len(), 32);
    let status = scene.ask_all(vec![small; 33]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let big = Ask {
        chain_pem: "x".repeat(10_000_000),
        ..Ask::default()
    };
    let started = Instant::now();
    let status = scene.ask(big).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
    let verdict = scene.ask(scene.question()).await.unwrap();
    assert_eq!(verdict.kind(), Kind::Valid, "the service goes on");
}

#[tokio::test]
async fn health_and_reflection_know_the_service() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    let ca = TestCa::start();
    let channel = agent::channel(ca.grpc, &ca.roots_pem(), None)
        .await
        .unwrap();
    let service = "signet.v1.VerificationService".to_owned();
    let asked = HealthCheckRequest { service };
    let health = HealthClient::new(channel.clone()).check(asked).await;
    assert_eq!(health.unwrap().into_inner().status, 1, "SERVING");
    let listing = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::once(listing))
        .await
        .unwrap()
        .into_inner();
    let answer = format!("{:?}", answers.message().await.unwrap());
    assert!(answer.contains("signet.v1.VerificationService"), "{answer}");
}
