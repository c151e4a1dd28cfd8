use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use jsonwebtoken::Validation;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::jwk::PublicKeyUse;
use serde_json::Value;
use serde_json::json;
use spiffe::TrustDomain;
use spiffe::X509Bundle;

use super::super::test_bundle::CA;
use super::super::test_bundle::P256;
use super::super::test_bundle::P384;
use super::super::test_bundle::RSA_2048;
use super::super::test_bundle::TestBundle;
use super::*;

const P521: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-521";

fn root(kind: &str) -> (TestBundle, Certificate) {
    let made = TestBundle::empty();
    made.root("root", kind, CA);
    let root = made.certificate("root");
    (made, root)
}

fn document(roots: &[Certificate]) -> Value {
    serde_json::from_str(&encode(roots, 7).unwrap()).unwrap()
}

#[test]
fn the_spiffe_library_reads_every_root_in_order() {
    let roots: Vec<Certificate> = [RSA_2048, P256, P384, P521].map(|kind| root(kind).1).into();
    let document = document(&roots);
    let x5c = |key: &Value| {
        assert_eq!(key["x5c"].as_array().unwrap().len(), 1);
        BASE64_STANDARD
            .decode(key["x5c"][0].as_str().unwrap())
            .unwrap()
    };
    let ders: Vec<Vec<u8>> = document["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(x5c)
        .collect();
    let ders: Vec<&[u8]> = ders.iter().map(Vec::as_slice).collect();
    let domain = TrustDomain::new("cluster.local").unwrap();
    let read = X509Bundle::from_x509_authorities(domain, &ders).unwrap();
    let read: Vec<&[u8]> = read.authorities().iter().map(AsRef::as_ref).collect();
    assert_eq!(read, roots.iter().map(Certificate::der).collect::<Vec<_>>());
}

#[test]
fn jsonwebtoken_reads_the_set_and_its_keys_verify_what_the_roots_keys_sign() {
    let table = [
        (RSA_2048, Algorithm::RS256),
        (P256, Algorithm::ES256),
        (P384, Algorithm::ES384),
    ];
    for (kind, algorithm) in table {
        let (made, root) = root(kind);
        let set: JwkSet = serde_json::from_str(&encode(&[root], 7).unwrap()).unwrap();
        let jwk = &set.keys[0];
        let purpose = PublicKeyUse::Other("x509-svid".to_owned());
        assert_eq!(jwk.common.public_key_use, Some(purpose));
        assert_eq!(jwk.common.key_id, None);
        let token = jsonwebtoken::encode(
            &Header::new(algorithm),
            &json!({"sub": kind}),
            &signing_key(&made, algorithm),
        );
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        let key = DecodingKey::from_jwk(jwk).unwrap();
        let read = jsonwebtoken::decode::<Value>(&token.unwrap(), &key, &validation);
        assert_eq!(read.unwrap().claims["sub"], kind);
    }
}

fn signing_key(made: &TestBundle, algorithm: Algorithm) -> EncodingKey {
    match algorithm {
        Algorithm::RS256 => {
            made.openssl("rsa -in root.key -traditional -outform DER -out root.der");
            EncodingKey::from_rsa_der(&std::fs::read(made.workshop().join("root.der")).unwrap())
        }
        _ => {
            made.openssl("pkcs8 -topk8 -nocrypt -in root.key -outform DER -out root.der");
            EncodingKey::from_ec_der(&std::fs::read(made.workshop().join("root.der")).unwrap())
        }
    }
}

#[test]
fn an_rsa_modulus_has_no_zero_before_it_and_a_point_keeps_its_zeros() {
    assert_eq!(
        unsigned(&[0, 0x80, 1]),
        BASE64_URL_SAFE_NO_PAD.encode([0x80, 1])
    );
    let point = [vec![4], vec![0; 32], vec![1; 32]].concat();
    let Some(Key::Ec { x, y, .. }) = Key::of_point("1.2.840.10045.3.1.7", &point) else {
        panic!("no key");
    };
    assert_eq!((x.len(), y.len()), (43, 43));
    for bad in [&point[..64], &point[1..], &[]] {
        assert!(Key::of_point("1.2.840.10045.3.1.7", bad).is_none());
    }
}

#[test]
fn an_ed25519_root_is_an_octet_key_pair() {
    let made = TestBundle::empty();
    made.key("root", "-algorithm ED25519");
    made.csr("root", "-subj /O=Test/CN=root");
    made.sign("root", "-signkey root.key -days 36500", CA);
    let document = document(&[made.certificate("root")]);
    assert_eq!(document["keys"][0]["kty"], "OKP");
    assert_eq!(document["keys"][0]["crv"], "Ed25519");
    assert_eq!(document["keys"][0]["x"].as_str().unwrap().len(), 43);
}

#[test]
fn number_and_hint_are_integers_and_the_hint_is_short_while_there_are_two_roots() {
    let (one, other) = (root(P256).1, root(P256).1);
    let alone = document(std::slice::from_ref(&one));
    assert_eq!(alone["spiffe_sequence"], 7);
    assert_eq!(alone["spiffe_refresh_hint"], 300);
    assert_eq!(document(&[one, other])["spiffe_refresh_hint"], 30);
    assert_eq!(document(&[])["keys"], json!([]));
}

#[test]
fn a_root_that_no_jwk_can_say_makes_no_document() {
    let made = TestBundle::empty();
    made.root(
        "root",
        "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1",
        CA,
    );
    let root = made.certificate("root");
    let error = encode(std::slice::from_ref(&root), 7).unwrap_err();
    assert!(matches!(error, SpiffeBundleError::Key { root: named } if named == root.fingerprint()));
}
