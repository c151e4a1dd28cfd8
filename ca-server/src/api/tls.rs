//! How is TLS spoken? rustls on ring, TLS 1.2 and 1.3, our own serving leaf, client certificates asked for.
//!
//! The handshake proves that the peer holds its certificate's key and judges nothing else: a caller
//! with a stale certificate and a good token must get through. `attest` judges at each request.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use proto::certificate::Certificate;
use rustls::DigitallySignedStruct;
use rustls::DistinguishedName;
use rustls::ServerConfig;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::crypto::verify_tls12_signature;
use rustls::crypto::verify_tls13_signature;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::UnixTime;
use rustls::server::ClientHello;
use rustls::server::NoServerSessionStorage;
use rustls::server::ResolvesServerCert;
use rustls::server::danger::ClientCertVerified;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;

use crate::authority::Authority;

/// The serving leaves and their keys, replaced without a restart.
pub struct ServingCertificate {
    authority: Arc<Authority>,
    current: ArcSwap<Vec<ServedUnder>>,
}

/// A serving leaf, and what its root is called.
#[derive(Clone)]
pub struct ServedUnder {
    /// Its root.
    pub root: RootName,
    /// Leaf, chain and key.
    pub key: Arc<CertifiedKey>,
}

/// What a root is known by, however often it was certified (RFC 5280 section 6.1.1 (d)): a name and a key, as DER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootName {
    subject: Vec<u8>,
    key: Vec<u8>,
}

impl RootName {
    /// The name and the key of `root`.
    #[must_use]
    pub fn of(root: &Certificate) -> Self {
        Self {
            subject: root.facts().subject_der.clone(),
            key: root.facts().spki_der.clone(),
        }
    }
}

impl ServingCertificate {
    /// Presents nothing yet, and never a leaf under a root that is not in the trust bundle of `authority` any more, as
    /// long as there is another.
    #[must_use]
    pub fn new(authority: Arc<Authority>) -> Self {
        Self {
            authority,
            current: ArcSwap::default(),
        }
    }

    /// Presents one of `served` from the next handshake on: the first under a root that the peer names, or the first.
    pub fn replace(&self, served: Vec<ServedUnder>) {
        self.current.store(Arc::new(served));
    }

    /// By the names in the peer's `certificate_authorities` (RFC 8446 section 4.2.4), if it sent any.
    fn choose(&self, known: Option<&[DistinguishedName]>) -> Option<Arc<CertifiedKey>> {
        let served = self.current.load();
        let generation = self.authority.current();
        // Whoever read the trust bundle a moment ago knows no other roots.
        let is_trusted = |one: &&ServedUnder| {
            let mut roots = generation.roots().iter();
            roots.any(|root| RootName::of(root) == one.root)
        };
        let is_known = |one: &&ServedUnder| {
            known.is_some_and(|known| known.iter().any(|name| name.as_ref() == one.root.subject))
        };
        let trusted = || served.iter().filter(is_trusted);
        let chosen = trusted().find(is_known).or_else(|| trusted().next());
        let chosen = chosen.or_else(|| served.first())?;
        Some(Arc::clone(&chosen.key))
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.certificate_authorities())
    }
}

impl fmt::Debug for ServingCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServingCertificate").finish_non_exhaustive()
    }
}

/// Makes the settings of each connection.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    provider: Arc<CryptoProvider>,
    serving: Arc<ServingCertificate>,
}

impl TlsSettings {
    /// Presents what `serving` holds.
    #[must_use]
    pub fn new(serving: Arc<ServingCertificate>) -> Self {
        Self {
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            serving,
        }
    }

    /// Settings for one connection, and the answer to whether its peer proved to own its certificate.
    ///
    /// # Errors
    /// When rustls does not take them; cannot happen with the ring provider.
    pub fn connection(&self) -> Result<(Arc<ServerConfig>, Arc<KeyProof>), rustls::Error> {
        let proof = Arc::new(KeyProof {
            provider: Arc::clone(&self.provider),
            proved: AtomicBool::new(false),
        });
        let verifier: Arc<dyn ClientCertVerifier> = Arc::<KeyProof>::clone(&proof);
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::<ServingCertificate>::clone(&self.serving));
        config.alpn_protocols = vec![b"h2".to_vec()];
        // No resumption: each connection proves its key anew.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok((Arc::new(config), proof))
    }
}

/// Settings of a port that asks nobody for a certificate, over HTTP/1.1.
///
/// # Errors
/// When rustls does not take them; cannot happen with the ring provider.
pub fn without_client_certificates(
    serving: Arc<ServingCertificate>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(serving);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // No resumption: whoever connects judges the chain of now.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Notes whether the peer signed the handshake with the key of the certificate that it showed.
#[derive(Debug)]
pub struct KeyProof {
    provider: Arc<CryptoProvider>,
    proved: AtomicBool,
}

impl KeyProof {
    /// Whether it did. False where it showed no certificate, or one that does not parse.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.proved.load(Ordering::Acquire)
    }

    fn note(
        &self,
        checked: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> HandshakeSignatureValid {
        self.proved.store(checked.is_ok(), Ordering::Release);
        // The handshake goes on: without proof the certificate counts for nothing.
        HandshakeSignatureValid::assertion()
    }
}

impl ClientCertVerifier for KeyProof {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        Ok(self.note(verify_tls12_signature(message, leaf, signed, algorithms)))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        Ok(self.note(verify_tls13_signature(message, leaf, signed, algorithms)))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;
    use std::time::UNIX_EPOCH;

    use rustls::pki_types::PrivateKeyDer;

    use super::*;
    use crate::authority::Generation;
    use crate::authority::self_signed;
    use crate::x509::SystemEntropy;

    fn signer(dir: &std::path::Path) -> Generation {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let domain = "cluster.local".parse().unwrap();
        self_signed::make_root(dir, &domain, now, &SystemEntropy).unwrap()
    }

    fn under(root: RootName) -> ServedUnder {
        let key = rcgen::KeyPair::generate().unwrap().serialize_der();
        let provider = rustls::crypto::ring::default_provider();
        let key = PrivateKeyDer::try_from(key).unwrap();
        let key = provider.key_provider.load_private_key(key).unwrap();
        ServedUnder {
            root,
            key: Arc::new(CertifiedKey::new(Vec::new(), key)),
        }
    }

    #[test]
    fn no_leaf_is_shown_whose_root_has_left_the_trust_bundle_as_long_as_there_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let (gone, new) = (signer(dir.path()), signer(dir.path()));
        let names = [gone.root(), new.root()].map(RootName::of);
        let [of_gone, of_new] = names.clone().map(under);
        let serving = ServingCertificate::new(Arc::new(Authority::new(new)));
        serving.replace(vec![of_gone.clone(), of_new.clone()]);
        let knows_gone = [DistinguishedName::from(names[0].subject.clone())];
        for known in [None, Some(&knows_gone[..])] {
            let shown = serving.choose(known).unwrap();
            assert!(Arc::ptr_eq(&shown, &of_new.key), "{known:?}");
        }
        serving.replace(vec![of_gone.clone()]);
        let shown = serving.choose(None).unwrap();
        assert!(Arc::ptr_eq(&shown, &of_gone.key), "better than nothing");
    }

    #[test]
    fn a_leaf_is_chosen_by_the_roots_that_the_peer_names() {
        let dir = tempfile::tempdir().unwrap();
        let signer = signer(dir.path());
        let name = |subject: &[u8]| RootName {
            subject: subject.to_vec(),
            ..RootName::of(signer.root())
        };
        let (one, other) = (under(RootName::of(signer.root())), under(name(b"other")));
        let known = [DistinguishedName::from(one.root.subject.clone())];
        let serving = ServingCertificate::new(Arc::new(Authority::new(signer)));
        serving.replace(vec![other, one.clone()]);
        let shown = serving.choose(Some(&known)).unwrap();
        assert!(Arc::ptr_eq(&shown, &one.key));
    }
}
