//! How do we reach the CA? One TCP connection with TLS by rustls on ring, authenticated by [`Trust`].

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::SystemTime;

use proto::certificate::Certificate;
use rustls::ClientConfig;
use rustls::DigitallySignedStruct;
use rustls::DistinguishedName;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::address::CaAddress;
use crate::error::Error;
use crate::svid::Svid;
use crate::trust::ServerError;
use crate::trust::Trust;

/// A connection to a server that was found to be the CA.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TlsStream<TcpStream>,
    /// The roots that authenticated the server.
    pub(crate) trusted: Vec<Certificate>,
}

/// Whom to connect to, and as whom.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) address: &'a CaAddress,
    pub(crate) server_name: &'a ServerName<'static>,
    pub(crate) trust: &'a Trust,
    pub(crate) identity: Option<&'a Svid>,
    pub(crate) now: SystemTime,
}

impl Target<'_> {
    /// Connects and shakes hands. Has no deadline of its own.
    ///
    /// # Errors
    /// When nobody listens, or the one who does is not the CA. Nothing was sent to it then.
    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        let verdict = Arc::new(OnceLock::new());
        let config = self.config(&verdict)?;
        let socket = TcpStream::connect((self.address.host(), self.address.port()))
            .await
            .map_err(|source| self.unreachable(source))?;
        socket
            .set_nodelay(true)
            .map_err(|source| self.unreachable(source))?;
        let connector = TlsConnector::from(Arc::new(config));
        let shaken = connector.connect(self.server_name.clone(), socket).await;
        match (shaken, verdict.get()) {
            (_, Some(Err(source))) => Err(Error::Server {
                ca: self.address.clone(),
                source: source.clone(),
            }),
            (Ok(stream), Some(Ok(trusted))) => Ok(Connection {
                stream,
                trusted: trusted.clone(),
            }),
            (Ok(_), None) => Err(self.broken(std::io::Error::other("no certificate was judged"))),
            (Err(source), _) => Err(self.broken(source)),
        }
    }

    fn config(&self, verdict: &Arc<OnceLock<Verdict>>) -> Result<ClientConfig, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier {
            trust: self.trust.clone(),
            hints: self.trust.subjects(),
            now: self.now,
            provider: Arc::clone(&provider),
            verdict: Arc::clone(verdict),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| Error::TlsSettings { source })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match self.identity {
            Some(svid) => builder.with_client_cert_resolver(Arc::new(
                rustls::sign::SingleCertAndKey::from(svid.rustls_certified_key()),
            )),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    fn unreachable(&self, source: std::io::Error) -> Error {
        Error::Connect {
            ca: self.address.clone(),
            source,
        }
    }

    fn broken(&self, source: std::io::Error) -> Error {
        Error::Handshake {
            ca: self.address.clone(),
            source,
        }
    }
}

type Verdict = Result<Vec<Certificate>, ServerError>;

/// Lets rustls ask [`Trust`], and keeps its answer with all evidence.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    hints: Vec<DistinguishedName>,
    now: SystemTime,
    provider: Arc<CryptoProvider>,
    verdict: Arc<OnceLock<Verdict>>,
}

impl Verifier {
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Verdict {
        let presented = std::iter::once(leaf)
            .chain(above)
            .map(|der| Certificate::from_der(der))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| ServerError::Unreadable { source })?;
        self.trust
            .authenticate(&presented, &name.to_owned(), self.now)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        _at: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.verdict.get_or_init(|| self.judge(leaf, above, name)) {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            Err(_) => Err(rustls::CertificateError::ApplicationVerificationFailure.into()),
        }
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

    /// While a CA changes its root, it shows the certificate that this leads to.
    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        (!self.hints.is_empty()).then_some(&self.hints)
    }
}
