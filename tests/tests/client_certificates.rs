//! Client certificates that prove nothing: none of them gets in, and none of them stops a good token.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::SanType;
use tests::agent::Agent;
use tests::agent::ClientIdentity;
use tests::agent::key_and_csr;
use tests::ca::TestCa;
use time::OffsetDateTime;
use tonic::Code;
use x509_parser::prelude::FromDer as _;
use x509_parser::prelude::X509Certificate;

const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// What a leaf looks like that would be believed.
fn leaf(name: SanType) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.subject_alt_names = vec![name];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// The CA's own issuer, taken from its disk, signs whatever `params` say.
fn under_our_issuer(ca: &TestCa, params: &CertificateParams) -> ClientIdentity {
    let read = |name: &str| std::fs::read_to_string(ca.data_dir.join("ca").join(name)).unwrap();
    let issuer_pem = read("ca-cert.pem");
    let issuer_key = KeyPair::from_pem(&read("ca-key.pem")).unwrap();
    let above = pem::parse(issuer_pem).unwrap().into_contents();
    under(above, &issuer_key, params)
}

/// A leaf by the name of `above` and the key of whoever.
fn under(above: Vec<u8>, issuer_key: &KeyPair, params: &CertificateParams) -> ClientIdentity {
    let (_, parsed) = X509Certificate::from_der(&above).unwrap();
    let mut named = CertificateParams::default();
    named.distinguished_name = rcgen::DistinguishedName::new();
    for attribute in parsed.subject().iter_attributes() {
        let kind = match attribute.attr_type().to_id_string().as_str() {
            "2.5.4.10" => rcgen::DnType::OrganizationName,
            _ => rcgen::DnType::CommonName,
        };
        named
            .distinguished_name
            .push(kind, attribute.as_str().unwrap());
    }
    let issuer = Issuer::new(named, issuer_key);
    let key = KeyPair::generate().unwrap();
    let der = params.signed_by(&key, &issuer).unwrap().der().to_vec();
    (vec![der, above], key.serialize_der())
}

fn as_ca(name: SanType) -> CertificateParams {
    let mut params = leaf(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn expired() -> CertificateParams {
    let mut params = leaf(uri(CART));
    params.not_before = OffsetDateTime::UNIX_EPOCH;
    params.not_after = OffsetDateTime::UNIX_EPOCH + time::Duration::hours(1);
    params
}

fn two_names() -> CertificateParams {
    let mut params = leaf(uri(CART));
    params
        .subject_alt_names
        .push(uri("spiffe://cluster.local/b"));
    params
}

fn namesake_of_our_issuer(ca: &TestCa) -> ClientIdentity {
    let (chain, _) = under_our_issuer(ca, &leaf(uri(CART)));
    let stranger = KeyPair::generate().unwrap();
    under(chain[1].clone(), &stranger, &leaf(uri(CART)))
}

fn bad_identities(ca: &TestCa) -> Vec<(&'static str, ClientIdentity)> {
    let signed = |params: &CertificateParams| under_our_issuer(ca, params);
    let (good_chain, good_key) = signed(&leaf(uri(CART)));
    let another_key = KeyPair::generate().unwrap().serialize_der();
    let mut garbled = good_chain.clone();
    garbled[0].truncate(100);
    let mut long = good_chain.clone();
    long.extend(std::iter::repeat_n(good_chain[1].clone(), 7));
    let serving = leaf(SanType::DnsName("localhost".try_into().unwrap()));
    vec![
        (
            "another trust domain",
            signed(&leaf(uri("spiffe://other.domain/ns/shop/sa/cart"))),
        ),
        (
            "trust domain alone",
            signed(&leaf(uri("spiffe://cluster.local"))),
        ),
        ("a CA", signed(&as_ca(uri(CART)))),
        ("a server", signed(&serving)),
        ("two names", signed(&two_names())),
        ("expired", signed(&expired())),
        (
            "self-signed in our issuer's name",
            namesake_of_our_issuer(ca),
        ),
        ("a stolen certificate", (good_chain, another_key)),
        ("not a certificate", (garbled, good_key.clone())),
        ("a long chain", (long, good_key)),
    ]
}

#[tokio::test]
async fn no_bad_client_certificate_gets_in_and_none_stops_a_good_token() {
    let ca = TestCa::start();
    let (roots, csr) = (ca.roots_pem(), key_and_csr(CART).1);
    for (what, identity) in bad_identities(&ca) {
        let mut alone = Agent::connect(ca.grpc, &roots, &[], Some(identity.clone())).await;
        let status = alone.create(&csr, 0).await.expect_err(what);
        assert_eq!(status.code(), Code::Unauthenticated, "{what}");
        assert_eq!(status.message(), "request authenticate failure", "{what}");
        let token = ca.token(CART);
        let mut helped = Agent::connect(ca.grpc, &roots, &[&token], Some(identity)).await;
        assert!(helped.create(&csr, 0).await.is_ok(), "{what}");
    }
    let (key, own_csr) = key_and_csr(CART);
    let mut enrolling = Agent::connect(ca.grpc, &roots, &[&ca.token(CART)], None).await;
    let elements = enrolling.create(&own_csr, 0).await.unwrap();
    let chain = pem::parse_many(elements.concat()).unwrap();
    let chain = chain.into_iter().map(pem::Pem::into_contents).collect();
    let mut renewing = Agent::connect(ca.grpc, &roots, &[], Some((chain, key))).await;
    assert!(
        renewing.create(&csr, 0).await.is_ok(),
        "the good one is good"
    );
}

#[tokio::test]
async fn a_stolen_issuing_key_buys_no_certificate() {
    let ca = TestCa::start();
    let (roots, csr) = (ca.roots_pem(), key_and_csr(CART).1);
    let forged = under_our_issuer(&ca, &leaf(uri(CART)));
    let mut thief = Agent::connect(ca.grpc, &roots, &[], Some(forged)).await;
    let status = thief.create(&csr, 0).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let said = format!("{:?}", ca.log());
    assert!(
        said.contains("the ledger does not have certificate"),
        "{said}"
    );
}

#[tokio::test]
async fn a_name_in_a_client_certificate_writes_no_line_into_the_log() {
    let ca = TestCa::start();
    let mut params = leaf(uri(CART));
    let line = "x\n2026-01-01T00:00:00Z INFO issued \u{1b}[31m";
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, line);
    let key = KeyPair::generate().unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    let identity = Some((vec![der], key.serialize_der()));
    let mut agent = Agent::connect(ca.grpc, &ca.roots_pem(), &[], identity).await;
    agent.create("", 0).await.unwrap_err();
    for _ in 0..100 {
        let log = ca.log();
        let refused = |line: &&serde_json::Value| line["message"] == "caller not recognised";
        if let Some(line) = log.iter().find(refused) {
            let reason = line["reason"].as_str().unwrap();
            assert!(reason.contains("x\\n2026"), "{reason:?}");
            assert!(!reason.contains(char::is_control), "{reason:?}");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(ca.log().is_empty(), "the refusal was not logged");
}
