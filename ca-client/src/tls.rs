//! How do we reach the CA? One TCP connection with TLS by rustls on ring, authenticated by [`Trust`].

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::SystemTime;

use proto::certificate::Certificate;
use rustls::ClientConfig;
use rustls::DistinguishedName;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::address::CaAddress;
use crate::dial::first_to_answer;
use crate::error::Error;
use crate::handshake::Judge;
use crate::handshake::Peer;
use crate::handshake::Verifier;
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
        let host = (self.address.host(), self.address.port());
        let addresses = tokio::net::lookup_host(host)
            .await
            .map_err(|source| self.unreachable(source))?;
        let socket = first_to_answer(addresses.collect())
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
            judge: ByTrust {
                trust: self.trust.clone(),
                hints: self.trust.subjects(),
                now: self.now,
                verdict: Arc::clone(verdict),
            },
            provider: Arc::clone(&provider),
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

/// Judges by [`Trust`], and keeps the answer with all evidence.
#[derive(Debug)]
struct ByTrust {
    trust: Trust,
    hints: Vec<DistinguishedName>,
    now: SystemTime,
    verdict: Arc<OnceLock<Verdict>>,
}

impl ByTrust {
    fn authenticate(&self, peer: Peer<'_>, name: &ServerName<'_>) -> Verdict {
        let presented = peer
            .certificates()
            .map_err(|source| ServerError::Unreadable { source })?;
        self.trust
            .authenticate(&presented, &name.to_owned(), self.now)
    }
}

impl Judge for ByTrust {
    fn judge(&self, peer: Peer<'_>) -> Result<(), rustls::Error> {
        let refused = rustls::CertificateError::ApplicationVerificationFailure;
        let Some(name) = peer.name else {
            return Err(refused.into());
        };
        match self.verdict.get_or_init(|| self.authenticate(peer, name)) {
            Ok(_) => Ok(()),
            Err(_) => Err(refused.into()),
        }
    }

    /// While a CA changes its root, it shows the certificate that this leads to.
    fn hints(&self) -> &[DistinguishedName] {
        &self.hints
    }
}
