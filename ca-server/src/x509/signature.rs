//! Which signatures under a CSR count? An allow-list, checked with ring.
//!
//! x509-parser's own check takes SHA-1, so it is not used.

use ring::signature::UnparsedPublicKey;
use ring::signature::VerificationAlgorithm;
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::oid_registry::Oid;
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::AlgorithmIdentifier;

use super::csr::CsrError;
use super::public_key::KeyKind;
use super::public_key::PublicKey;

/// Checks that `signature` over `message` was made with `key` and an allowed algorithm.
///
/// # Errors
/// Names the algorithm that is not allowed or not the key's, or says that the signature is wrong.
pub(super) fn verify(
    key: &PublicKey,
    algorithm: &AlgorithmIdentifier<'_>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), CsrError> {
    let scheme = Scheme::read(algorithm)?;
    let verifier = scheme
        .verifier(key.kind())
        .ok_or_else(|| CsrError::KeyAndSignature {
            key: key.kind(),
            signature: scheme.name(),
        })?;
    UnparsedPublicKey::new(verifier, key.bits())
        .verify(message, signature)
        .map_err(|_unspecified| CsrError::Signature)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Pkcs1(Hash),
    Pss(Hash),
    Ecdsa(Hash),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Scheme {
    fn read(algorithm: &AlgorithmIdentifier<'_>) -> Result<Self, CsrError> {
        let scheme = match algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.10" => return read_pss(algorithm),
            "1.2.840.113549.1.1.11" => Self::Pkcs1(Hash::Sha256),
            "1.2.840.113549.1.1.12" => Self::Pkcs1(Hash::Sha384),
            "1.2.840.113549.1.1.13" => Self::Pkcs1(Hash::Sha512),
            "1.2.840.10045.4.3.2" => Self::Ecdsa(Hash::Sha256),
            "1.2.840.10045.4.3.3" => Self::Ecdsa(Hash::Sha384),
            other => return Err(refused(signature_name(other))),
        };
        // RFC 4055 section 5 and RFC 5758 section 3.2: NULL for RSA (absent is seen too), none for ECDSA.
        match &algorithm.parameters {
            None => Ok(scheme),
            Some(any)
                if any.tag() == Tag::Null && any.data.is_empty() && scheme.name() == "RSA" =>
            {
                Ok(scheme)
            }
            Some(_) => Err(CsrError::Malformed),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Pkcs1(_) | Self::Pss(_) => "RSA",
            Self::Ecdsa(_) => "ECDSA",
        }
    }

    /// ring's algorithm for this scheme and a key of `kind`, if the two belong together.
    fn verifier(self, kind: KeyKind) -> Option<&'static dyn VerificationAlgorithm> {
        use ring::signature as ring;
        Some(match (kind, self) {
            (KeyKind::Rsa { .. }, Self::Pkcs1(Hash::Sha256)) => &ring::RSA_PKCS1_2048_8192_SHA256,
            (KeyKind::Rsa { .. }, Self::Pkcs1(Hash::Sha384)) => &ring::RSA_PKCS1_2048_8192_SHA384,
            (KeyKind::Rsa { .. }, Self::Pkcs1(Hash::Sha512)) => &ring::RSA_PKCS1_2048_8192_SHA512,
            (KeyKind::Rsa { .. }, Self::Pss(Hash::Sha256)) => &ring::RSA_PSS_2048_8192_SHA256,
            (KeyKind::Rsa { .. }, Self::Pss(Hash::Sha384)) => &ring::RSA_PSS_2048_8192_SHA384,
            (KeyKind::Rsa { .. }, Self::Pss(Hash::Sha512)) => &ring::RSA_PSS_2048_8192_SHA512,
            (KeyKind::P256, Self::Ecdsa(Hash::Sha256)) => &ring::ECDSA_P256_SHA256_ASN1,
            (KeyKind::P256, Self::Ecdsa(Hash::Sha384)) => &ring::ECDSA_P256_SHA384_ASN1,
            (KeyKind::P384, Self::Ecdsa(Hash::Sha256)) => &ring::ECDSA_P384_SHA256_ASN1,
            (KeyKind::P384, Self::Ecdsa(Hash::Sha384)) => &ring::ECDSA_P384_SHA384_ASN1,
            _ => return None,
        })
    }
}

/// RSASSA-PSS as RFC 8017 section 9.1 recommends it and TLS 1.3 demands it: one hash for all, a salt as long as it.
fn read_pss(algorithm: &AlgorithmIdentifier<'_>) -> Result<Scheme, CsrError> {
    // Absent parameters mean SHA-1 (RFC 8017 appendix A.2.3).
    let parameters = algorithm
        .parameters
        .as_ref()
        .ok_or_else(|| refused("RSASSA-PSS with SHA-1"))?;
    let parameters = RsaSsaPssParams::try_from(parameters)
        .map_err(|_parser_words| refused("RSASSA-PSS with unreadable parameters"))?;
    let (hash, salt) = match hash_name(parameters.hash_algorithm_oid()).as_str() {
        "SHA-256" => (Hash::Sha256, 32),
        "SHA-384" => (Hash::Sha384, 48),
        "SHA-512" => (Hash::Sha512, 64),
        other => return Err(refused(&format!("RSASSA-PSS with {other}"))),
    };
    let mask = parameters
        .mask_gen_algorithm()
        .map_err(|_parser_words| refused("RSASSA-PSS with an unreadable mask function"))?;
    if mask.mgf.to_id_string() != "1.2.840.113549.1.1.8"
        || &mask.hash != parameters.hash_algorithm_oid()
    {
        return Err(refused("RSASSA-PSS with another hash in its mask function"));
    }
    if parameters.salt_length() != salt || parameters.trailer_field() != 1 {
        return Err(refused(&format!(
            "RSASSA-PSS with a salt of {} bytes instead of {salt}",
            parameters.salt_length()
        )));
    }
    Ok(Scheme::Pss(hash))
}

fn refused(name: &str) -> CsrError {
    CsrError::SignatureAlgorithm {
        name: name.to_owned(),
    }
}

fn hash_name(oid: &Oid<'_>) -> String {
    let oid = oid.to_id_string();
    let name = match oid.as_str() {
        "1.3.14.3.2.26" => "SHA-1",
        "2.16.840.1.101.3.4.2.1" => "SHA-256",
        "2.16.840.1.101.3.4.2.2" => "SHA-384",
        "2.16.840.1.101.3.4.2.3" => "SHA-512",
        "2.16.840.1.101.3.4.2.4" => "SHA-224",
        _ => return oid,
    };
    name.to_owned()
}

fn signature_name(oid: &str) -> &str {
    match oid {
        "1.2.840.113549.1.1.2" => "RSA with MD2",
        "1.2.840.113549.1.1.4" => "RSA with MD5",
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => "RSA with SHA-1",
        "1.2.840.113549.1.1.14" => "RSA with SHA-224",
        "1.2.840.10045.4.1" => "ECDSA with SHA-1",
        "1.2.840.10045.4.3.1" => "ECDSA with SHA-224",
        "1.2.840.10045.4.3.4" => "ECDSA with SHA-512",
        "1.2.840.10040.4.3" => "DSA with SHA-1",
        "2.16.840.1.101.3.4.3.2" => "DSA with SHA-256",
        "1.3.101.112" => "Ed25519",
        "1.3.101.113" => "Ed448",
        other => other,
    }
}
