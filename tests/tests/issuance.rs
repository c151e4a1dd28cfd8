//! What is issued and what is refused, on the wire.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use tests::agent::Agent;
use tests::agent::key_and_csr;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::jwt::TokenIssuer;
use tests::openssl::openssl;
use tests::openssl::shell;
use tonic::Code;
use x509_parser::prelude::FromDer as _;
use x509_parser::prelude::X509Certificate;

const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

async fn agent(flags: &[&str]) -> (TestCa, Agent, tempfile::TempDir) {
    let (dir, issuer) = (tempfile::tempdir().unwrap(), TokenIssuer::new());
    let issuers = issuer.install(dir.path()).display().to_string();
    let flags = ["--issuers", &issuers]
        .iter()
        .chain(flags)
        .map(|flag| (*flag).to_owned())
        .collect();
    let ca = TestCa::start_with(Setup {
        flags,
        ..Setup::default()
    });
    let agent = Agent::connect(ca.grpc, &ca.roots_pem(), &[&issuer.token()], None).await;
    (ca, agent, dir)
}

fn span(leaf_pem: &str) -> Duration {
    let leaf = pem::parse(leaf_pem).unwrap();
    let (_, leaf) = X509Certificate::from_der(leaf.contents()).unwrap();
    let (from, to) = (leaf.validity().not_before, leaf.validity().not_after);
    Duration::from_secs(u64::try_from(to.timestamp() - from.timestamp()).unwrap())
}

#[tokio::test]
async fn a_csr_that_breaks_a_rule_is_refused_by_name() {
    let (_ca, mut agent, dir) = agent(&[]).await;
    let make = |script: &str| shell(dir.path(), script);
    let request = "openssl req -new -nodes -subj / ";
    let table = [
        ("empty", String::new(), "not properly encoded"),
        ("not PEM", "hello".to_owned(), "not properly encoded"),
        ("two blocks", key_and_csr(CART).1.repeat(2), ""),
        (
            "a certificate",
            make("openssl req -x509 -newkey rsa:2048 -nodes -subj / -keyout k 2>/dev/null"),
            "",
        ),
        (
            "SHA-1",
            make(&format!(
                "{request} -newkey rsa:2048 -keyout k -sha1 2>/dev/null"
            )),
            "SHA-1",
        ),
        (
            "RSA-1024",
            make(&format!("{request} -newkey rsa:1024 -keyout k 2>/dev/null")),
            "1024",
        ),
        (
            "P-521",
            make(&format!(
                "{request} -newkey ec -pkeyopt ec_paramgen_curve:P-521 -keyout k 2>/dev/null"
            )),
            "P-521",
        ),
        (
            "Ed25519",
            make(&format!("{request} -newkey ed25519 -keyout k 2>/dev/null")),
            "Ed25519",
        ),
        ("junk", "x".repeat(200 * 1024), ""),
    ];
    for (what, csr, text) in table {
        let status = agent.create(&csr, 0).await.expect_err(what);
        assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status}");
        assert!(
            status.message().starts_with("CSR signing error ("),
            "{what}: {status}"
        );
        assert!(status.message().contains(text), "{what}: {status}");
    }
    let mebibyte = agent.create(&"x".repeat(1024 * 1024), 0).await.unwrap_err();
    assert_eq!(
        mebibyte.code(),
        Code::OutOfRange,
        "over the message limit: {mebibyte}"
    );
    assert!(
        agent.create(&key_and_csr(CART).1, 0).await.is_ok(),
        "the connection is still good"
    );
}

#[tokio::test]
async fn what_a_csr_asks_for_beside_its_key_is_not_given() {
    let (_ca, mut agent, dir) = agent(&[]).await;
    let extensions = "[v]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n\
        subjectAltName=DNS:evil.example,URI:spiffe://cluster.local/ns/admin/sa/root\n1.2.3.4=ASN1:UTF8String:x\n\
        [req]\ndistinguished_name=d\n[d]\n";
    std::fs::write(dir.path().join("c.cnf"), extensions).unwrap();
    let csr = shell(
        dir.path(),
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -subj '/O=evil/CN=admin' \
         -config c.cnf -reqexts v 2>/dev/null",
    );
    let chain = agent.create(&csr, 0).await.unwrap();
    std::fs::write(dir.path().join("leaf.pem"), &chain[0]).unwrap();
    let text = shell(dir.path(), "openssl x509 -in leaf.pem -noout -text");
    assert!(
        text.contains(&format!("URI:{CART}")) && text.contains("CA:FALSE"),
        "{text}"
    );
    for absent in ["evil", "admin", "Certificate Sign", "1.2.3.4"] {
        assert!(!text.contains(absent), "{absent} in\n{text}");
    }
}

#[tokio::test]
async fn a_p256_key_whose_csr_is_signed_with_sha384_is_certified_as_it_is() {
    let (_ca, mut agent, dir) = agent(&[]).await;
    let csr = shell(
        dir.path(),
        "openssl req -new -sha384 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -subj / 2>/dev/null",
    );
    let chain = agent.create(&csr, 0).await.unwrap();
    std::fs::write(dir.path().join("leaf.pem"), &chain[0]).unwrap();
    let keys = shell(
        dir.path(),
        "openssl x509 -in leaf.pem -noout -pubkey | sha256sum; openssl pkey -in k -pubout | sha256sum",
    );
    let keys: Vec<&str> = keys.lines().collect();
    assert_eq!(keys[0], keys[1]);
}

#[tokio::test]
async fn a_ttl_is_granted_defaulted_or_refused_as_it_was_requested() {
    let (_ca, mut agent, _dir) = agent(&["--default-ttl", "2h", "--max-ttl", "3h"]).await;
    let (_, csr) = key_and_csr(CART);
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    for (asked, granted) in [
        (0, 122),
        (-1, 122),
        (i64::MIN, 122),
        (3600, 62),
        (3 * 3600, 182),
    ] {
        let chain = agent.create(&csr, asked).await.unwrap();
        assert_eq!(span(&chain[0]), minutes(granted), "{asked}");
    }
    assert_eq!(
        span(&agent.create(&csr, 60).await.unwrap()[0]),
        Duration::from_secs(66)
    );
    for asked in [1, 59, 3 * 3600 + 1, i64::MAX] {
        let status = agent.create(&csr, asked).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{asked}");
        assert!(status.message().contains("requested TTL"), "{status}");
    }
}

#[tokio::test]
async fn every_element_of_the_chain_is_one_certificate_and_none_comes_twice() {
    let (ca, mut agent, _dir) = agent(&[]).await;
    let chain = agent.create(&key_and_csr(CART).1, 0).await.unwrap();
    assert_eq!(chain.len(), 3);
    let blocks: Vec<_> = chain
        .iter()
        .flat_map(|element| pem::parse_many(element).unwrap())
        .collect();
    assert_eq!(blocks.len(), 3);
    assert!(blocks[0] != blocks[1] && blocks[1] != blocks[2] && blocks[0] != blocks[2]);
    assert_eq!(chain[2], ca.roots_pem());
}

#[tokio::test]
async fn serials_rise_and_the_openssl_text_of_a_leaf_is_what_the_profile_says() {
    let (_ca, mut agent, dir) = agent(&[]).await;
    let (_, csr) = key_and_csr(CART);
    let mut serials = Vec::new();
    for _ in 0..5 {
        std::fs::write(
            dir.path().join("leaf.pem"),
            &agent.create(&csr, 0).await.unwrap()[0],
        )
        .unwrap();
        let leaf = dir.path().join("leaf.pem");
        serials.push(openssl(["x509", "-noout", "-serial", "-in", &leaf.to_string_lossy()]).text);
    }
    assert!(serials.is_sorted_by(|a, b| a < b), "{serials:?}");
    let text = shell(dir.path(), "openssl x509 -in leaf.pem -noout -text");
    for line in [
        "X509v3 Key Usage: critical",
        "X509v3 Subject Alternative Name: critical",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
        "TLS Web Server Authentication, TLS Web Client Authentication",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert!(!text.contains("Key Encipherment"), "{text}");
}
