//! Does this signer work? A leaf is signed that names nobody, verified and thrown away.
//!
//! The leaf is over before it is made and its key is nowhere: it could not be used if it leaked.

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::certificate::CertificateError;
use proto::chain;
use proto::chain::ChainError;
use proto::chain::Profile;
use ring::rand::SystemRandom;
use ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use ring::signature::EcdsaKeyPair;
use ring::signature::KeyPair;

use super::Generation;
use super::algorithm;
use super::algorithm::Signature;
use super::generation::SignError;
use crate::x509::Entropy;
use crate::x509::EntropyError;
use crate::x509::LeafName;
use crate::x509::LeafTemplate;
use crate::x509::PublicKey;
use crate::x509::Serial;
use crate::x509::Validity;
use crate::x509::public_key::PublicKeyError;

/// Signs a leaf with `generation` and verifies it against its root, as of two seconds before `now`
/// or, where the chain is over or has just begun, as of its last or first second. So it finds a
/// signer that does not work, not one that has expired: ask [`Generation::window`] for that.
///
/// Where rustls is known to refuse the chain, only the leaf's signature is verified.
///
/// # Errors
/// What does not work.
pub fn sign_and_verify(
    generation: &Generation,
    now: SystemTime,
    entropy: &dyn Entropy,
) -> Result<(), TrialError> {
    let root = std::slice::from_ref(generation.root());
    sign_and_verify_against(generation, root, now, entropy)
}

/// As [`sign_and_verify`], by who trusts `roots` and nothing else.
///
/// # Errors
/// What does not work.
pub fn sign_and_verify_against(
    generation: &Generation,
    roots: &[Certificate],
    now: SystemTime,
    entropy: &dyn Entropy,
) -> Result<(), TrialError> {
    let window = generation.window().ok_or(TrialError::NoWindow)?;
    let past = now - Duration::from_secs(2);
    let at = past.min(window.not_after()).max(window.not_before());
    let template = LeafTemplate {
        serial: Serial::draw(at, entropy)?,
        name: &LeafName::Trial,
        validity: Validity::new(at, at).ok_or(TrialError::NoWindow)?,
        public_key: &throw_away_key()?,
    };
    let leaf = generation.sign(&template)?;
    let leaf = Certificate::from_der(leaf.der())?;
    if algorithm::check_signature(&leaf, generation.issuer()) != Signature::Good {
        return Err(TrialError::Signature);
    }
    if generation.rustls_refuses().is_some() {
        return Ok(());
    }
    let path = [&[leaf], generation.chain()].concat();
    chain::verify(
        &path,
        roots,
        None,
        Profile::Pkix,
        template.validity.not_before(),
    )?;
    Ok(())
}

/// Why a signer does not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// There is no randomness for the serial.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// No key for the leaf could be made.
    #[error("no key could be made for a leaf on trial")]
    Key,
    /// There is no time at which the whole chain is valid.
    #[error("there is no time at which all certificates of the chain are valid")]
    NoWindow,
    /// The key of the leaf is not accepted.
    #[error(transparent)]
    PublicKey(#[from] PublicKeyError),
    /// The leaf does not verify.
    #[error(transparent)]
    Refused(#[from] ChainError),
    /// The signature is not by the key in the issuer's certificate.
    #[error("the signature of the leaf is not by the issuer's key")]
    Signature,
    /// The leaf was not signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// What was signed is not a certificate.
    #[error(transparent)]
    Unreadable(#[from] CertificateError),
}

/// A public key whose private key is forgotten at once.
pub(super) fn throw_away_key() -> Result<PublicKey, TrialError> {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let pkcs8 =
        EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_unspecified| TrialError::Key)?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random)
        .map_err(|_rejected| TrialError::Key)?;
    Ok(PublicKey::from_p256_point(pair.public_key().as_ref())?)
}
