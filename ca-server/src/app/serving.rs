//! Who is the listener? Its own leaf: from the ledger like any other, renewed by time, without a restart.

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use ring::rand::SystemRandom;
use ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use ring::signature::EcdsaKeyPair;
use ring::signature::KeyPair as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;
use tracing::info;
use tracing::warn;

use crate::api::tls::ServingCertificate;
use crate::clock::Clock;
use crate::issuance::Issuance;
use crate::issuance::IssueError;
use crate::telemetry::metrics::Held;
use crate::x509::LeafName;
use crate::x509::PublicKey;
use crate::x509::Validity;

/// Keeps the listener's leaf fresh.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) name: LeafName,
    pub(super) issuance: Arc<Issuance>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) certificate: Arc<ServingCertificate>,
    pub(super) held: Arc<arc_swap::ArcSwapOption<Presented>>,
}

/// The leaf that the listener presents now.
#[derive(Clone, Debug)]
pub(super) struct Presented {
    pub(super) validity: Validity,
    pub(super) issued_at: SystemTime,
    pub(super) issuer: Fingerprint,
    pub(super) held: Held,
}

impl Serving {
    /// Issues a new leaf for a new key and presents it.
    pub(super) async fn renew(&self) -> Result<(), ServingError> {
        let now = self.clock.now();
        let (key, public_key) = new_key()?;
        let issued = self
            .issuance
            .issue_serving(self.name.clone(), &public_key, "serving", now)
            .await?;
        let generation = &issued.generation;
        let chain = generation.presented_chain(&issued.leaf);
        let certified = CertifiedKey::from_der(
            chain.into_iter().map(CertificateDer::from).collect(),
            PrivateKeyDer::Pkcs8(key),
            &rustls::crypto::ring::default_provider(),
        )?;
        let validity = issued.intent.validity;
        self.certificate.replace(certified);
        self.held.store(Some(Arc::new(Presented {
            validity,
            issued_at: now,
            issuer: issued.intent.issuer,
            held: Held {
                role: "serving",
                subject: format!("serial {}", issued.intent.serial),
                sha256: Fingerprint::of(issued.leaf.der()).to_string(),
                not_before: validity.not_before(),
                not_after: validity.not_after(),
            },
        })));
        info!(serial = %issued.intent.serial, not_after = %humantime::format_rfc3339_seconds(validity.not_after()), "serving certificate issued");
        Ok(())
    }

    /// Renews for ever: past half of the leaf's life, or when another issuer is in force.
    pub(super) async fn keep_fresh(self: Arc<Self>) {
        loop {
            tokio::time::sleep(CHECK).await;
            if self.is_due()
                && let Err(error) = self.renew().await
            {
                warn!(%error, "serving certificate not renewed; trying again");
            }
        }
    }

    fn is_due(&self) -> bool {
        let Some(presented) = self.held.load_full() else {
            return true;
        };
        let now = self.clock.now();
        let generation = self.issuance.authority.current();
        let is_open = |window: Validity| !window.is_over_at(now);
        presented.issuer != generation.issuer().fingerprint()
            || (presented.is_stale_at(now) && generation.window().is_some_and(is_open))
    }
}

impl Presented {
    /// Past half of its life, or from the future because the clock jumped back.
    fn is_stale_at(&self, now: SystemTime) -> bool {
        let life = self.validity.not_after().duration_since(self.issued_at);
        let half = self.issued_at + life.unwrap_or(Duration::ZERO) / 2;
        now >= half || now < self.validity.not_before()
    }
}

fn new_key() -> Result<(PrivatePkcs8KeyDer<'static>, PublicKey), ServingError> {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)
        .map_err(|_unspecified| ServingError::Key)?;
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random)
            .map_err(|_rejected| ServingError::Key)?;
    let public_key = PublicKey::from_p256_point(pair.public_key().as_ref())
        .map_err(|_rejected| ServingError::Key)?;
    Ok((
        PrivatePkcs8KeyDer::from(document.as_ref().to_vec()),
        public_key,
    ))
}

/// Why the listener has no new leaf.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServingError {
    /// It was not issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// No key could be made.
    #[error("no key could be made")]
    Key,
    /// rustls does not take it.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// How often the leaf is looked at.
const CHECK: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_serving_leaf_is_stale_past_half_of_its_life_and_after_a_jump_back_of_the_clock() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let presented = Presented {
            validity: Validity::new(at(880), at(2000)).unwrap(),
            issued_at: at(1000),
            issuer: Fingerprint::of(b"issuer"),
            held: Held {
                role: "serving",
                subject: String::new(),
                sha256: String::new(),
                not_before: at(880),
                not_after: at(2000),
            },
        };
        let table = [
            (879, true),
            (880, false),
            (1000, false),
            (1499, false),
            (1500, true),
            (9999, true),
        ];
        for (now, stale) in table {
            assert_eq!(presented.is_stale_at(at(now)), stale, "{now}");
        }
    }
}
