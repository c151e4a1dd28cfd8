//! How do two workloads speak TLS with their SVIDs? Settings for rustls, made anew for each connection
//! from the latest SVID: cheap, and always up to date in certificate and roots.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::chain;
use proto::chain::Profile;
use proto::spiffe::SpiffeId;
use proto::spiffe::TrustDomain;
use rustls::ClientConfig;
use rustls::DigitallySignedStruct;
use rustls::DistinguishedName;
use rustls::ServerConfig;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use rustls::server::danger::ClientCertVerified;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::SingleCertAndKey;

use crate::svid::Svid;

/// Whom we speak with.
#[derive(Clone, Debug)]
pub enum Peers {
    /// Every workload of a trust domain.
    MembersOf(TrustDomain),
    /// One workload.
    Only(SpiffeId),
}

impl Peers {
    fn allow(&self, id: &SpiffeId) -> bool {
        match self {
            Self::MembersOf(domain) => id.is_member_of(domain),
            Self::Only(expected) => id == expected,
        }
    }
}

/// Settings of a server that shows `svid` and insists on a client's SVID from among `peers`.
///
/// # Errors
/// When rustls cannot be set up.
pub fn server_config(svid: &Svid, peers: Peers) -> Result<ServerConfig, rustls::Error> {
    let verifier = SvidVerifier::new(svid, peers);
    let config = ServerConfig::builder_with_provider(Arc::clone(&verifier.provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(
            svid.rustls_certified_key(),
        )));
    Ok(config)
}

/// Settings of a client that shows `svid` and insists on a server's SVID from among `peers`. The name
/// given to rustls when connecting is not looked at: SVIDs have SPIFFE IDs.
///
/// # Errors
/// When rustls cannot be set up.
pub fn client_config(svid: &Svid, peers: Peers) -> Result<ClientConfig, rustls::Error> {
    let verifier = SvidVerifier::new(svid, peers);
    let config = ClientConfig::builder_with_provider(Arc::clone(&verifier.provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(
            svid.rustls_certified_key(),
        )));
    Ok(config)
}

/// Judges peers by [`chain::verify`] with the trust bundle that came with the SVID.
struct SvidVerifier {
    roots: Vec<Certificate>,
    peers: Peers,
    provider: Arc<CryptoProvider>,
}

impl SvidVerifier {
    fn new(svid: &Svid, peers: Peers) -> Self {
        Self {
            roots: svid.roots().to_vec(),
            peers,
            provider: Arc::new(rustls::crypto::ring::default_provider()),
        }
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let refused = |error: &dyn std::error::Error| rustls::Error::General(error.to_string());
        let presented = std::iter::once(leaf)
            .chain(above)
            .map(|der| Certificate::from_der(der))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| refused(&error))?;
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs());
        let verified = chain::verify(&presented, &self.roots, None, Profile::X509Svid, at)
            .map_err(|error| refused(&error))?;
        match verified.spiffe_id.filter(|id| self.peers.allow(id)) {
            Some(_) => Ok(()),
            None => Err(rustls::CertificateError::ApplicationVerificationFailure.into()),
        }
    }
}

impl fmt::Debug for SvidVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SvidVerifier")
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}

impl ServerCertVerifier for SvidVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.judge(leaf, above, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ClientCertVerifier for SvidVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.judge(leaf, above, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}
