use super::*;
use crate::x509::openssl::OpenSsl;
use crate::x509::openssl::P256 as P256_KEY;
use crate::x509::openssl::P384 as P384_KEY;

fn rsa_spki(algorithm_der: &[u8], modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let bits = yasna::construct_der(|writer| {
        writer.write_sequence(|fields| {
            fields.next().write_bigint_bytes(modulus, true);
            fields.next().write_bigint_bytes(exponent, true);
        });
    });
    encode_spki(algorithm_der, &bits)
}

fn modulus(bits: usize) -> Vec<u8> {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] >>= (8 - bits % 8) % 8;
    modulus
}

#[test]
fn rsa_keys_have_2048_to_4096_bits() {
    for bits in [2048, 2049, 3072, 4096] {
        let key = PublicKey::from_spki(&rsa_spki(RSA, &modulus(bits), &[1, 0, 1])).unwrap();
        assert_eq!(key.kind(), KeyKind::Rsa { bits });
    }
    for bits in [512, 1024, 2047, 4097, 8192, 16384] {
        let error = PublicKey::from_spki(&rsa_spki(RSA, &modulus(bits), &[1, 0, 1]));
        assert_eq!(error, Err(PublicKeyError::RsaSize { bits }));
    }
}

#[test]
fn rsa_exponents_are_odd_and_of_a_size_that_everybody_takes() {
    let with = |exponent: &[u8]| PublicKey::from_spki(&rsa_spki(RSA, &modulus(2048), exponent));
    for exponent in [&[3][..], &[17], &[1, 0, 1], &[0x7f, 0xff, 0xff, 0xff]] {
        assert!(with(exponent).is_ok(), "{exponent:?}");
    }
    for exponent in [&[][..], &[1], &[2], &[1, 0, 0], &[0x80, 0, 0, 1], &[1; 9]] {
        let error = Err(PublicKeyError::RsaExponent);
        assert_eq!(with(exponent), error, "{exponent:?}");
    }
}

#[test]
fn keys_stay_byte_for_byte_what_they_were() {
    for key in [P256_KEY, P384_KEY] {
        let openssl = OpenSsl::new();
        openssl.csr(key, "-subj /");
        let spki = openssl.spki();
        let key = PublicKey::from_spki(&spki).unwrap();
        assert_eq!(key.spki_der(), spki);
        assert!(spki.ends_with(key.bits()));
        assert_eq!(key.hash(), Fingerprint::of(&spki));
    }
}

#[test]
fn one_key_has_one_encoding() {
    let good = rsa_spki(RSA, &modulus(2048), &[3]);
    let trailing = [&good[..], &[0]].concat();
    let mut unused_bits = encode_spki(P256, &[4; 65]);
    unused_bits[25] = 1;
    // A length of 0x59 in two bytes instead of one is BER, not DER.
    let point = encode_spki(P256, &[4; 65]);
    let long_length = [&[0x30, 0x81, 0x59], &point[2..]].concat();
    let even = rsa_spki(RSA, &[&modulus(2040)[..], &[2]].concat(), &[3]);
    let other_parameters = encode_spki(
        b"\x30\x0e\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x04\x01\x00",
        &good[24..],
    );
    // RFC 3279 section 2.3.1: the parameters are NULL, not absent.
    let no_parameters = rsa_spki(
        b"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01",
        &modulus(2048),
        &[3],
    );
    assert!(PublicKey::from_spki(&point).is_ok());
    for bad in [
        &[][..],
        b"junk",
        &trailing,
        &unused_bits,
        &long_length,
        &even,
        &other_parameters,
        &no_parameters,
    ] {
        let result = PublicKey::from_spki(bad);
        assert_eq!(result, Err(PublicKeyError::Malformed), "{bad:02x?}");
    }
}

#[test]
fn points_are_uncompressed_and_of_the_length_of_their_curve() {
    for (kind, algorithm_der, expected) in [(KeyKind::P256, P256, 65), (KeyKind::P384, P384, 97)] {
        for len in [0, 1, 33, 49, expected - 1, expected + 1] {
            let result = PublicKey::from_spki(&encode_spki(algorithm_der, &vec![4; len]));
            let error = PublicKeyError::Point {
                kind,
                expected,
                len,
            };
            assert_eq!(result, Err(error));
        }
        let compressed = PublicKey::from_spki(&encode_spki(algorithm_der, &vec![2; expected]));
        assert!(matches!(compressed, Err(PublicKeyError::Point { .. })));
    }
}

#[test]
fn a_curve_given_by_its_numbers_is_refused() {
    let openssl = OpenSsl::new();
    openssl.csr(
        &format!("{P256_KEY} -pkeyopt ec_param_enc:explicit"),
        "-subj /",
    );
    let name = "with explicit parameters".to_owned();
    let result = PublicKey::from_spki(&openssl.spki());
    assert_eq!(result, Err(PublicKeyError::Curve { name }));
}
