//! Who may come in, and who learns what from a refusal.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tempfile::TempDir;
use tests::agent::Agent;
use tests::agent::key_and_csr;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::jwt::TokenIssuer;
use tests::jwt::claims;
use tests::jwt::forged;
use tests::jwt::unix_now;
use tonic::Code;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::prelude::X509Certificate;

const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

struct House {
    ca: TestCa,
    issuer: TokenIssuer,
    dir: TempDir,
}

fn house() -> House {
    let (dir, issuer) = (tempfile::tempdir().unwrap(), TokenIssuer::new());
    let issuers = issuer.install(dir.path());
    let flags = vec!["--issuers".to_owned(), issuers.display().to_string()];
    House {
        ca: TestCa::start_with(Setup {
            flags,
            ..Setup::default()
        }),
        issuer,
        dir,
    }
}

/// Asks for a leaf for a new key with `bearer` as evidence.
async fn ask(ca: &TestCa, bearer: &[&str]) -> Result<Vec<String>, tonic::Status> {
    let (_, csr) = key_and_csr(CART);
    Agent::connect(ca.grpc, &ca.roots_pem(), bearer, None)
        .await
        .create(&csr, 0)
        .await
}

fn spiffe_id(leaf_pem: &str) -> String {
    let leaf = pem::parse(leaf_pem).unwrap();
    let (_, leaf) = X509Certificate::from_der(leaf.contents()).unwrap();
    let san = leaf.subject_alternative_name().unwrap().unwrap();
    match san.value.general_names.as_slice() {
        [GeneralName::URI(uri)] => (*uri).to_owned(),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn a_leaf_is_named_after_its_caller_not_its_csr() {
    let house = house();
    let (_, csr) = key_and_csr("spiffe://cluster.local/ns/admin/sa/root");
    let token = house.issuer.token();
    let mut agent = Agent::connect(house.ca.grpc, &house.ca.roots_pem(), &[&token], None).await;
    let chain = agent.create(&csr, 0).await.unwrap();
    assert_eq!(spiffe_id(&chain[0]), CART);
}

#[tokio::test]
async fn an_audience_may_be_a_string() {
    let house = house();
    let token = house.issuer.sign(&claims(json!({ "aud": "istio-ca" })));
    assert!(ask(&house.ca, &[&token]).await.is_ok());
}

/// Every way in which a bearer token may be wrong.
fn bad_tokens(issuer: &TokenIssuer) -> Vec<(&'static str, String)> {
    let good = issuer.token();
    let none = json!({ "alg": "none", "kid": "k1" });
    let changed = |what, changes| (what, issuer.sign(&claims(changes)));
    let subject = |what, sub: &str| (what, issuer.sign(&claims(json!({ "sub": sub }))));
    vec![
        changed("expired", json!({ "exp": unix_now() - 120 })),
        changed("no expiry", json!({ "exp": null })),
        changed("not yet valid", json!({ "nbf": unix_now() + 120 })),
        changed("wrong audience", json!({ "aud": ["kubernetes"] })),
        changed("no audience", json!({ "aud": null })),
        changed("wrong issuer", json!({ "iss": "https://evil.test" })),
        ("another's key", TokenIssuer::new().token()),
        ("alg none", forged(&none, &claims(json!({})), b"")),
        (
            "HS256 with the public key",
            signed_with_the_public_key(issuer),
        ),
        ("truncated", good[..good.len() - 10].to_owned()),
        ("not a JWT", "abc".to_owned()),
        ("empty", String::new()),
        subject("not a service account", "system:node:n1"),
        subject("short subject", "system:serviceaccount:shop"),
        subject("long subject", "system:serviceaccount:a:b:c"),
        subject("path in subject", "system:serviceaccount:a:b/../c"),
        (
            "unknown enrolment token",
            format!("signet_enrol_{}", "A".repeat(64)),
        ),
        ("cut enrolment token", "signet_enrol_AAAA".to_owned()),
    ]
}

/// Signed by the issuer's own key, and still not what the standards allow.
fn odd_tokens(issuer: &TokenIssuer) -> Vec<(&'static str, String)> {
    let good = claims(json!({})).to_string();
    let es256 = r#"{"alg":"ES256","kid":"k1"}"#;
    let header = |what, text: &str| (what, issuer.sign_text(text, &good));
    let changed = |what, changes| (what, issuer.sign(&claims(changes)));
    let edited = |what, from: &str, to: &str| {
        assert!(good.contains(from), "{good}");
        (what, issuer.sign_text(es256, &good.replacen(from, to, 1)))
    };
    vec![
        header(
            "critical member",
            r#"{"alg":"ES256","kid":"k1","crit":["exp"]}"#,
        ),
        header(
            "no critical members",
            r#"{"alg":"ES256","kid":"k1","crit":[]}"#,
        ),
        header("critical null", r#"{"alg":"ES256","kid":"k1","crit":null}"#),
        header(
            "unencoded payload",
            r#"{"alg":"ES256","kid":"k1","b64":false,"crit":["b64"]}"#,
        ),
        header("another kid", r#"{"alg":"ES256","kid":"k2"}"#),
        header(
            "another algorithm of the curve",
            r#"{"alg":"ES384","kid":"k1"}"#,
        ),
        header(
            "two algorithms",
            r#"{"alg":"ES256","alg":"none","kid":"k1"}"#,
        ),
        changed("nested audiences", json!({ "aud": [["istio-ca"]] })),
        changed("audience in an object", json!({ "aud": { "istio-ca": 1 } })),
        changed("no audiences", json!({ "aud": [] })),
        changed(
            "two issuers",
            json!({ "iss": [tests::jwt::ISSUER, "https://evil.test"] }),
        ),
        changed("negative expiry", json!({ "exp": -1 })),
        changed("negative fraction", json!({ "exp": -0.5 })),
        changed("past fraction", json!({ "exp": 1.5 })),
        changed("expiry as text", json!({ "exp": "9999999999" })),
        edited("boundless expiry", "\"exp\":", "\"exp\":1e999,\"was\":"),
        edited(
            "two subjects",
            "{",
            "{\"sub\":\"system:serviceaccount:shop:admin\",",
        ),
        edited("two expiries", "{", "{\"exp\":1,"),
        edited("two audiences claims", "{", "{\"aud\":\"kubernetes\","),
        ("white space within", issuer.token().replacen('.', ". ", 1)),
        ("padded", issuer.token().replacen('.', "=.", 1)),
        ("four parts", format!("{}.e30", issuer.token())),
    ]
}

#[tokio::test]
async fn no_odd_jwt_gets_in_though_its_issuer_signed_it() {
    let house = house();
    for (what, token) in odd_tokens(&house.issuer) {
        let status = ask(&house.ca, &[&token]).await.expect_err(what);
        assert_eq!(status.code(), Code::Unauthenticated, "{what}");
        assert_eq!(status.message(), "request authenticate failure", "{what}");
    }
}

#[tokio::test]
async fn times_of_a_token_may_have_fractions_and_lie_in_the_far_future() {
    let house = house();
    let later = Duration::from_secs(unix_now() + 600).as_secs_f64() + 0.5;
    for changes in [
        json!({ "exp": later, "nbf": 0.25 }),
        json!({ "exp": u64::MAX }),
        json!({ "nbf": unix_now(), "iat": 1.0e300 }),
    ] {
        let token = house.issuer.sign(&claims(changes.clone()));
        assert!(ask(&house.ca, &[&token]).await.is_ok(), "{changes}");
    }
}

/// The classic: the public key taken for a shared secret.
fn signed_with_the_public_key(issuer: &TokenIssuer) -> String {
    let header = json!({ "alg": "HS256", "kid": "k1" });
    let unsigned = forged(&header, &claims(json!({})), b"");
    let signing_input = unsigned.trim_end_matches('.');
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, issuer.public_point());
    let tag = ring::hmac::sign(&key, signing_input.as_bytes());
    format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(tag))
}

#[tokio::test]
async fn no_bad_jwt_gets_in_and_every_refusal_reads_the_same() {
    let House {
        ca,
        issuer,
        dir: _dir,
    } = house();
    for (what, token) in bad_tokens(&issuer) {
        let status = ask(&ca, &[&token]).await.expect_err(what);
        assert_eq!(status.code(), Code::Unauthenticated, "{what}");
        assert_eq!(status.message(), "request authenticate failure", "{what}");
    }
    let good = issuer.token();
    let two = ask(&ca, &[&good, &good]).await.unwrap_err();
    assert_eq!(two.code(), Code::Unauthenticated);
    assert!(ask(&ca, &[]).await.is_err());
    assert!(ask(&ca, &[&good]).await.is_ok(), "the good token is good");
}

#[tokio::test]
async fn the_log_has_the_true_reason_with_a_request_id_and_no_token() {
    let House {
        ca,
        issuer,
        dir: _dir,
    } = house();
    let token = issuer.sign(&claims(json!({ "aud": ["kubernetes"] })));
    ask(&ca, &[&token]).await.unwrap_err();
    let line = until(|| {
        ca.log()
            .into_iter()
            .find(|line| line["message"] == "caller not recognised")
    })
    .await;
    assert!(
        line["reason"].as_str().unwrap().contains("audiences"),
        "{line}"
    );
    assert!(line.to_string().contains("request_id"), "{line}");
    assert!(
        !ca.log()
            .iter()
            .any(|line| line.to_string().contains(&token))
    );
}

#[tokio::test]
async fn keys_of_an_issuer_are_read_again_when_they_change_and_a_bad_file_changes_nothing() {
    let House { ca, issuer, dir } = house();
    let jwks = dir.path().join("jwks.json");
    std::fs::write(&jwks, "not json").unwrap();
    until(|| {
        ca.http_get("/metrics")
            .1
            .contains("signet_jwks_refresh_failures_total")
            .then_some(())
    })
    .await;
    assert!(
        ask(&ca, &[&issuer.token()]).await.is_ok(),
        "the last good keys stay"
    );
    let next = TokenIssuer::new();
    next.write_jwks(&jwks);
    until(|| {
        ca.log()
            .into_iter()
            .find(|line| line["message"] == "issuer's keys re-read")
    })
    .await;
    assert!(ask(&ca, &[&next.token()]).await.is_ok());
    assert!(ask(&ca, &[&issuer.token()]).await.is_err());
}

#[tokio::test]
async fn an_enrolment_token_is_spent_once_and_a_repeat_with_the_same_key_gets_the_same_leaf() {
    let ca = TestCa::start();
    let token = ca.token(CART);
    let mut agent = Agent::connect(ca.grpc, &ca.roots_pem(), &[&token], None).await;
    let (_, csr) = key_and_csr(CART);
    assert_eq!(
        agent.create("not a csr", 0).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let first = agent
        .create(&csr, 0)
        .await
        .expect("a bad CSR burns no token");
    assert_eq!(agent.create(&csr, 0).await.unwrap(), first);
    let (_, other) = key_and_csr(CART);
    let status = agent.create(&other, 0).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.message(), "request authenticate failure");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_race_with_one_token_one_wins() {
    let ca = TestCa::start();
    let token = ca.token(CART);
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let mut agent = Agent::connect(ca.grpc, &ca.roots_pem(), &[&token], None).await;
        racers.spawn(async move { agent.create(&key_and_csr(CART).1, 0).await.is_ok() });
    }
    let won = racers
        .join_all()
        .await
        .into_iter()
        .filter(|won| *won)
        .count();
    assert_eq!(won, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_token_and_one_key_make_one_leaf_however_many_ask_at_once() {
    let ca = TestCa::start();
    let token = ca.token(CART);
    let (_, csr) = key_and_csr(CART);
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let mut agent = Agent::connect(ca.grpc, &ca.roots_pem(), &[&token], None).await;
        let csr = csr.clone();
        racers.spawn(async move { agent.create(&csr, 0).await });
    }
    let mut leaves = std::collections::BTreeSet::new();
    for answer in racers.join_all().await {
        match answer {
            Ok(chain) => drop(leaves.insert(chain[0].clone())),
            Err(status) => assert_eq!(status.code(), Code::Aborted, "{status}"),
        }
    }
    assert_eq!(leaves.len(), 1);
}

#[tokio::test]
async fn a_revoked_or_expired_token_lets_nobody_in() {
    let ca = TestCa::start();
    let revoked = ca.token(CART);
    let tokens: serde_json::Value =
        serde_json::from_str(&ca.operator(&["token", "list", "--output", "json"])).unwrap();
    let said = ca.operator(&["token", "revoke", tokens[0]["id"].as_str().unwrap()]);
    assert!(said.contains("revoked"), "{said}");
    assert_eq!(
        ask(&ca, &[&revoked]).await.unwrap_err().code(),
        Code::Unauthenticated
    );
    let short = ca.operator(&["token", "create", "--spiffe-id", CART, "--ttl", "1s"]);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(
        ask(&ca, &[short.trim()]).await.unwrap_err().code(),
        Code::Unauthenticated
    );
}

#[test]
fn a_token_is_made_only_for_workloads_of_this_trust_domain() {
    let ca = TestCa::start();
    for bad in [
        "spiffe://other.domain/x",
        "spiffe://cluster.local",
        "cart",
        "spiffe://cluster.local/a//b",
    ] {
        let output = ca.try_operator(&["token", "create", "--spiffe-id", bad]);
        assert_eq!(output.status.code(), Some(1), "{bad}");
        assert!(output.stdout.is_empty(), "{bad}");
    }
}

#[tokio::test]
async fn a_leaf_renews_its_own_name_and_a_stale_one_does_not_stop_a_good_token() {
    let House {
        ca,
        issuer,
        dir: _dir,
    } = house();
    let (key, csr) = key_and_csr(CART);
    let token = issuer.token();
    let chain = Agent::connect(ca.grpc, &ca.roots_pem(), &[&token], None)
        .await
        .create(&csr, 0)
        .await
        .unwrap();
    let der = |pems: &[String]| -> Vec<Vec<u8>> {
        pems.iter()
            .map(|text| pem::parse(text).unwrap().into_contents())
            .collect()
    };
    let identity = (der(&chain[..2]), key);
    let (_, csr) = key_and_csr("spiffe://cluster.local/ns/other/sa/name");
    let mut renewing = Agent::connect(ca.grpc, &ca.roots_pem(), &[], Some(identity)).await;
    assert_eq!(spiffe_id(&renewing.create(&csr, 0).await.unwrap()[0]), CART);

    let foreign = rcgen::generate_simple_self_signed(["someone".to_owned()]).unwrap();
    let foreign = || {
        Some((
            vec![foreign.cert.der().to_vec()],
            foreign.signing_key.serialize_der(),
        ))
    };
    let mut stranger = Agent::connect(ca.grpc, &ca.roots_pem(), &[], foreign()).await;
    assert_eq!(
        stranger.create(&csr, 0).await.unwrap_err().code(),
        Code::Unauthenticated
    );
    let mut with_token = Agent::connect(ca.grpc, &ca.roots_pem(), &[&token], foreign()).await;
    assert!(with_token.create(&csr, 0).await.is_ok());
}

#[tokio::test]
async fn asking_for_another_identity_gets_istios_refusal() {
    let House {
        ca,
        issuer,
        dir: _dir,
    } = house();
    let token = issuer.token();
    let mut agent = Agent::connect(ca.grpc, &ca.roots_pem(), &[&token], None).await;
    let field = prost_types::Value {
        kind: Some(prost_types::value::Kind::StringValue(CART.to_owned())),
    };
    let message = proto::istio::IstioCertificateRequest {
        csr: key_and_csr(CART).1,
        validity_duration: 0,
        metadata: Some(prost_types::Struct {
            fields: [("ImpersonatedIdentity".to_owned(), field)].into(),
        }),
    };
    let status = agent.call(message).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(
        status.message(),
        "request impersonation authentication failure"
    );
}

/// Asks until there is an answer; fails after ten seconds.
async fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..200 {
        if let Some(answer) = ask() {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not happen");
}
