//! Who is the listener? Its own leaf: from the ledger like any other, renewed by time, without a restart.

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use proto::certificate::Fingerprint;
use ring::rand::SystemRandom;
use ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use ring::signature::EcdsaKeyPair;
use ring::signature::KeyPair as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::info;
use tracing::warn;

use crate::api::tls::RootName;
use crate::api::tls::ServedUnder;
use crate::api::tls::ServingCertificate;
use crate::authority::Generation;
use crate::clock::Clock;
use crate::issuance::Issuance;
use crate::issuance::IssueError;
use crate::telemetry::metrics::Held;
use crate::x509::LeafName;
use crate::x509::PublicKey;
use crate::x509::Validity;

/// Keeps a listener's leaves fresh: one under each signer that callers may know.
#[derive(Debug)]
pub(super) struct Serving {
    /// What the leaves are called in `status` and metrics.
    role: &'static str,
    name: LeafName,
    issuance: Arc<Issuance>,
    clock: Arc<dyn Clock>,
    pub(super) certificate: Arc<ServingCertificate>,
    pub(super) held: Arc<ArcSwap<Vec<Presented>>>,
}

/// A leaf that the listener presents now.
#[derive(Clone, Debug)]
pub(super) struct Presented {
    pub(super) validity: Validity,
    pub(super) issued_at: SystemTime,
    pub(super) issuer: Fingerprint,
    pub(super) held: Held,
    key: Arc<CertifiedKey>,
    root: RootName,
}

impl Serving {
    /// With its first leaves.
    pub(super) async fn start(
        role: &'static str,
        name: LeafName,
        issuance: Arc<Issuance>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, ServingError> {
        let certificate = ServingCertificate::new(Arc::clone(&issuance.authority));
        let serving = Arc::new(Self {
            role,
            name,
            issuance,
            clock,
            certificate: Arc::new(certificate),
            held: Arc::default(),
        });
        serving.renew().await?;
        Ok(serving)
    }

    /// Presents a leaf under each signer: those that are fresh, and new ones with new keys.
    pub(super) async fn renew(&self) -> Result<(), ServingError> {
        let now = self.clock.now();
        let generation = self.issuance.authority.current();
        let before = self.held.load_full();
        let mut presented = Vec::new();
        for signer in presented_by(&generation, now) {
            let issuer = signer.issuer().fingerprint();
            let fresh = before
                .iter()
                .find(|leaf| leaf.issuer == issuer && !leaf.is_stale_at(now));
            presented.push(match fresh {
                Some(fresh) => fresh.clone(),
                None => self.issue((&generation, signer), now).await?,
            });
        }
        let certificates = presented.iter().map(|leaf| ServedUnder {
            root: leaf.root.clone(),
            key: Arc::clone(&leaf.key),
        });
        self.certificate.replace(certificates.collect());
        self.held.store(Arc::new(presented));
        Ok(())
    }

    async fn issue(
        &self,
        (generation, signer): (&Arc<Generation>, &Generation),
        now: SystemTime,
    ) -> Result<Presented, ServingError> {
        let (key, public_key) = new_key()?;
        let issued = self
            .issuance
            .issue_serving((generation, signer), self.name.clone(), &public_key, now)
            .await?;
        let chain = signer.presented_chain(&issued.leaf);
        let certified = CertifiedKey::from_der(
            chain.into_iter().map(CertificateDer::from).collect(),
            PrivateKeyDer::Pkcs8(key),
            &rustls::crypto::ring::default_provider(),
        )?;
        let validity = issued.intent.validity;
        info!(serial = %issued.intent.serial, not_after = %humantime::format_rfc3339_seconds(validity.not_after()), role = self.role, "serving certificate issued");
        Ok(Presented {
            validity,
            issued_at: now,
            issuer: issued.intent.issuer,
            held: Held {
                role: self.role,
                active: true,
                origin: signer.source().name(),
                subject: format!("serial {}", issued.intent.serial),
                sha256: Fingerprint::of(issued.leaf.der()).to_string(),
                not_before: validity.not_before(),
                not_after: validity.not_after(),
            },
            key: Arc::new(certified),
            root: RootName::of(signer.root()),
        })
    }

    /// Renews for ever: past half of a leaf's life, or when other signers are in force.
    pub(super) async fn keep_fresh(self: Arc<Self>, mut changes: watch::Receiver<u64>) {
        loop {
            if let Ok(Err(_nobody_changes_anything_any_more)) =
                timeout(CHECK, changes.changed()).await
            {
                tokio::time::sleep(CHECK).await;
            }
            if self.is_due()
                && let Err(error) = self.renew().await
            {
                warn!(%error, role = self.role, "serving certificate not renewed; trying again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    fn is_due(&self) -> bool {
        let now = self.clock.now();
        let generation = self.issuance.authority.current();
        let held = self.held.load();
        let wanted = presented_by(&generation, now);
        let is_fresh = |signer: &&Generation| {
            let issuer = signer.issuer().fingerprint();
            let is_over = signer.window().is_none_or(|window| window.is_over_at(now));
            held.iter()
                .any(|leaf| leaf.issuer == issuer && (is_over || !leaf.is_stale_at(now)))
        };
        wanted.len() != held.len() || !wanted.iter().all(is_fresh)
    }
}

/// Those that callers may know, the oldest first, for whoever does not say whom it knows. A signer that is over serves
/// only where it is the one that signs.
fn presented_by(generation: &Generation, now: SystemTime) -> Vec<&Generation> {
    let signs = generation.issuer().fingerprint();
    let is_open = |signer: &&Generation| {
        let window = signer.window();
        window.is_some_and(|window| !window.is_over_at(now))
            || signer.issuer().fingerprint() == signs
    };
    generation.signers().filter(is_open).collect()
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
const CHECK: Duration = Duration::from_secs(1);
/// Between two attempts.
const AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn any_key() -> Arc<CertifiedKey> {
        let (key, _) = new_key().unwrap();
        let provider = rustls::crypto::ring::default_provider();
        let key = provider
            .key_provider
            .load_private_key(PrivateKeyDer::Pkcs8(key));
        Arc::new(CertifiedKey::new(Vec::new(), key.unwrap()))
    }

    #[test]
    fn a_serving_leaf_is_stale_past_half_of_its_life_and_after_a_jump_back_of_the_clock() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let presented = Presented {
            validity: Validity::new(at(880), at(2000)).unwrap(),
            issued_at: at(1000),
            issuer: Fingerprint::of(b"issuer"),
            held: Held {
                role: "serving",
                active: true,
                origin: "self-signed",
                subject: String::new(),
                sha256: String::new(),
                not_before: at(880),
                not_after: at(2000),
            },
            key: any_key(),
            root: RootName::default(),
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
