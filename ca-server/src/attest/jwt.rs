//! Is it a service account of a cluster we know? Bearer JWTs (RFC 7519) of the issuers of `--issuers`.
//!
//! Only asymmetric algorithms are looked at, so a public key can never pass for a shared secret.

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::Validation;
use jsonwebtoken::errors::ErrorKind;
use proto::spiffe::SpiffeId;
use proto::spiffe::TrustDomain;
use serde::Deserialize;
use serde::Deserializer;

use super::Caller;
use super::jwks::Family;
use super::jwks::JwksFile;
use super::jwks::Key;
use crate::ledger::Evidence;

/// Somebody whose tokens are believed.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The `iss` claim.
    pub name: String,
    /// Accepted values of the `aud` claim.
    pub audiences: Vec<String>,
    /// Its keys.
    pub keys: Arc<JwksFile>,
}

pub(super) fn attest(
    token: &str,
    issuers: &[Issuer],
    trust_domain: &TrustDomain,
    now: SystemTime,
) -> Result<Caller, JwtError> {
    let claims = verified_claims(token, issuers, now)?;
    let account = claims.sub.strip_prefix(SERVICE_ACCOUNT_PREFIX);
    let (namespace, name) = account
        .and_then(|account| account.split_once(':'))
        .ok_or_else(|| JwtError::NotAServiceAccount {
            sub: claims.sub.clone(),
        })?;
    let spiffe_id =
        SpiffeId::service_account(trust_domain, namespace, name).map_err(|_not_an_id| {
            JwtError::NotAServiceAccount {
                sub: claims.sub.clone(),
            }
        })?;
    let evidence = Evidence::Jwt {
        issuer: claims.iss,
        subject: claims.sub,
    };
    Ok(Caller {
        spiffe_id,
        evidence,
        shown: Vec::new(),
    })
}

/// Checks signature, issuer, audience and times; after it every claim is the issuer's word.
fn verified_claims(token: &str, issuers: &[Issuer], now: SystemTime) -> Result<Claims, JwtError> {
    if token.len() > MAX_LEN {
        return Err(JwtError::TooLong { len: token.len() });
    }
    let algorithm = allowed_algorithm(token)?;
    let unverified: ClaimedIssuer = payload(token)?;
    let issuer = issuers
        .iter()
        .find(|issuer| issuer.name == unverified.iss)
        .ok_or(JwtError::UnknownIssuer {
            issuer: unverified.iss,
        })?;
    let claims = check_signature(token, algorithm, issuer)?;
    let seconds = now
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs();
    if seconds > claims.exp.saturating_add(LEEWAY_SECONDS) {
        return Err(JwtError::Expired { exp: claims.exp });
    }
    match claims.nbf {
        Some(nbf) if seconds.saturating_add(LEEWAY_SECONDS) < nbf => {
            Err(JwtError::NotYetValid { nbf })
        }
        _ => Ok(claims),
    }
}

/// The header's `alg`, read before the library sees the token so that `none` and friends are refused by name.
fn allowed_algorithm(token: &str) -> Result<Algorithm, JwtError> {
    let header: Header = part(token, 0)?;
    // RFC 7515 section 4.1.11: what must be understood and is not makes the token invalid. We understand none.
    if header.crit.is_some() {
        return Err(JwtError::Critical);
    }
    match header.alg.parse::<Algorithm>() {
        Ok(
            algorithm @ (Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512
            | Algorithm::ES256
            | Algorithm::ES384),
        ) => Ok(algorithm),
        _ => Err(JwtError::Algorithm { alg: header.alg }),
    }
}

fn check_signature(token: &str, algorithm: Algorithm, issuer: &Issuer) -> Result<Claims, JwtError> {
    let header: Header = part(token, 0)?;
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[&issuer.name]);
    validation.set_audience(&issuer.audiences);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // The library would read the machine's clock; times are checked against `now` by the caller.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let mut last = JwtError::NoKey {
        kid: header.kid.clone(),
    };
    for key in issuer.keys.candidates(header.kid.as_deref()) {
        if !key_fits(&key, algorithm, &header.alg) {
            continue;
        }
        match jsonwebtoken::decode::<Claims>(token, &key.decoding, &validation) {
            Ok(decoded) => return Ok(decoded.claims),
            Err(error) => last = explain(&error),
        }
    }
    Err(last)
}

fn key_fits(key: &Key, algorithm: Algorithm, alg: &str) -> bool {
    let family = match algorithm {
        Algorithm::ES256 => Family::P256,
        Algorithm::ES384 => Family::P384,
        _ => Family::Rsa,
    };
    key.family == family && key.algorithm.as_deref().is_none_or(|bound| bound == alg)
}

fn explain(error: &jsonwebtoken::errors::Error) -> JwtError {
    match error.kind() {
        ErrorKind::InvalidSignature => JwtError::Signature,
        ErrorKind::InvalidAudience => JwtError::Audience,
        ErrorKind::MissingRequiredClaim(claim) => JwtError::MissingClaim {
            claim: claim.clone(),
        },
        _ => JwtError::Malformed,
    }
}

fn payload<T: for<'de> Deserialize<'de>>(token: &str) -> Result<T, JwtError> {
    part(token, 1)
}

fn part<T: for<'de> Deserialize<'de>>(token: &str, index: usize) -> Result<T, JwtError> {
    if token.split('.').count() != 3 {
        return Err(JwtError::Malformed);
    }
    let encoded = token.split('.').nth(index).ok_or(JwtError::Malformed)?;
    let bytes = URL_SAFE_NO_PAD
        .decode(encoded)
        .map_err(|_not_base64| JwtError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_not_json| JwtError::Malformed)
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<serde::de::IgnoredAny>,
}

/// A member that is there counts, also when it is null.
fn present<'de, D: Deserializer<'de>>(
    member: D,
) -> Result<Option<serde::de::IgnoredAny>, D::Error> {
    serde::de::IgnoredAny::deserialize(member).map(Some)
}

#[derive(Deserialize)]
struct ClaimedIssuer {
    iss: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    #[serde(deserialize_with = "seconds")]
    exp: u64,
    #[serde(default, deserialize_with = "maybe_seconds")]
    nbf: Option<u64>,
}

/// A `NumericDate` (RFC 7519 section 2), which may have a fraction: it is cut off.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumericDate {
    Whole(u64),
    Fraction(f64),
}

impl NumericDate {
    fn seconds<E: serde::de::Error>(self) -> Result<u64, E> {
        match self {
            Self::Whole(seconds) => Ok(seconds),
            Self::Fraction(seconds) => Duration::try_from_secs_f64(seconds)
                .map(|since_1970| since_1970.as_secs())
                .map_err(E::custom),
        }
    }
}

fn seconds<'de, D: Deserializer<'de>>(claim: D) -> Result<u64, D::Error> {
    NumericDate::deserialize(claim)?.seconds()
}

fn maybe_seconds<'de, D: Deserializer<'de>>(claim: D) -> Result<Option<u64>, D::Error> {
    Option::<NumericDate>::deserialize(claim)?
        .map(NumericDate::seconds)
        .transpose()
}

/// Why a JWT is not believed. Holds nothing of the token but names and times.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtError {
    /// The algorithm is not one that we accept.
    #[error("algorithm {alg:?} is not accepted; RS, PS and ES with SHA-2 are")]
    Algorithm {
        /// The header's `alg`.
        alg: String,
    },
    /// The token was made for somebody else.
    #[error("none of its audiences is accepted here")]
    Audience,
    /// Its header demands that something be understood which is not.
    #[error("its header has critical members, of which none is understood here")]
    Critical,
    /// It is past its end.
    #[error("expired at {exp} (Unix seconds)")]
    Expired {
        /// The `exp` claim.
        exp: u64,
    },
    /// It is not a JWT.
    #[error("malformed")]
    Malformed,
    /// A claim that we need is not there.
    #[error("claim {claim} is missing")]
    MissingClaim {
        /// Its name.
        claim: String,
    },
    /// The issuer has no key that could have signed it.
    #[error("its issuer has no fitting key{}", kid.as_ref().map(|kid| format!(" named {kid:?}")).unwrap_or_default())]
    NoKey {
        /// The header's `kid`.
        kid: Option<String>,
    },
    /// The subject is not a Kubernetes service account whose name fits into a SPIFFE ID.
    #[error("subject {sub:?} is not system:serviceaccount:NAMESPACE:NAME")]
    NotAServiceAccount {
        /// The `sub` claim.
        sub: String,
    },
    /// It is before its start.
    #[error("not valid before {nbf} (Unix seconds)")]
    NotYetValid {
        /// The `nbf` claim.
        nbf: u64,
    },
    /// The signature is not by a key of the issuer.
    #[error("its signature does not verify")]
    Signature,
    /// It is longer than any token we would accept.
    #[error("{len} bytes where at most {MAX_LEN} are accepted")]
    TooLong {
        /// Bytes seen.
        len: usize,
    },
    /// Nobody we believe issued it.
    #[error("issuer {issuer:?} is not in the --issuers file")]
    UnknownIssuer {
        /// The `iss` claim.
        issuer: String,
    },
}

const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";
const MAX_LEN: usize = 16 * 1024;
/// How far the clocks of issuer and authority may be apart.
const LEEWAY_SECONDS: u64 = 30;
