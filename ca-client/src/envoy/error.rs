//! Why is there no bootstrap?

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::policy::Refusal;
use crate::input::InputError;

/// Why nothing was printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvoyError {
    /// A name among many is asked for, where there is one certificate.
    #[error(
        "--identity chooses among the certificates of an agent's socket, and --certs has one: drop one of the two"
    )]
    IdentityOfFiles,
    /// The tree cannot be written as JSON.
    #[error("the bootstrap cannot be written as JSON")]
    Json {
        /// What the writer says.
        source: serde_json::Error,
    },
    /// Nothing says who the peer of a way out is.
    #[error(
        "the peer at {upstream} could be anybody: say its SPIFFE ID after a comma in --outbound, or in subjectAltNames of its DestinationRule"
    )]
    NoPeer {
        /// Where the way out leads.
        upstream: String,
    },
    /// A directory of policies has none.
    #[error("{} has no file that ends in .yaml or .yml", path.display())]
    NoPolicies {
        /// The directory.
        path: PathBuf,
    },
    /// A file of policies is not text.
    #[error("{} is not text in UTF-8, so no YAML", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Where it ceases to be.
        source: std::string::FromUtf8Error,
    },
    /// Envoy could not be told of a path.
    #[error(
        "the path {} is not text in UTF-8, and Envoy's settings can have no other: use another path",
        path.display()
    )]
    PathNotText {
        /// The path.
        path: PathBuf,
    },
    /// The bootstrap cannot be printed.
    #[error("the bootstrap cannot be printed")]
    Print {
        /// The system's answer.
        source: io::Error,
    },
    /// A file of policies cannot be read.
    #[error("policies cannot be read")]
    Read {
        /// Which, and why.
        #[from]
        source: InputError,
    },
    /// A directory of policies cannot be read.
    #[error("the directory {} cannot be read", path.display())]
    ReadDir {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The policies cannot be honoured, or contradict themselves.
    #[error("the policies are refused:{}", lines(refusals))]
    Refused {
        /// All of it.
        refusals: Vec<Refusal>,
    },
    /// Two listeners have one address.
    #[error(
        "two listeners at {listen}; give each --listen, --outbound and --admin its own address"
    )]
    SameListener {
        /// The address.
        listen: SocketAddr,
    },
    /// A Unix socket's path has a limit.
    #[error(
        "the path of the SDS socket has {len} bytes, and a socket's path at most {MAX_SOCKET_PATH}: use a shorter one"
    )]
    SocketPath {
        /// Bytes seen.
        len: usize,
    },
    /// Policies are asked, and there are none.
    #[error("{flag} says which of --policies are meant, and none are given")]
    WithoutPolicies {
        /// What was given.
        flag: &'static str,
    },
    /// A file that names the agent's files cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The tree cannot be written as YAML.
    #[error("the bootstrap cannot be written as YAML")]
    Yaml {
        /// What the writer says.
        #[from]
        source: serde_norway::Error,
    },
}

impl EnvoyError {
    /// Whether the command line is at fault.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::IdentityOfFiles
                | Self::NoPeer { .. }
                | Self::PathNotText { .. }
                | Self::SameListener { .. }
                | Self::SocketPath { .. }
                | Self::WithoutPolicies { .. }
        )
    }

    /// Whether the policies are.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

impl From<Vec<Refusal>> for EnvoyError {
    fn from(refusals: Vec<Refusal>) -> Self {
        Self::Refused { refusals }
    }
}

fn lines(refusals: &[Refusal]) -> String {
    let line =
        |refusal: &Refusal| format!("\n  {}", crate::output::printable(&refusal.to_string()));
    refusals.iter().map(line).collect()
}

/// `sockaddr_un` on Linux has 108 bytes with the last one zero (unix(7)).
pub(crate) const MAX_SOCKET_PATH: usize = 107;
