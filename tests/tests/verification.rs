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

#[tokio::test]
async fn each_answer_of_a_batch_is_that_of_its_item() {
    let mut scene = Scene::new().await;
    let good = scene.question();
    let der: Vec<Vec<u8>> = pem::parse_many(&scene.chain_pem)
        .unwrap()
        .into_iter()
        .map(pem::Pem::into_contents)
        .collect();
    let ask = |change: &dyn Fn(&mut Ask)| {
        let mut ask = good.clone();
        change(&mut ask);
        ask
    };
    let table = [
        (ask(&|a| a.at = later(2 * DAY)), Kind::Expired, "not-after"),
        (ask(&|a| a.at = later(Duration::ZERO)), Kind::Valid, ""),
        (
            ask(&|a| a.at = Some(prost_types::Timestamp::default())),
            Kind::NotYetValid,
            "not-before",
        ),
        (ask(&|a| a.spiffe_id = CART.to_owned()), Kind::Valid, ""),
        (
            ask(&|a| a.spiffe_id = format!("{CART}2")),
            Kind::WrongSpiffeId,
            "expected-spiffe-id",
        ),
        (
            ask(&|a| a.trust_domain = "cluster.local".to_owned()),
            Kind::Valid,
            "",
        ),
        (
            ask(&|a| a.trust_domain = "elsewhere".to_owned()),
            Kind::WrongTrustDomain,
            "trust-domain",
        ),
        (ask(&|a| a.set_profile(Profile::Pkix)), Kind::Valid, ""),
        (
            ask(&|a| a.chain_pem = "nothing".to_owned()),
            Kind::Unreadable,
            "readable",
        ),
        (
            Ask {
                chain_der: der.clone(),
                ..Ask::default()
            },
            Kind::Valid,
            "",
        ),
        (
            Ask {
                chain_der: vec![der.concat()],
                ..Ask::default()
            },
            Kind::Valid,
            "",
        ),
        (
            Ask {
                chain_der: vec![der[0].clone()],
                ..Ask::default()
            },
            Kind::UnknownIssuer,
            "trusted-root",
        ),
        (
            Ask {
                chain_der: vec![der[1].clone()],
                ..Ask::default()
            },
            Kind::NotAnX509Svid,
            "svid-not-ca",
        ),
        (
            Ask {
                chain_der: vec![der[0][1..].to_vec()],
                ..Ask::default()
            },
            Kind::Unreadable,
            "readable",
        ),
    ];
    let items = table.iter().map(|(ask, ..)| ask.clone()).collect();
    let verdicts = scene.ask_all(items).await.unwrap();
    assert_eq!(verdicts.len(), table.len());
    for (number, ((_, kind, rule), verdict)) in table.iter().zip(verdicts).enumerate() {
        assert_eq!(
            (verdict.kind(), verdict.rule.as_str()),
            (*kind, *rule),
            "item {number}: {verdict:?}"
        );
        assert_eq!(
            verdict.is_valid_by_time(),
            *kind == Kind::Valid,
            "item {number}"
        );
    }
}

trait ValidByTime {
    fn is_valid_by_time(&self) -> bool;
}

impl ValidByTime for Verdict {
    fn is_valid_by_time(&self) -> bool {
        self.seconds_left > 0 && self.reason.is_empty() && self.section.is_empty()
    }
}

#[tokio::test]
async fn questions_that_make_no_sense_are_refused_with_the_reason() {
    let mut scene = Scene::new().await;
    let good = scene.question();
    let table: [(fn(&mut Ask), &str); 6] = [
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
