use super::*;
use crate::x509::openssl::OpenSsl;
use crate::x509::openssl::P256;
use crate::x509::openssl::P384;
use crate::x509::openssl::RSA;

const PSS: &str = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen";

fn kind(name: &str) -> CsrError {
    let name = name.to_owned();
    CsrError::PublicKey(PublicKeyError::Kind { name })
}

fn curve(name: &str) -> CsrError {
    let name = name.to_owned();
    CsrError::PublicKey(PublicKeyError::Curve { name })
}

fn algorithm(name: &str) -> CsrError {
    let name = name.to_owned();
    CsrError::SignatureAlgorithm { name }
}

#[test]
fn every_allowed_pair_of_key_and_signature_gives_the_very_key_of_openssl() {
    for (key, more) in [
        (RSA, "-sha256"),
        (RSA, "-sha384"),
        (RSA, "-sha512"),
        (RSA, &format!("-sha256 {PSS}:digest")),
        (RSA, &format!("-sha384 {PSS}:48")),
        (RSA, &format!("-sha512 {PSS}:digest")),
        (P256, "-sha256"),
        (P256, "-sha384"),
        (P384, "-sha256"),
        (P384, "-sha384"),
    ] {
        let openssl = OpenSsl::new();
        let pem = openssl.csr(key, &format!("-subj / {more}"));
        let csr = Csr::from_pem(&pem).unwrap_or_else(|error| panic!("{key} {more}: {error}"));
        assert_eq!(csr.public_key().spki_der(), openssl.spki(), "{key} {more}");
    }
}

#[test]
fn whatever_else_a_csr_asks_for_has_no_effect() {
    for more in [
        "-subj / -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign",
        "-subj / -addext subjectAltName=URI:spiffe://cluster.local/ns/a/sa/admin,DNS:a.example,IP:10.0.0.1",
        "-subj / -addext 1.2.3.4=critical,ASN1:UTF8String:unknown -addext tlsfeature=status_request",
        "-subj / -addext nameConstraints=permitted;DNS:a.example -addext subjectKeyIdentifier=hash",
        "-subj /O=/CN=admin",
        "-subj /O=first/O=second+OU=third",
    ] {
        let openssl = OpenSsl::new();
        let pem = openssl.csr(P256, more);
        let csr = Csr::from_pem(&pem).unwrap_or_else(|error| panic!("{more}: {error}"));
        assert_eq!(csr.public_key().spki_der(), openssl.spki(), "{more}");
        assert_eq!(csr.public_key().kind(), KeyKind::P256);
    }
}

#[test]
fn keys_and_signatures_that_are_not_allowed_are_refused_by_name() {
    let rsa = |bits: u32| format!("-algorithm RSA -pkeyopt rsa_keygen_bits:{bits}");
    let ec = |curve: &str| format!("-algorithm EC -pkeyopt ec_paramgen_curve:{curve}");
    let size = |bits| CsrError::PublicKey(PublicKeyError::RsaSize { bits });
    for (key, more, expected) in [
        (RSA, "-sha1", algorithm("RSA with SHA-1")),
        (RSA, "-md5", algorithm("RSA with MD5")),
        (RSA, "-sha224", algorithm("RSA with SHA-224")),
        (P256, "-sha1", algorithm("ECDSA with SHA-1")),
        (P256, "-sha512", algorithm("ECDSA with SHA-512")),
        (
            RSA,
            &format!("-sha256 {PSS}:20"),
            algorithm("RSASSA-PSS with a salt of 20 bytes instead of 32"),
        ),
        (
            RSA,
            &format!("-sha1 {PSS}:20"),
            algorithm("RSASSA-PSS with SHA-1"),
        ),
        (
            RSA,
            &format!("-sha256 {PSS}:32 -sigopt rsa_mgf1_md:sha1"),
            algorithm("RSASSA-PSS with another hash in its mask function"),
        ),
        (&rsa(1024), "-sha256", size(1024)),
        (&rsa(2047), "-sha256", size(2047)),
        (&ec("P-521"), "-sha256", curve("P-521")),
        (&ec("secp256k1"), "-sha256", curve("secp256k1")),
        ("-algorithm ED25519", "", kind("Ed25519")),
        ("-algorithm ED448", "", kind("Ed448")),
        ("-algorithm RSA-PSS", "-sha256", kind("RSASSA-PSS")),
    ] {
        let pem = OpenSsl::new().csr(key, &format!("-subj / {more}"));
        assert_eq!(Csr::from_pem(&pem).err(), Some(expected), "{key} {more}");
    }
}

#[test]
fn what_is_not_one_pem_block_with_one_csr_is_refused_by_its_rule() {
    let pem = OpenSsl::new().csr(P256, "-subj /");
    let relabelled = pem.replace("CERTIFICATE REQUEST", "CERTIFICATE");
    let found = "CERTIFICATE".to_owned();
    let block = |der: &[u8]| pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", der.to_vec()));
    let mut longer = pem::parse(&pem).unwrap().into_contents();
    longer.push(0);
    for (text, expected) in [
        (String::new(), CsrError::NotPem),
        ("no PEM at all".to_owned(), CsrError::NotPem),
        (pem.replace("-----END", "-----ENT"), CsrError::NotPem),
        (pem.replacen("MI", "M%", 1), CsrError::NotPem),
        (format!("{pem}{pem}"), CsrError::SeveralBlocks { found: 2 }),
        (relabelled, CsrError::Label { found }),
        (block(b"junk"), CsrError::Malformed),
        (block(&longer), CsrError::Malformed),
        ("x".repeat(1 << 20), CsrError::TooLarge { len: 1 << 20 }),
    ] {
        assert_eq!(Csr::from_pem(&text).err(), Some(expected), "{text:.80}");
    }
}

#[test]
fn the_older_label_crlf_and_text_around_the_block_are_fine() {
    let pem = OpenSsl::new().csr(P256, "-subj / -text");
    for text in [
        pem.clone(),
        pem.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
        pem.replace('\n', "\r\n"),
        format!("\n{pem}\n\n"),
    ] {
        assert!(Csr::from_pem(&text).is_ok(), "{text}");
    }
}

/// Puts the signature and algorithm of one CSR under the content of another.
fn transplant(content: &str, signature: &str) -> String {
    let content = pem::parse(content).unwrap().into_contents();
    let (_, content) = X509CertificationRequest::from_der(&content).unwrap();
    let signature = pem::parse(signature).unwrap().into_contents();
    let (_, donor) = X509CertificationRequest::from_der(&signature).unwrap();
    let signed = donor.certification_request_info.raw;
    let mut windows = signature.windows(signed.len());
    let end = windows.position(|window| window == signed).unwrap() + signed.len();
    let der = yasna::construct_der(|writer| {
        writer.write_sequence(|fields| {
            let info = content.certification_request_info.raw;
            fields.next().write_der(info);
            fields.next().write_der(&signature[end..]);
        });
    });
    pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", der))
}

#[test]
fn a_key_that_did_not_sign_is_refused() {
    let [p256, other, rsa] = [P256, P256, RSA].map(|key| OpenSsl::new().csr(key, "-subj /"));
    assert!(Csr::from_pem(&transplant(&p256, &p256)).is_ok());
    let wrong = Csr::from_pem(&transplant(&p256, &other));
    assert_eq!(wrong.err(), Some(CsrError::Signature));
    let foreign = Csr::from_pem(&transplant(&p256, &rsa));
    let (key, signature) = (KeyKind::P256, "RSA");
    assert_eq!(
        foreign.err(),
        Some(CsrError::KeyAndSignature { key, signature })
    );
}

#[test]
fn a_damaged_csr_never_panics_and_never_brings_another_key() {
    for key in [P256, RSA] {
        let openssl = OpenSsl::new();
        let pem = openssl.csr(key, "-subj /O=x -addext subjectAltName=DNS:a.example");
        let good = pem::parse(&pem).unwrap().into_contents();
        let honest = openssl.spki();
        let (_, request) = X509CertificationRequest::from_der(&good).unwrap();
        let signed = request.certification_request_info.raw;
        let is_signed = |window: &[u8]| window == signed;
        let start = good.windows(signed.len()).position(is_signed).unwrap();
        let signed = start..start + signed.len();
        for index in 0..good.len() {
            for mask in [0x01, 0x20, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[index] ^= mask;
                if let Ok(csr) = Csr::from_der(&bad) {
                    // Only the encoding around the signed part has some play.
                    assert!(!signed.contains(&index), "{index} {mask}");
                    assert_eq!(csr.public_key().spki_der(), honest, "{index} {mask}");
                }
            }
            assert!(Csr::from_der(&good[..index]).is_err(), "{index}");
            assert!(Csr::from_der(&good[index + 1..]).is_err(), "{index}");
        }
    }
}
