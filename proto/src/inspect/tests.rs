//! Files made with openssl and rcgen.

use super::*;

/// What openssl writes to standard output.
fn openssl(arguments: &str) -> Vec<u8> {
    let output = std::process::Command::new("openssl")
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    assert!(output.status.success(), "openssl {arguments}");
    output.stdout
}

fn only(bytes: &[u8]) -> Block {
    let mut blocks = inspect(bytes);
    assert_eq!(blocks.len(), 1, "{blocks:?}");
    blocks.remove(0)
}

#[test]
fn private_keys_are_known_by_their_kind_in_every_form() {
    let ec = |name: &str| KeyKind::Ec {
        curve: name.to_owned(),
    };
    let rsa = KeyKind::Rsa { bits: 2048 };
    let table = [
        ("genrsa -traditional 2048", rsa.clone()),
        (
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048",
            rsa.clone(),
        ),
        (
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -outform DER",
            rsa,
        ),
        (
            "genrsa -traditional -aes128 -passout pass:secret 2048",
            KeyKind::Encrypted,
        ),
        (
            "genpkey -algorithm ED25519 -aes128 -pass pass:secret",
            KeyKind::Encrypted,
        ),
        ("ecparam -genkey -noout -name prime256v1", ec("P-256")),
        (
            "ecparam -genkey -noout -name secp384r1 -outform DER",
            ec("P-384"),
        ),
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521",
            ec("P-521"),
        ),
        ("genpkey -algorithm ED25519", KeyKind::Ed25519),
        ("genpkey -algorithm ED25519 -outform DER", KeyKind::Ed25519),
        (
            "genpkey -algorithm X25519",
            KeyKind::Other {
                algorithm: "1.3.101.110".to_owned(),
            },
        ),
    ];
    for (arguments, kind) in table {
        let file = openssl(arguments);
        let Content::PrivateKey(found) = only(&file).content else {
            panic!("{arguments}");
        };
        assert_eq!(found, kind, "{arguments}");
    }
}

#[test]
fn each_block_has_its_place_and_a_broken_one_does_not_hide_the_next() {
    let key = String::from_utf8(openssl("genpkey -algorithm ED25519")).unwrap();
    let cut = key.split("-----END").next().unwrap();
    let odd = "-----BEGIN COFFEE-----\nAAEC\n-----END COFFEE-----";
    let bad = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let file =
        format!("a note\n{cut}{odd}\r\n\r\n{key}{bad}-----BEGIN X\n-----BEGIN X509 CRL-----");
    let blocks = inspect(file.as_bytes());
    let places: Vec<_> = blocks
        .iter()
        .map(|block| (block.number, block.line))
        .collect();
    let lines = [2, 4, 8, 11, 15].map(Some);
    let numbers = 1..=5;
    assert_eq!(places, numbers.zip(lines).collect::<Vec<_>>(), "{blocks:?}");
    assert!(matches!(blocks[0].content, Content::Broken { .. }));
    assert!(matches!(blocks[1].content, Content::Unknown { len: 3 }));
    assert!(matches!(
        blocks[2].content,
        Content::PrivateKey(KeyKind::Ed25519)
    ));
    assert!(matches!(blocks[3].content, Content::Broken { .. }));
    assert!(matches!(blocks[4].content, Content::Broken { .. }));
}

#[test]
fn what_is_neither_pem_nor_der_has_no_blocks() {
    for nothing in [
        &b""[..],
        b"hello",
        b"\x30\x82\xff\xff",
        b"\x00\x01",
        b"-----BEGIN \n",
    ] {
        assert!(inspect(nothing).is_empty(), "{nothing:?}");
    }
    let sequence = only(&[0x30, 3, 2, 1, 5]);
    assert!(matches!(sequence.content, Content::Unknown { len: 5 }));
}

#[test]
fn requests_and_lists_say_what_they_hold() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (key, cert, conf) = (path("key"), path("cert"), path("conf"));
    let request = openssl(&format!(
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {key} -subj /CN=cart -addext subjectAltName=URI:spiffe://td/a,DNS:b"
    ));
    let Content::Request(request) = only(&request).content else {
        panic!();
    };
    assert_eq!(request.subject, "CN=cart");
    assert_eq!(request.names, ["spiffe://td/a", "b"]);
    openssl(&format!("req -x509 -key {key} -out {cert} -subj /CN=ca"));
    std::fs::write(path("index"), "").unwrap();
    let section = format!("[ca]\ndefault_ca=c\n[c]\ndatabase={}\n", path("index"));
    std::fs::write(&conf, section).unwrap();
    let list = openssl(&format!(
        "ca -gencrl -config {conf} -md sha256 -crldays 2 -keyfile {key} -cert {cert}"
    ));
    let Content::Revocations(list) = only(&list).content else {
        panic!();
    };
    assert_eq!((list.issuer.as_str(), list.revoked), ("CN=ca", 0));
    let span = list.next_update.unwrap().duration_since(list.this_update);
    assert_eq!(span.unwrap().as_secs(), 2 * 86_400);
}

#[test]
fn the_signer_of_a_certificate_is_found_by_its_key_not_its_name() {
    let root = |name: &str| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        (made.pem(), rcgen::Issuer::new(params, key))
    };
    let ((namesake, _), (own, issuer)) = (root("ca"), root("ca"));
    let leaf = rcgen::CertificateParams::default();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap().pem();
    let signers = |file: &str| -> Vec<Signer> {
        let blocks = inspect(file.as_bytes()).into_iter();
        let signers = blocks.map(|block| match block.content {
            Content::Certificate(signed) => signed.signer,
            other => panic!("{other:?}"),
        });
        signers.collect()
    };
    let of_three = signers(&format!("{leaf}{namesake}{own}"));
    assert_eq!(
        of_three,
        [Signer::Block { number: 3 }, Signer::Itself, Signer::Itself]
    );
    assert_eq!(signers(&format!("{leaf}{namesake}"))[0], Signer::NotHere);
}

#[test]
fn ten_megabytes_of_anything_are_read_in_a_moment() {
    let junk = [
        "-----BEGIN X-----\n",
        "-----",
        "-----BEGIN ",
        "\n",
        "-----END X-----\n",
    ];
    for piece in junk {
        let file = piece.repeat(10_000_000 / piece.len());
        #[expect(clippy::disallowed_methods, reason = "measures the real time")]
        let started = std::time::SystemTime::now();
        assert!(inspect(file.as_bytes()).len() < file.len());
        let took = started.elapsed().unwrap();
        assert!(took.as_secs() < 10, "{piece:?}: {took:?}");
    }
}
