//! Keys made by openssl, signatures judged by openssl.

use super::*;
use crate::authority::test_bundle::CA;
use crate::authority::test_bundle::P256;
use crate::authority::test_bundle::P384;
use crate::authority::test_bundle::RSA_2048;
use crate::authority::test_bundle::TestBundle;

fn private(made: &TestBundle, file: &str) -> Result<PrivateKey, KeyError> {
    PrivateKey::from_pem(made.read(file).as_bytes())
}

#[test]
fn openssl_accepts_signatures_of_every_kind() {
    for (kind, hash) in [(RSA_2048, "sha256"), (P256, "sha256"), (P384, "sha384")] {
        let made = TestBundle::empty();
        made.root("ca", kind, CA);
        let private = private(&made, "ca.key").unwrap();
        let key = IssuerKey::of_issuer(&private, &made.certificate("ca")).unwrap();
        made.write("message", "to be signed");
        made.write("signature", key.sign(b"to be signed").unwrap());
        made.openssl("pkey -in ca.key -pubout -out public.pem");
        made.openssl(&format!(
            "dgst -{hash} -verify public.pem -signature signature message"
        ));
    }
}

#[test]
fn the_algorithm_that_is_named_is_the_one_that_openssl_names() {
    for (kind, name) in [
        (RSA_2048, "sha256WithRSAEncryption"),
        (P256, "ecdsa-with-SHA256"),
        (P384, "ecdsa-with-SHA384"),
    ] {
        let made = TestBundle::empty();
        made.root("ca", kind, CA);
        let private = private(&made, "ca.key").unwrap();
        let key = IssuerKey::of_issuer(&private, &made.certificate("ca")).unwrap();
        made.write("algorithm", key.signature_algorithm_der());
        let read = made.openssl("asn1parse -inform der -in algorithm");
        assert!(read.contains(name), "{read}");
    }
}

#[test]
fn a_key_of_another_certificate_is_a_mismatch_whatever_its_kind() {
    let made = TestBundle::empty();
    for (name, kind) in [
        ("p256", P256),
        ("other", P256),
        ("p384", P384),
        ("rsa", RSA_2048),
        ("rsa2", RSA_2048),
    ] {
        made.root(name, kind, CA);
    }
    for (key, certificate) in [
        ("p256", "other"),
        ("p256", "p384"),
        ("p384", "p256"),
        ("rsa", "rsa2"),
        ("rsa", "p256"),
        ("p256", "rsa"),
    ] {
        let private = private(&made, &format!("{key}.key")).unwrap();
        let error = IssuerKey::of_issuer(&private, &made.certificate(certificate)).unwrap_err();
        assert_eq!(error, KeyError::Mismatch, "{key} for {certificate}");
    }
}

#[test]
fn keys_that_do_not_sign_here_are_refused_by_name() {
    let made = TestBundle::empty();
    for (kind, name) in [
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:1024", "RSA-1024"),
        ("-algorithm ED25519", "Ed25519"),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-521", "P-521"),
        (
            "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1",
            "secp256k1",
        ),
        (
            "-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048",
            "RSA-PSS",
        ),
    ] {
        made.key("refused", kind);
        let error = private(&made, "refused.key").unwrap_err();
        let kind = name.to_owned();
        assert_eq!(error, KeyError::Unsupported { kind });
    }
    made.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit -out spelled.key");
    assert_eq!(
        private(&made, "spelled.key").unwrap_err(),
        KeyError::ExplicitCurve
    );
}

#[test]
fn bytes_that_are_no_key_are_refused() {
    let block = |label: &str, content: &[u8]| pem::encode(&pem::Pem::new(label, content));
    for text in [
        block("PRIVATE KEY", b""),
        block("PRIVATE KEY", &[0x30, 0x03, 0x02, 0x01, 0x00]),
        block("RSA PRIVATE KEY", &[0x30, 0x80]),
        block("EC PRIVATE KEY", &[0xff; 300]),
        block("OPENSSH PRIVATE KEY", b"openssh"),
        block("PUBLIC KEY", b"public"),
        String::new(),
    ] {
        assert!(PrivateKey::from_pem(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn debug_output_shows_no_secret() {
    let made = TestBundle::empty();
    for kind in [RSA_2048, P256] {
        made.root("ca", kind, CA);
        let private = private(&made, "ca.key").unwrap();
        let key = IssuerKey::of_issuer(&private, &made.certificate("ca")).unwrap();
        let secret = match &private {
            PrivateKey::Rsa(der) => der.clone(),
            PrivateKey::Ec { scalar, .. } => scalar.clone(),
        };
        let shown = format!("{private:?} {key:?}");
        assert!(shown.len() < 120, "{shown}");
        for form in [
            format!("{:?}", &secret[..4]),
            format!("{:02x}{:02x}", secret[0], secret[1]),
        ] {
            assert!(!shown.contains(form.trim_matches(['[', ']'])), "{shown}");
        }
    }
}

#[test]
fn a_scalar_without_its_leading_zeros_is_padded() {
    assert_eq!(fit(&[1, 2], 4).unwrap().as_slice(), [0, 0, 1, 2]);
    assert_eq!(fit(&[0, 0, 0, 1, 2], 4).unwrap().as_slice(), [0, 0, 1, 2]);
    assert!(fit(&[1; 5], 4).is_none());
}
