//! What does a TLS server show before anybody decides? Its chain, whether it asks for a certificate, and a ticket.
//!
//! Every chain passes here, so that the rest of the handshake can be seen; nothing may be sent on such a connection.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use proto::certificate::Certificate;
use proto::certificate::CertificateError;
use rustls::ClientConfig;
use rustls::Error;
use rustls::NamedGroup;
use rustls::SignatureScheme;
use rustls::client::ClientSessionStore;
use rustls::client::ResolvesClientCert;
use rustls::client::Resumption;
use rustls::client::Tls12ClientSessionValue;
use rustls::client::Tls13ClientSessionValue;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use tokio::sync::Notify;

use crate::handshake::Judge;
use crate::handshake::Peer;
use crate::handshake::Verifier;
use crate::svid::Svid;

/// What one handshake showed so far.
#[derive(Debug, Default)]
pub(super) struct Sight {
    /// The server's certificates, as it sent them.
    pub(super) chain: OnceLock<Result<Vec<Certificate>, CertificateError>>,
    asked: AtomicBool,
    ticketed: AtomicBool,
    ticket: Notify,
}

impl Sight {
    /// Whether the server sent a `CertificateRequest`.
    pub(super) fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Comes back once there is a session ticket: servers send one when they are content with the client.
    pub(super) async fn ticket(&self) {
        self.ticket.notified().await;
    }

    /// Whether there was a ticket.
    pub(super) fn ticketed(&self) -> bool {
        self.ticketed.load(Ordering::Relaxed)
    }
}

/// Settings of a client that lets every server pass, shows `svid` when asked, and notes what it sees in `sight`.
///
/// # Errors
/// When rustls cannot be set up.
pub(super) fn config(sight: &Arc<Sight>, svid: Option<&Svid>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier {
        judge: Onlooker(Arc::clone(sight)),
        provider: Arc::clone(&provider),
    };
    let resolver = Shown {
        sight: Arc::clone(sight),
        certified: svid.map(Svid::rustls_certified_key),
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    config.resumption = Resumption::store(Arc::new(Tickets(Arc::clone(sight))));
    Ok(config)
}

/// Keeps what is shown and lets it pass.
#[derive(Debug)]
struct Onlooker(Arc<Sight>);

impl Judge for Onlooker {
    fn judge(&self, peer: Peer<'_>) -> Result<(), Error> {
        self.0.chain.get_or_init(|| peer.certificates());
        Ok(())
    }
}

/// Notes that a certificate is asked for, and shows ours if there is one.
#[derive(Debug)]
struct Shown {
    sight: Arc<Sight>,
    certified: Option<Arc<CertifiedKey>>,
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.sight.asked.store(true, Ordering::Relaxed);
        self.certified.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Keeps no session, only that there was a ticket.
#[derive(Debug)]
struct Tickets(Arc<Sight>);

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _name: ServerName<'static>, _group: NamedGroup) {}

    fn kx_hint(&self, _name: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _name: ServerName<'static>, _value: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _name: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _name: ServerName<'static>, _value: Tls13ClientSessionValue) {
        self.0.ticketed.store(true, Ordering::Relaxed);
        self.0.ticket.notify_one();
    }

    fn take_tls13_ticket(&self, _name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}

/// Istio's permissive listeners terminate TLS only for the protocols of its own; to others TLS is the application's.
const ALPN: [&[u8]; 4] = [b"istio-http/1.1", b"istio", b"h2", b"http/1.1"];
