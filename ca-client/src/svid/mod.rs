//! What did we get? [`Svid`]: a leaf, its chain, the trust bundle and the private key, which fit together.
//!
//! What a CA's answer must be like before it becomes one is in [`answer`].

mod answer;
mod error;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::spiffe::SpiffeId;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

pub(crate) use answer::Expected;
pub use error::SvidError;

use crate::key::PrivateKey;

/// An X.509 SPIFFE identity: certificates and the private key that belongs to the first of them.
///
/// `Debug` prints the name and dates, never the key.
#[derive(Clone)]
pub struct Svid {
    spiffe_id: SpiffeId,
    leaf: Certificate,
    above: Vec<Certificate>,
    roots: Vec<Certificate>,
    key: PrivateKey,
    certified: Arc<CertifiedKey>,
}

impl Svid {
    /// Reads an SVID back from the three files that `ca-client` writes.
    ///
    /// # Errors
    /// When a part is missing or they do not fit together. Dates and trust are not judged.
    pub fn from_pem(chain: &[u8], key: &[u8], roots: &[u8]) -> Result<Self, SvidError> {
        let mut chain = answer::certificates(1, chain)?.into_iter();
        let leaf = chain.next().ok_or(SvidError::NoLeaf)?;
        let key = PrivateKey::from_pkcs8_pem(key).ok_or(SvidError::NoKey)?;
        Self::assemble(leaf, chain.collect(), answer::certificates(1, roots)?, key)
    }

    /// The one place that makes an SVID: its name and its key are checked here.
    fn assemble(
        leaf: Certificate,
        above: Vec<Certificate>,
        roots: Vec<Certificate>,
        key: PrivateKey,
    ) -> Result<Self, SvidError> {
        let spiffe_id = answer::only_spiffe_id(&leaf)?;
        let presented = std::iter::once(&leaf)
            .chain(
                above
                    .iter()
                    .filter(|certificate| !roots.contains(certificate)),
            )
            .map(|certificate| CertificateDer::from(certificate.der().to_vec()))
            .collect();
        let signer = any_supported_type(&key.as_rustls());
        let certified = signer.map(|signer| CertifiedKey::new(presented, signer));
        let certified = certified
            .and_then(|certified| certified.keys_match().map(|()| certified))
            .map_err(|source| SvidError::KeyDoesNotFit { source })?;
        Ok(Self {
            spiffe_id,
            leaf,
            above,
            roots,
            key,
            certified: Arc::new(certified),
        })
    }

    /// Who this is.
    #[must_use]
    pub fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// The leaf.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// First second of the leaf's validity.
    #[must_use]
    pub fn not_before(&self) -> SystemTime {
        self.leaf.facts().not_before
    }

    /// Last second of the leaf's validity.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.leaf.facts().not_after
    }

    /// The serial number as lower-case hex, as `ca-server certs` lists it.
    #[must_use]
    pub fn serial(&self) -> String {
        let octets = &self.leaf.facts().serial;
        let value = octets.strip_prefix(&[0]).unwrap_or(octets);
        value.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// Leaf first, then the certificates above it, the root last.
    pub fn chain(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.leaf).chain(&self.above)
    }

    /// [`Self::chain`] without what is in the trust bundle: what is presented to peers, who have that.
    pub fn chain_without_roots(&self) -> impl Iterator<Item = &Certificate> {
        let above = self.above.iter();
        std::iter::once(&self.leaf).chain(above.filter(|above| !self.roots.contains(above)))
    }

    /// [`Self::chain`] as DER.
    pub fn chain_der(&self) -> impl Iterator<Item = &[u8]> {
        self.chain().map(Certificate::der)
    }

    /// [`Self::chain`] as PEM.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        self.chain().map(Certificate::to_pem).collect()
    }

    /// Every root of the trust bundle, the one that anchors this chain first.
    #[must_use]
    pub fn roots(&self) -> &[Certificate] {
        &self.roots
    }

    /// [`Self::roots`] as PEM.
    #[must_use]
    pub fn roots_pem(&self) -> String {
        self.roots.iter().map(Certificate::to_pem).collect()
    }

    /// The private key, PKCS#8.
    #[must_use]
    pub fn private_key_pkcs8(&self) -> &PrivateKey {
        &self.key
    }

    /// The private key as a PEM `PRIVATE KEY` block, wiped on drop.
    #[must_use]
    pub fn private_key_pem(&self) -> Zeroizing<String> {
        self.key.to_pem()
    }

    /// Chain (without the root, which peers have) and key, ready for rustls' resolvers.
    #[must_use]
    pub fn rustls_certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }

    /// Whether the leaf's validity contains `now`.
    #[must_use]
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        self.leaf.is_valid_at(now)
    }
}

impl fmt::Debug for Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Svid")
            .field("spiffe_id", &self.spiffe_id)
            .field("serial", &self.serial())
            .field("not_after", &self.not_after())
            .finish_non_exhaustive()
    }
}
