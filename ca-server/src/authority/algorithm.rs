//! Which keys and signatures are strong enough, and does this signature verify?
//!
//! What verifiers built on rustls accept counts as good; what is only known to be weak gets its name here.

use proto::certificate::Certificate;
use proto::chain;
use ring::signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY;
use ring::signature::UnparsedPublicKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// What became of checking one certificate's signature with an issuer's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    /// Made with that key.
    Good,
    /// Made with that key as far as can be told, but with an algorithm or a key that is too weak to tell.
    Weak,
    /// Not made with that key.
    Bad,
    /// Made with an algorithm that cannot be checked here.
    Unknown,
}

/// Checks the signature of `certificate` with the public key of `issuer`.
pub(super) fn check_signature(certificate: &Certificate, issuer: &Certificate) -> Signature {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate.der()) else {
        return Signature::Unknown;
    };
    let Ok((_, spki)) = SubjectPublicKeyInfo::from_der(&issuer.facts().spki_der) else {
        return Signature::Unknown;
    };
    let message = parsed.tbs_certificate.as_ref();
    let signature = parsed.signature_value.data.as_ref();
    let key = spki.subject_public_key.data.as_ref();
    if let Some(name) = weak_name(&certificate.facts().signature_algorithm) {
        return check_weak(name, key, message, signature);
    }
    if is_weak_key(&issuer.facts().spki_der) {
        return Signature::Weak;
    }
    match chain::signature(certificate.der(), &issuer.facts().spki_der) {
        chain::Signature::Good => Signature::Good,
        chain::Signature::Bad => Signature::Bad,
        chain::Signature::Unsupported => Signature::Unknown,
    }
}

/// Kind and size of a key, such as `RSA-2048` or `P-256`, for people to read.
pub(super) fn key_name(spki_der: &[u8]) -> String {
    let Ok((_, spki)) = SubjectPublicKeyInfo::from_der(spki_der) else {
        return "unreadable".to_owned();
    };
    let algorithm = spki.algorithm.algorithm.to_id_string();
    let parameters = spki.algorithm.parameters.as_ref();
    let curve = parameters.and_then(|any| any.as_oid().ok());
    match (algorithm.as_str(), spki.parsed()) {
        (_, Ok(PublicKey::RSA(key))) => format!("RSA-{}", key.key_size()),
        ("1.2.840.10045.2.1", _) => curve_name(curve.map(|oid| oid.to_id_string()).as_deref()),
        ("1.3.101.112", _) => "Ed25519".to_owned(),
        ("1.3.101.113", _) => "Ed448".to_owned(),
        ("1.2.840.10040.4.1", _) => "DSA".to_owned(),
        (other, _) => format!("algorithm {other}"),
    }
}

/// Whether a key is too weak for any certificate of a chain.
pub(super) fn is_weak_key(spki_der: &[u8]) -> bool {
    let name = key_name(spki_der);
    match name.strip_prefix("RSA-").map(str::parse::<usize>) {
        Some(Ok(bits)) => bits < 2048,
        _ => ["P-192", "P-224", "DSA"].contains(&name.as_str()),
    }
}

fn curve_name(oid: Option<&str>) -> String {
    match oid {
        Some("1.2.840.10045.3.1.7") => "P-256".to_owned(),
        Some("1.3.132.0.34") => "P-384".to_owned(),
        Some("1.3.132.0.35") => "P-521".to_owned(),
        Some("1.2.840.10045.3.1.1") => "P-192".to_owned(),
        Some("1.3.132.0.33") => "P-224".to_owned(),
        Some(other) => format!("EC (curve {other})"),
        None => "EC (curve not named)".to_owned(),
    }
}

/// What people call the hash of a signature algorithm that is broken.
pub(super) fn weak_name(signature_algorithm: &str) -> Option<&'static str> {
    match signature_algorithm {
        "1.2.840.113549.1.1.2" => Some("MD2"),
        "1.2.840.113549.1.1.4" => Some("MD5"),
        "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" | "1.2.840.10040.4.3" => Some("SHA-1"),
        _ => None,
    }
}

/// Only RSA with SHA-1 can still be checked; the rest is believed, because it is refused anyway.
fn check_weak(name: &str, key: &[u8], message: &[u8], signature: &[u8]) -> Signature {
    let sha1 = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, key);
    let is_rsa = is_rsa_key(key);
    match name == "SHA-1" && is_rsa && sha1.verify(message, signature).is_err() {
        true => Signature::Bad,
        false => Signature::Weak,
    }
}

fn is_rsa_key(key: &[u8]) -> bool {
    // The DER of an RSAPublicKey is a SEQUENCE; a point starts with 02, 03 or 04.
    key.first() == Some(&0x30)
}
