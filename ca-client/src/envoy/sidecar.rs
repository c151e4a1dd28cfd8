//! What is a sidecar to do? Everything that its bootstrap says, decided and checked, as values.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use ca_client::files::FileNames;
use proto::spiffe::SpiffeId;

use super::endpoint::Endpoint;
use super::peer::Peer;
use super::whole_path::WholePath;

/// One Envoy beside one workload.
#[derive(Clone, Debug)]
pub(crate) struct Sidecar {
    /// What it calls itself towards the agent's socket.
    pub(crate) node: String,
    /// What it does for callers of the workload.
    pub(crate) inbound: Option<Inbound>,
    /// What it does for the workload's own calls.
    pub(crate) outbound: Vec<Outbound>,
    /// Where certificates come from.
    pub(crate) secrets: Secrets,
    /// How long a connection over TLS may live, and with it the certificates that it began with.
    pub(crate) max_connection_duration: Duration,
    /// Envoy's own port for statistics and the like.
    pub(crate) admin: Option<SocketAddr>,
}

/// From callers to the workload.
#[derive(Clone, Debug)]
pub(crate) struct Inbound {
    pub(crate) mode: Mode,
    pub(crate) listen: SocketAddr,
    pub(crate) upstream: Endpoint,
    pub(crate) protocol: Protocol,
    /// Who may come over mutual TLS; never empty.
    pub(crate) callers: Vec<Peer>,
}

/// From the workload to one peer.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    pub(crate) listen: SocketAddr,
    pub(crate) upstream: Endpoint,
    pub(crate) protocol: Protocol,
    pub(crate) security: Security,
}

/// How a sidecar speaks to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// Without TLS.
    Plain,
    /// Mutual TLS with the agent's certificate.
    Mutual {
        /// Who the peer must be; never empty.
        peers: Vec<Peer>,
        /// The name that the handshake asks for, if any.
        sni: Option<String>,
    },
}

/// What the workload's callers may speak (`PeerAuthentication`'s modes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Mutual TLS and nothing else.
    Strict,
    /// Mutual TLS or plain text.
    Permissive,
    /// Plain text and nothing else.
    Disable,
}

impl Mode {
    /// Whether a caller with a certificate can speak mutual TLS.
    pub(crate) fn takes_mtls(self) -> bool {
        self != Self::Disable
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "STRICT",
            Self::Permissive => "PERMISSIVE",
            Self::Disable => "DISABLE",
        })
    }
}

/// What is spoken inside of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1 towards the receiver; callers may use HTTP/2.
    Http,
    /// HTTP/2 towards the receiver, as gRPC needs it; callers may use HTTP/1.1.
    Http2,
    /// Bytes.
    Tcp,
}

/// Where certificates, key and roots come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// The agent's SDS server.
    Socket {
        path: WholePath,
        /// The certificate to be asked for; the agent's first, if none is named.
        identity: Option<SpiffeId>,
    },
    /// The agent's files, named by two small files that Envoy reads.
    Files {
        /// The agent's output directory.
        certs: WholePath,
        /// How the files in it are called.
        names: FileNames,
        /// Where the two small files are.
        secrets: WholePath,
    },
}

impl Sidecar {
    /// Whether anything of it needs a certificate.
    pub(crate) fn needs_secrets(&self) -> bool {
        let inbound = self.inbound.as_ref();
        let mut outbound = self.outbound.iter();
        inbound.is_some_and(|inbound| inbound.mode.takes_mtls())
            || outbound.any(|outbound| outbound.security != Security::Plain)
    }
}
