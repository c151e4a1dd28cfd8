//! An agent that speaks the wire by itself, and may misbehave: a tonic client over TLS that we steer.

use std::net::SocketAddr;
use std::sync::Arc;

use proto::istio::IstioCertificateRequest;
use proto::istio::istio_certificate_service_client::IstioCertificateServiceClient;
use rustls::ClientConfig;
use rustls::DigitallySignedStruct;
use rustls::RootCertStore;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use tonic::Request;
use tonic::Status;
use tonic::transport::Channel;

use crate::follower::connect;

/// A connection to the CSR API.
#[derive(Clone, Debug)]
pub struct Agent {
    client: IstioCertificateServiceClient<Channel>,
    bearer: Vec<String>,
}

/// Chain (DER, leaf first) and key (PKCS#8) to show in the handshake.
pub type ClientIdentity = (Vec<Vec<u8>>, Vec<u8>);

impl Agent {
    /// Connects to `addr`, trusting `roots_pem`, with bearer tokens and maybe a client certificate.
    ///
    /// # Panics
    /// When the handshake fails.
    pub async fn connect(
        addr: SocketAddr,
        roots_pem: &str,
        bearer: &[&str],
        identity: Option<ClientIdentity>,
    ) -> Self {
        let channel = channel(addr, roots_pem, identity).await.expect("connects");
        let bearer = bearer.iter().map(|token| (*token).to_owned()).collect();
        Self {
            client: IstioCertificateServiceClient::new(channel),
            bearer,
        }
    }

    /// Connects without looking at the server's certificate, as nobody should.
    ///
    /// # Panics
    /// When the handshake fails.
    pub async fn connect_unverified(addr: SocketAddr, bearer: &[&str]) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let channel = connect(addr, &Arc::new(config), None)
            .await
            .expect("connects");
        let bearer = bearer.iter().map(|token| (*token).to_owned()).collect();
        Self {
            client: IstioCertificateServiceClient::new(channel),
            bearer,
        }
    }

    /// The `CreateCertificate` call: `cert_chain` of the answer.
    ///
    /// # Errors
    /// The server's status.
    pub async fn create(&mut self, csr: &str, ttl_seconds: i64) -> Result<Vec<String>, Status> {
        self.call(IstioCertificateRequest {
            csr: csr.to_owned(),
            validity_duration: ttl_seconds,
            metadata: None,
        })
        .await
    }

    /// The call with a message of the caller's making.
    ///
    /// # Errors
    /// The server's status.
    pub async fn call(&mut self, message: IstioCertificateRequest) -> Result<Vec<String>, Status> {
        let mut request = Request::new(message);
        for token in &self.bearer {
            let value = format!("Bearer {token}").parse().expect("a header value");
            request.metadata_mut().append("authorization", value);
        }
        Ok(self
            .client
            .create_certificate(request)
            .await?
            .into_inner()
            .cert_chain)
    }
}

/// A channel to the server at `addr` by the name of localhost.
///
/// # Errors
/// When no connection comes about.
pub async fn channel(
    addr: SocketAddr,
    roots_pem: &str,
    identity: Option<ClientIdentity>,
) -> Result<Channel, tonic::transport::Error> {
    let config = Arc::new(tls_config(roots_pem, identity));
    connect(addr, &config, None).await
}

/// rustls settings that trust `roots_pem`, and show `identity` where there is one.
///
/// # Panics
/// When the material is not good.
#[must_use]
pub fn tls_config(roots_pem: &str, identity: Option<ClientIdentity>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for block in pem::parse_many(roots_pem).expect("PEM") {
        roots
            .add(CertificateDer::from(block.into_contents()))
            .expect("a root");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = chain.into_iter().map(CertificateDer::from).collect();
            let key = PrivateKeyDer::try_from(key).expect("a key");
            let key = rustls::crypto::ring::sign::any_supported_type(&key).expect("a key");
            // Not the usual way, which refuses a key that is not the certificate's.
            let identity = rustls::sign::CertifiedKey::new(chain, key);
            builder
                .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(identity)))
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// A new P-256 key (PKCS#8 DER) and a CSR for it that names `spiffe_id`.
///
/// # Panics
/// When rcgen does not make one.
#[must_use]
pub fn key_and_csr(spiffe_id: &str) -> (Vec<u8>, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::URI(spiffe_id.try_into().expect("a URI"))];
    let csr = params.serialize_request(&key).expect("a CSR");
    (key.serialize_der(), csr.pem().expect("PEM"))
}

/// Believes every server.
#[derive(Debug)]
struct AnyServer(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
