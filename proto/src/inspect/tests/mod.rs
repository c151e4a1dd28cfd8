//! Files made with openssl and rcgen.

mod signers;

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
fn nine_integers_are_an_rsa_key_and_any_other_number_of_them_is_something_else() {
    // Two are a signature or a public key, six are a DSA key.
    for count in [1, 2, 6, 8, 9, 10] {
        let integers = [2, 1, 5].repeat(count);
        let length = u8::try_from(integers.len()).unwrap();
        let content = only(&[&[0x30, length], &integers[..]].concat()).content;
        let is_rsa = matches!(content, Content::PrivateKey(KeyKind::Rsa { bits: 3 }));
        assert_eq!(is_rsa, count == 9, "{count}: {content:?}");
        assert_eq!(matches!(content, Content::Unknown { .. }), count != 9);
    }
    let mut text_among_them = [2, 1, 5].repeat(9);
    text_among_them[24] = 12;
    let content = only(&[&[0x30, 27], &text_among_them[..]].concat()).content;
    assert!(
        matches!(content, Content::Unknown { len: 29 }),
        "{content:?}"
    );
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
fn der_is_read_block_by_block_and_what_is_behind_is_not_hidden() {
    let key = openssl("genpkey -algorithm ED25519 -outform DER");
    let public = openssl("ecparam -genkey -name prime256v1 -noout");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, public).unwrap();
    let public = openssl(&format!("pkey -in {} -pubout -outform DER", file.display()));
    let blocks = inspect(&[&key[..], &public, b"\n"].concat());
    let labels: Vec<&str> = blocks.iter().map(|block| block.label.as_str()).collect();
    assert_eq!(labels, ["PRIVATE KEY", "PUBLIC KEY", "DER"]);
    let Content::Broken { reason } = &blocks[2].content else {
        panic!("{blocks:?}");
    };
    assert_eq!(reason, "not DER, or too much of it: 1 bytes");
    let numbers: Vec<usize> = blocks.iter().map(|block| block.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn ten_megabytes_of_anything_are_read_in_a_moment() {
    let junk = [
        "-----BEGIN X-----\n",
        "-----",
        "-----BEGIN ",
        "\n",
        "-----END X-----\n",
        "0\0",
    ];
    for piece in junk {
        let file = piece.repeat(10_000_000 / piece.len());
        #[expect(clippy::disallowed_methods, reason = "measures the real time")]
        let started = std::time::SystemTime::now();
        assert!(inspect(file.as_bytes()).len() < file.len());
        let took = started.elapsed().unwrap();
        assert!(took.as_secs() < 30, "{piece:?}: {took:?}");
    }
}
