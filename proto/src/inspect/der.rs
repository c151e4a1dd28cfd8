//! What is this DER? By the label that stands over it, or by its shape where none does.

use super::Block;
use super::Content;
use super::KeyKind;
use super::Request;
use super::Revocations;
use super::Signed;
use super::Signer;
use super::key;
use crate::certificate::Certificate;

/// What `der` under a PEM label is.
pub(super) fn labelled(label: &str, der: &[u8]) -> Content {
    let broken = |expected: &str| Content::Broken {
        reason: format!("not {expected}"),
    };
    let private = |kind: Option<KeyKind>| {
        kind.map_or_else(|| broken("a private key of that form"), Content::PrivateKey)
    };
    match label {
        "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => certificate(der),
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
            Request::read(der).map_or_else(|| broken("a certificate request"), Content::Request)
        }
        "X509 CRL" => Revocations::read(der).map_or_else(
            || broken("a certificate revocation list"),
            Content::Revocations,
        ),
        "PRIVATE KEY" => private(key::pkcs8(der)),
        "RSA PRIVATE KEY" => private(key::pkcs1(der)),
        "EC PRIVATE KEY" => private(key::sec1(der)),
        "ENCRYPTED PRIVATE KEY" => Content::PrivateKey(KeyKind::Encrypted),
        "OPENSSH PRIVATE KEY" => Content::PrivateKey(KeyKind::OpenSsh),
        "PUBLIC KEY" => key::public(der).map_or_else(|| broken("a public key"), Content::PublicKey),
        "EC PARAMETERS" => {
            Content::Known("parameters of an elliptic curve; the key is another block")
        }
        "DH PARAMETERS" => Content::Known("Diffie-Hellman parameters"),
        "PKCS7" | "CMS" => {
            Content::Known("a PKCS#7 container; `openssl pkcs7 -print_certs` unpacks it")
        }
        _ => Content::Unknown { len: der.len() },
    }
}

/// The blocks of a DER file: one after the other, and what stands behind the last.
pub(super) fn blocks(bytes: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut rest = bytes;
    while blocks.len() < MAX_BLOCKS
        && let Some((der, after)) = key::first_sequence(rest)
    {
        let (label, content) = by_shape(der);
        blocks.push(block(blocks.len() + 1, label, content));
        rest = after;
    }
    if !blocks.is_empty() && !rest.is_empty() {
        let reason = format!("not DER, or too much of it: {} bytes", rest.len());
        let number = blocks.len() + 1;
        blocks.push(block(number, "DER", Content::Broken { reason }));
    }
    blocks
}

/// What the SEQUENCE `der` is, and the label that PEM would give it.
fn by_shape(der: &[u8]) -> (&'static str, Content) {
    let shapes = [
        "CERTIFICATE",
        "CERTIFICATE REQUEST",
        "X509 CRL",
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "PUBLIC KEY",
    ];
    let mut contents = shapes.iter().map(|label| (*label, labelled(label, der)));
    let known = contents.find(|(_, content)| !matches!(content, Content::Broken { .. }));
    known.unwrap_or(("DER", Content::Unknown { len: der.len() }))
}

/// Whether a PEM block's headers say that its key is encrypted (RFC 1421 section 4.6.1.1).
pub(super) fn is_encrypted(block: &[u8]) -> bool {
    let head = block
        .get(..block.len().min(LONGEST_HEAD))
        .unwrap_or_default();
    head.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED)
}

fn certificate(der: &[u8]) -> Content {
    match Certificate::from_der(der) {
        Ok(certificate) => signed(certificate),
        Err(error) => Content::Broken {
            reason: error.to_string(),
        },
    }
}

fn signed(certificate: Certificate) -> Content {
    let key = key::public(&certificate.facts().spki_der).unwrap_or(KeyKind::Unknown);
    Content::Certificate(Box::new(Signed {
        certificate,
        key,
        signer: Signer::NotHere,
    }))
}

fn block(number: usize, label: &str, content: Content) -> Block {
    Block {
        number,
        line: None,
        label: label.to_owned(),
        content,
    }
}

/// More than certificates of any use fit into the files that are read.
const MAX_BLOCKS: usize = 20_000;
const ENCRYPTED: &[u8] = b"\nProc-Type: 4,ENCRYPTED";
/// The header stands in the first lines.
const LONGEST_HEAD: usize = 256;
