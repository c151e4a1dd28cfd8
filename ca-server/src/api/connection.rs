//! What does a connection know of its peer? Its address, and the certificate it proved to own.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::Extensions;

/// Facts about one connection, attached to each of its requests.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Connection {
    peer_addr: Option<SocketAddr>,
    client_chain: Vec<Vec<u8>>,
}

impl Connection {
    /// A TLS connection from `peer_addr`, whose peer proved to hold the key of `client_chain`'s first certificate.
    #[must_use]
    pub fn new(peer_addr: SocketAddr, client_chain: Vec<Vec<u8>>) -> Self {
        Self {
            peer_addr: Some(peer_addr),
            client_chain,
        }
    }

    /// The connection that a request came over.
    pub(super) fn of(extensions: &Extensions) -> Option<Arc<Self>> {
        extensions.get::<Arc<Self>>().cloned()
    }

    /// Where the peer is, for the log.
    #[must_use]
    pub fn peer_addr(&self) -> String {
        self.peer_addr
            .map_or_else(|| "local".to_owned(), |addr| addr.to_string())
    }

    /// DER of the peer's certificates, leaf first; empty when it showed none or did not prove to own it.
    #[must_use]
    pub fn client_chain(&self) -> &[Vec<u8>] {
        &self.client_chain
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer_addr", &self.peer_addr)
            .field("client_chain", &self.client_chain.len())
            .finish()
    }
}
