//! Did this key make this signature? One signature by itself, with webpki's algorithms.

use rustls::pki_types::SignatureVerificationAlgorithm;
use x509_parser::der_parser::asn1_rs::Any;
use x509_parser::prelude::FromDer;

use crate::certificate::Certificate;

/// How a signature and a key go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// The key made the signature.
    Good,
    /// Another key made it, or what it covers was changed.
    Bad,
    /// The algorithm is not accepted at all, or not for such a key.
    Unsupported,
}

/// Whether the key in `issuer` made the signature of `certificate`. Names are not looked at.
pub(super) fn link(certificate: &Certificate, issuer: &Certificate) -> Signature {
    signature(certificate.der(), &issuer.facts().spki_der)
}

/// Whether the key in `spki_der` (a `SubjectPublicKeyInfo`) made the signature of `signed_der`: a certificate, a
/// certificate request or a revocation list, which share one form (RFC 5280 section 4.1.1). Nothing else is judged.
#[must_use]
pub fn signature(signed_der: &[u8], spki_der: &[u8]) -> Signature {
    let Some(signed) = parts(signed_der) else {
        return Signature::Unsupported;
    };
    let Some((key_algorithm, key)) = key_parts(spki_der) else {
        return Signature::Unsupported;
    };
    if are_of_two_kinds(signed.algorithm, key_algorithm) {
        return Signature::Bad;
    }
    if key_algorithm == RSA && key.len() < SHORTEST_RSA {
        return Signature::Unsupported;
    }
    let mut known = algorithms().iter();
    let pair = known.find(|known| {
        known.signature_alg_id().as_ref() == signed.algorithm
            && known.public_key_alg_id().as_ref() == key_algorithm
    });
    match pair.map(|pair| pair.verify_signature(key, signed.tbs, signed.signature)) {
        None => Signature::Unsupported,
        Some(Ok(())) => Signature::Good,
        Some(Err(_invalid)) => Signature::Bad,
    }
}

/// Whether no key like that makes signatures like that: RSA and ECDSA, for instance.
fn are_of_two_kinds(signature_algorithm: &[u8], key_algorithm: &[u8]) -> bool {
    let kind = |algorithm: &[u8]| {
        let (_, oid) = Any::from_der(algorithm).ok()?;
        KINDS.iter().position(|arc| oid.data.starts_with(arc))
    };
    match (kind(signature_algorithm), kind(key_algorithm)) {
        (Some(made_by), Some(key)) => made_by != key,
        _ => false,
    }
}

/// All that ring has: see [`super::verify`].
pub(super) fn algorithms() -> &'static [&'static dyn SignatureVerificationAlgorithm] {
    webpki::ALL_VERIFICATION_ALGS
}

/// The three fields of whatever is signed (RFC 5280 section 4.1).
struct Signed<'a> {
    /// The whole DER of the first.
    tbs: &'a [u8],
    /// The content of the second.
    algorithm: &'a [u8],
    /// The bits of the third.
    signature: &'a [u8],
}

fn parts(der: &[u8]) -> Option<Signed<'_>> {
    let (_, certificate) = Any::from_der(der).ok()?;
    let (rest, _) = Any::from_der(certificate.data).ok()?;
    let tbs = certificate
        .data
        .get(..certificate.data.len() - rest.len())?;
    let (rest, algorithm) = Any::from_der(rest).ok()?;
    Some(Signed {
        tbs,
        algorithm: algorithm.data,
        signature: bits(rest)?,
    })
}

/// The content of the `AlgorithmIdentifier` and the bits of the key.
fn key_parts(spki_der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, spki) = Any::from_der(spki_der).ok()?;
    let (rest, algorithm) = Any::from_der(spki.data).ok()?;
    Some((algorithm.data, bits(rest)?))
}

/// The content of a BIT STRING of whole octets.
fn bits(der: &[u8]) -> Option<&[u8]> {
    let (_, any) = Any::from_der(der).ok()?;
    any.data.strip_prefix(&[0])
}

/// Content of the `AlgorithmIdentifier` of RSA keys (RFC 3279 section 2.3.1).
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
/// Octets of a modulus of 2048 bits; ring calls signatures of shorter keys wrong.
const SHORTEST_RSA: usize = 256;
/// Arcs of the object identifiers of RSA, elliptic curves and Ed25519, for keys and signatures alike (RFC 8017 appendix
/// C, RFC 5480 section 2.1, RFC 8410 section 3).
const KINDS: &[&[u8]] = &[
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d],
    &[0x2b, 0x65, 0x70],
];
