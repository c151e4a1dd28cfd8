//! What does `ca-client agent` do around the agent of the library? Settings, refusals, the port.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use ca_client::Agent;
use ca_client::BuildError;
use ca_client::SystemClock;
use ca_client::agent::FirstContact;
use ca_client::agent::Hook;
use ca_client::agent::Output;
use ca_client::agent::Renewal;
use ca_client::agent::RenewalError;
use ca_client::files;
use ca_client::files::Combined;
use ca_client::files::FileAccess;
use ca_client::files::FilesError;
use ca_client::files::PasswordError;
use ca_client::health::Health;
use ca_client::socket::LocalSocketError;
use tokio::net::TcpListener;

use crate::agent_sockets::Sockets;
use crate::cli::AgentOptions;
use crate::cli::CaOptions;
use crate::fetch;
use crate::fetch::FetchError;
use crate::supervisor;
use crate::supervisor::Signals;

/// Runs until a signal ends it.
pub(crate) async fn run(options: AgentOptions) -> Result<(), AgentError> {
    let sockets = Sockets::checked(&options).await?;
    let agent = agent(&options, sockets)?;
    let listener = listen(options.http_addr).await?;
    let signals = Signals::new().map_err(|source| AgentError::Signals { source })?;
    let health = Health {
        status: agent.status(),
        clock: Arc::new(SystemClock),
    };
    let (status, wake) = (agent.status(), agent.renew_now());
    tokio::select! {
        () = agent.run() => {}
        () = serve(health, listener) => {}
        () = supervisor::tell_systemd(status) => {}
        name = signals.until_end(&wake) => {
            tracing::info!(signal = name, "stopping; the files stay");
            supervisor::tell_stopping();
        }
    }
    Ok(())
}

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
    /// Nothing would ever authenticate us.
    #[error("no credential: give --token-file FILE ({} holds no certificate that could be renewed)", out.display())]
    NoCredential {
        /// The output directory.
        out: std::path::PathBuf,
    },
    /// Nothing would ever authenticate the CA.
    #[error(
        "nothing authenticates the CA: give --ca-roots FILE or --ca-fingerprint SHA256 ({} holds no root-cert.pem of an earlier run)",
        out.display()
    )]
    NoTrust {
        /// The output directory.
        out: std::path::PathBuf,
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

fn agent(options: &AgentOptions, sockets: Sockets) -> Result<Agent, AgentError> {
    let ca = &options.ca;
    let address = fetch::required(&ca.ca_addr, "--ca-addr HOST:PORT", "CA_ADDR")?;
    let out = fetch::required(&ca.out, "--out DIR", "OUTPUT_CERTS")?;
    let request = fetch::client(address, ca);
    request.check()?;
    let hook = hook(options)?;
    refuse_the_impossible(ca, &out)?;
    let output = output(options, &out)?;
    let share = 1.0 - options.grace_period_ratio;
    let renewal = Renewal::new(share, options.grace_period_ratio_jitter)?;
    let mut builder = Agent::builder(request)
        .output(output)
        .renewal(renewal)
        .settle(options.settle);
    if let Some(first_contact) = first_contact(ca) {
        builder = builder.first_contact(first_contact);
    }
    if let Some(path) = &ca.token_file {
        builder = builder.token_file(path);
    }
    if let Some(sds) = sockets.sds {
        builder = builder.sds(sds);
    }
    if let Some(api) = sockets.workload_api {
        builder = builder.workload_api(api);
    }
    if let Some(hook) = hook {
        builder = builder.hook(hook);
    }
    Ok(builder.build())
}

/// The set of files, and the combined one, which may have permissions and an owner of its own too.
fn output(options: &AgentOptions, out: &Path) -> Result<Output, AgentError> {
    let files = &options.ca.files;
    let mut wanted = fetch::output_options(files)?;
    let Some(path) = &options.combined else {
        return Ok(Output::open(out, wanted, None)?);
    };
    let (mut mode, mut owner) = (files.key_mode, files.key_owner);
    let of_the_set: Vec<&str> = wanted.wanted().collect();
    let is_combined =
        |it: &FileAccess| Path::new(&it.name) == path && !of_the_set.contains(&it.name.as_str());
    for exception in wanted.exceptions.extract_if(.., |it| is_combined(it)) {
        mode = exception.mode.unwrap_or(mode);
        owner = exception.owner.or(owner);
    }
    if mode & 0o007 != 0 {
        let path = path.display();
        tracing::warn!("everybody on this machine may read the private key in {path}");
    }
    let combined = Combined::new(path, mode, owner.unwrap_or_default());
    Ok(Output::open(out, wanted, Some(combined))?)
}

/// What would wait for ever for something that nobody is going to give.
fn refuse_the_impossible(ca: &CaOptions, out: &Path) -> Result<(), AgentError> {
    let token_file = ca.token_file.as_deref();
    if token_file == Some(Path::new("-")) {
        return Err(AgentError::TokenFromStdin);
    }
    // What is there but cannot be read is reported by the agent, which goes on without it.
    let is_stored = !matches!(files::stored_roots(out), Ok(None));
    if first_contact(ca).is_none() && !is_stored {
        return Err(AgentError::NoTrust {
            out: out.to_owned(),
        });
    }
    if token_file.is_none() && !is_stored {
        return Err(AgentError::NoCredential {
            out: out.to_owned(),
        });
    }
    Ok(())
}

fn first_contact(ca: &CaOptions) -> Option<FirstContact> {
    match (ca.ca_fingerprint, &ca.ca_roots) {
        (Some(fingerprint), _) => Some(FirstContact::fingerprint(fingerprint)),
        (None, Some(path)) => Some(FirstContact::roots_file(path)),
        (None, None) => None,
    }
}

/// Judged here and not by clap, which does not look at values of the settings file together.
fn hook(options: &AgentOptions) -> Result<Option<Hook>, AgentError> {
    let (command, signal) = (&options.hook_command, options.hook_signal);
    match (command, signal, &options.hook_pid_file) {
        (None, None, None) => Ok(None),
        (Some(command), None, None) => Ok(Some(Hook::command(command, options.hook_timeout))),
        (None, Some(signal), Some(pid_file)) => Ok(Some(Hook::signal(signal, pid_file))),
        (Some(_), _, _) => Err(AgentError::TwoHooks),
        (None, _, _) => Err(AgentError::HalfAHook),
    }
}

async fn listen(addr: Option<SocketAddr>) -> Result<Option<TcpListener>, AgentError> {
    let Some(addr) = addr else {
        return Ok(None);
    };
    let failed = |source| AgentError::Listen { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tracing::info!(http = %bound, "listening");
    Ok(Some(listener))
}

/// Never ends: an agent without its port is better than none.
async fn serve(health: Health, listener: Option<TcpListener>) {
    if let Some(listener) = listener
        && let Err(error) = health.serve(listener).await
    {
        tracing::error!(%error, "the HTTP port is lost");
    }
    std::future::pending::<()>().await;
}
