//! Did this key sign this certificate? One signature by itself, with webpki's algorithms.

use rustls::pki_types::SignatureVerificationAlgorithm;
use x509_parser::der_parser::asn1_rs::Any;
use x509_parser::prelude::FromDer;

use crate::certificate::Certificate;

/// How a certificate's signature and a key go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// The key made the signature.
    Signed,
    /// The algorithm is not accepted at all, or not for such a key.
    Unsupported,
    /// Another key made it, or the certificate was changed.
    WrongKey,
}

/// Whether the key in `issuer` made the signature of `certificate`. Names are not looked at.
pub(super) fn link(certificate: &Certificate, issuer: &Certificate) -> Link {
    let Some(signed) = parts(certificate.der()) else {
        return Link::Unsupported;
    };
    let Some((key_algorithm, key)) = key_parts(&issuer.facts().spki_der) else {
        return Link::Unsupported;
    };
    if key_algorithm == RSA && key.len() < SHORTEST_RSA {
        return Link::Unsupported;
    }
    let mut result = Link::Unsupported;
    for algorithm in algorithms() {
        let is_it = algorithm.signature_alg_id().as_ref() == signed.algorithm
            && algorithm.public_key_alg_id().as_ref() == key_algorithm;
        if is_it {
            match algorithm.verify_signature(key, signed.tbs, signed.signature) {
                Ok(()) => return Link::Signed,
                Err(_invalid) => result = Link::WrongKey,
            }
        }
    }
    result
}

/// All that ring has: see [`super::verify`].
pub(super) fn algorithms() -> &'static [&'static dyn SignatureVerificationAlgorithm] {
    webpki::ALL_VERIFICATION_ALGS
}

/// The three fields of a certificate (RFC 5280 section 4.1).
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
