//! Who judges certificates in a TLS handshake? A [`Judge`] of ours; rustls checks that the peer holds the key.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::certificate::CertificateError;
use rustls::DigitallySignedStruct;
use rustls::DistinguishedName;
use rustls::Error;
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

/// Says whether a peer is who we want to speak with.
pub(crate) trait Judge: Debug + Send + Sync {
    /// # Errors
    /// When it is not.
    fn judge(&self, peer: Peer<'_>) -> Result<(), Error>;

    /// The names of the roots that a peer's certificate should lead to (RFC 8446 section 4.2.4); none lets it choose.
    fn hints(&self) -> &[DistinguishedName] {
        &[]
    }
}

/// What a peer shows in the handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer<'a> {
    leaf: &'a CertificateDer<'a>,
    above: &'a [CertificateDer<'a>],
    now: UnixTime,
    /// The name that a server was called by.
    pub(crate) name: Option<&'a ServerName<'a>>,
}

impl Peer<'_> {
    /// Its certificates, leaf first.
    ///
    /// # Errors
    /// When one of them is none.
    pub(crate) fn certificates(&self) -> Result<Vec<Certificate>, CertificateError> {
        std::iter::once(self.leaf)
            .chain(self.above)
            .map(|der| Certificate::from_der(der))
            .collect()
    }

    /// The moment of the handshake, by the clock that rustls was given.
    pub(crate) fn at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.now.as_secs())
    }
}

/// Lets rustls ask a judge.
#[derive(Debug)]
pub(crate) struct Verifier<J> {
    pub(crate) judge: J,
    pub(crate) provider: Arc<CryptoProvider>,
}

impl<J: Judge> ServerCertVerifier for Verifier<J> {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let name = Some(name);
        self.judge.judge(Peer {
            leaf,
            above,
            now,
            name,
        })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        let hints = self.judge.hints();
        (!hints.is_empty()).then_some(hints)
    }
}

impl<J: Judge> ClientCertVerifier for Verifier<J> {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.judge.hints()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge.judge(Peer {
            leaf,
            above,
            now,
            name: None,
        })?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}
