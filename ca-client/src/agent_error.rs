//! Why does `ca-client agent` not start?

use std::net::SocketAddr;
use std::path::PathBuf;

use ca_client::BuildError;
use ca_client::agent::RenewalError;
use ca_client::files::FilesError;
use ca_client::files::PasswordError;
use ca_client::socket::LocalSocketError;

use crate::fetch::FetchError;
use crate::node_file::NodeFileError;

/// Why the agent could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// The request cannot be made of the settings.
    #[error("the settings do not fit")]
    Build {
        /// What is wrong with them.
        #[from]
        source: BuildError,
    },
    /// The output directory cannot be used.
    #[error("the output directory cannot be used")]
    Files {
        /// Why not.
        #[from]
        source: FilesError,
    },
    /// A signal without a process, or a process without a signal.
    #[error("--hook-signal and --hook-pid-file belong together; give both or neither")]
    HalfAHook,
    /// The port cannot be had.
    #[error("cannot listen on --http-addr {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The list of workloads cannot be used.
    #[error("the list of workloads {} is refused", path.display())]
    NodeFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NodeFileError,
    },
    /// Workloads that are added to the list have no roots of an earlier run.
    #[error(
        "nothing authenticates the CA: --node needs --ca-roots FILE or --ca-fingerprint SHA256"
    )]
    NodeNeedsTrust,
    /// Nothing would ever authenticate us.
    #[error("no credential: give --token-file FILE ({} holds no certificate that could be renewed)", out.display())]
    NoCredential {
        /// The output directory.
        out: PathBuf,
    },
    /// Nothing would ever authenticate the CA.
    #[error(
        "nothing authenticates the CA: give --ca-roots FILE or --ca-fingerprint SHA256 ({} holds no root-cert.pem of an earlier run)",
        out.display()
    )]
    NoTrust {
        /// The output directory.
        out: PathBuf,
    },
    /// What is said once for each workload is said for all.
    #[error("{flag} does not go with --node: {instead}")]
    NotWithNode {
        /// Which flag.
        flag: &'static str,
        /// Where it is said.
        instead: &'static str,
    },
    /// The PKCS#12 files cannot be written.
    #[error("--pkcs12-password-file cannot be used")]
    Password {
        /// Why not.
        #[from]
        source: PasswordError,
    },
    /// Certificates would not be renewed within their life.
    #[error("the grace period does not fit")]
    Renewal {
        /// Why not.
        #[from]
        source: RenewalError,
    },
    /// Both kinds of callers would find the same.
    #[error("--sds-socket and --workload-api-socket are the same path; give them one each")]
    SameSocket,
    /// Others have a socket's path.
    #[error("the socket of {flag} cannot be had")]
    SocketInTheWay {
        /// Which.
        flag: &'static str,
        /// Who.
        source: LocalSocketError,
    },
    /// No socket can be there.
    #[error("{flag} does not fit")]
    Socket {
        /// Which.
        flag: &'static str,
        /// Why not.
        source: LocalSocketError,
    },
    /// A setting is missing.
    #[error(transparent)]
    Settings(#[from] FetchError),
    /// Signals cannot be received.
    #[error("cannot receive signals")]
    Signals {
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A token that can be read once is no use for ever.
    #[error(
        "--token-file - is for fetch; an agent reads its token again and again, so give it a file"
    )]
    TokenFromStdin,
    /// Which of them should it be?
    #[error("give --hook-command or --hook-signal with --hook-pid-file, not both")]
    TwoHooks,
}

impl AgentError {
    /// Whether other settings, not another try, would help.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Build { .. }
            | Self::HalfAHook
            | Self::TwoHooks
            | Self::NoCredential { .. }
            | Self::NodeFile { .. }
            | Self::NodeNeedsTrust
            | Self::NotWithNode { .. }
            | Self::NoTrust { .. }
            | Self::Renewal { .. }
            | Self::SameSocket
            | Self::Socket { .. }
            | Self::TokenFromStdin => true,
            Self::Settings(error) => error.is_usage(),
            Self::Files { source } => source.is_usage(),
            Self::Password { .. }
            | Self::Listen { .. }
            | Self::SocketInTheWay { .. }
            | Self::Signals { .. } => false,
        }
    }
}
