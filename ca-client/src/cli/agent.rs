//! Which settings does `agent` have, and which `status`?

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ca_client::agent::HookSignal;
use ca_client::workload_api::AllowRule;

use super::CaOptions;
use super::OutputFormat;
use super::values;

/// The settings of `agent`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AgentOptions {
    #[command(flatten)]
    pub(crate) ca: CaOptions,

    /// Serve many workloads: a YAML list (see below), read at the start
    #[arg(long, env = "CA_CLIENT_NODE", value_name = "FILE")]
    pub(crate) node: Option<PathBuf>,

    /// One more file, with private key and chain together, replaced in one step (--key-mode, --key-owner; --file-mode FILE=MODE)
    #[arg(long, value_name = "FILE")]
    pub(crate) combined: Option<PathBuf>,

    /// Share of a certificate's life that is left when it is renewed
    #[arg(long, env = "SECRET_GRACE_PERIOD_RATIO", value_name = "RATIO", default_value = "0.5", value_parser = values::ratio)]
    pub(crate) grace_period_ratio: f64,

    /// How far the ratio varies up and down, drawn once for each certificate
    #[arg(long, env = "SECRET_GRACE_PERIOD_RATIO_JITTER", value_name = "RATIO", default_value = "0.05", value_parser = values::jitter)]
    pub(crate) grace_period_ratio_jitter: f64,

    /// Command for /bin/sh to run after each swap of the files; its environment has the
    /// new serial number as `CA_CLIENT_SERIAL`
    #[arg(long, value_name = "COMMAND")]
    pub(crate) hook_command: Option<String>,

    /// When the hook's command is killed
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::timeout)]
    pub(crate) hook_timeout: Duration,

    /// Signal to send after each swap of the files, such as HUP
    #[arg(long, value_name = "SIGNAL")]
    pub(crate) hook_signal: Option<HookSignal>,

    /// File with the number of the process that gets the signal, read each time
    #[arg(long, value_name = "FILE")]
    pub(crate) hook_pid_file: Option<PathBuf>,

    /// How long readers of the files have to take them up, after the hook, before the CA is told that they are in use
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) settle: Duration,

    /// Serve Envoys by SDS v3 on a unix socket; without a path, where Istio's agent has it
    #[arg(long, env = "CA_CLIENT_SDS_SOCKET", value_name = "PATH", num_args = 0..=1, default_missing_value = ISTIO_SOCKET)]
    pub(crate) sds_socket: Option<PathBuf>,

    /// Permissions of the SDS socket, octal: whoever may write to it gets the private key
    #[arg(long, value_name = "MODE", default_value = "0660", value_parser = values::mode)]
    pub(crate) sds_mode: u32,

    /// The group of the SDS socket, in numbers; the agent's own if not given
    #[arg(long, value_name = "GID", value_parser = values::gid)]
    pub(crate) sds_group: Option<u32>,

    /// Serve workloads by the SPIFFE Workload API on a unix socket: a path, or `unix:///PATH` as SPIFFE's clients are told
    #[arg(long, env = "SPIFFE_ENDPOINT_SOCKET", value_name = "PATH", value_parser = values::endpoint)]
    pub(crate) workload_api_socket: Option<PathBuf>,

    /// Permissions of the Workload API's socket, octal; who may connect is then held against --workload-api-allow
    #[arg(long, value_name = "MODE", default_value = "0660", value_parser = values::mode)]
    pub(crate) workload_api_mode: u32,

    /// The group of the Workload API's socket, in numbers; the agent's own if not given
    #[arg(long, value_name = "GID", value_parser = values::gid)]
    pub(crate) workload_api_group: Option<u32>,

    /// Whom the Workload API serves, by user or main group, such as uid=1000,gid=1337; or any, who can connect. The
    /// agent's own user and root if not given
    #[arg(long, value_name = "RULE")]
    pub(crate) workload_api_allow: Option<AllowRule>,

    /// Where /healthz, /readyz, /metrics and /status are served; nowhere if not given
    #[arg(long, env = "CA_CLIENT_HTTP_ADDR", value_name = "ADDR")]
    pub(crate) http_addr: Option<SocketAddr>,
}

/// Where Envoys in Istio's sidecars look for it.
const ISTIO_SOCKET: &str = "./var/run/secrets/workload-spiffe-uds/socket";

/// The settings of `status`.
#[derive(Debug, clap::Args)]
pub(crate) struct StatusOptions {
    /// Directory with the files
    #[arg(long, env = "OUTPUT_CERTS", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// The --http-addr of a running agent
    #[arg(long, env = "CA_CLIENT_HTTP_ADDR", value_name = "ADDR")]
    pub(crate) http_addr: Option<SocketAddr>,

    /// Form of the result on stdout
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: OutputFormat,
}

pub(super) const AGENT_HELP: &str = "\
Examples:
  First contact with a token, then for ever, with health on a port:
    ca-client agent --ca-addr ca.example:15012 --ca-fingerprint 3F:…:A0 \\
      --token-file /var/run/secrets/tokens/istio-token --out /etc/certs \\
      --http-addr 127.0.0.1:15021

  Tell nginx after each renewal:
    ca-client agent … --hook-signal HUP --hook-pid-file /run/nginx.pid

  Keep a Java program's stores fresh (keystore.p12, alias workload, and truststore.p12):
    ca-client agent … --pkcs12-password-file password --file-owner keystore.p12=1337

  Serve an Envoy of group 1337 by SDS (secrets default and ROOTCA):
    ca-client agent … --sds-socket /run/signet/sds.sock --sds-group 1337

  Serve workloads of user 1000 by the SPIFFE Workload API:
    ca-client agent … --workload-api-socket unix:///run/signet/workload.sock \\
      --workload-api-mode 0666 --workload-api-allow uid=1000

  Serve all workloads of a machine, each with its own token and directory:
    ca-client agent … --ca-roots root-cert.pem --node workloads.yaml \\
      --sds-socket /run/signet/sds.sock --sds-mode 0666 --workload-api-socket /run/signet/workload.sock
  with workloads.yaml:
    - name: reviews
      allow: uid=1001                 # or gid=1337, several with commas, or any
      token_file: /run/signet/tokens/reviews
      out: /var/lib/signet-agent/reviews
      spiffe_id: spiffe://cluster.local/ns/bookinfo/sa/reviews   # insist on it; may be left out
  A peer gets the identities of all workloads whose rule names it, the first as its
  default; by SDS each goes by its SPIFFE ID too.

Which roots authenticate the CA:
  --ca-roots or --ca-fingerprint for the first contact only. From then on the trust
  bundle that came with the certificate counts, also after a restart (root-cert.pem
  in --out). To move to another CA, stop the agent and remove the files.
  When the CA changes its roots it says so at once (signet.v1.TrustService): new roots
  come beside the same certificate, older ones never. Once the files are renamed, the
  hook has ended well, --settle has passed and all SDS streams have acknowledged them,
  the CA is told that they are in use.

Who asks: the token if there is one, else the certificate that is there; the other of
the two when the CA refuses one. What worked is tried first the next time, until the
token file changes.

Signals: TERM and INT end it (exit code 0), HUP renews at once.
READY=1 is sent to systemd (Type=notify) when a valid certificate is on disk.
RUST_LOG chooses what is logged on stderr (default: info).

Exit codes: 0 stopped by a signal, 1 could not start (the directory, the port),
2 the command line or settings are wrong. Nothing that happens later ends it.";

pub(super) const STATUS_HELP: &str = "\
Reads the files in --out, asks the agent at --http-addr, or both.

Exit codes: 0 a valid certificate is there, 1 nothing could be read, 2 the command line
is wrong, 3 there is no valid certificate.";
