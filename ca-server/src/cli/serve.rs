//! The flags of `ca-server serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::ValueEnum;

/// Where data is kept unless told otherwise.
pub(super) const DATA_DIR: &str = "/var/lib/signet";

/// `serve`
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// YAML file with any of these flags as keys, such as `default-ttl: 1h`.
    #[arg(long, env = "SIGNET_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where ledger, self-signed CA, trust bundle and admin.sock live.
    #[arg(long, env = "SIGNET_DATA_DIR", default_value = DATA_DIR, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Operator's CA bundle. Used when it holds one; else a self-signed CA is made in the data directory.
    #[arg(
        long,
        env = "ROOT_CA_DIR",
        default_value = "/etc/cacerts",
        value_name = "DIR"
    )]
    pub root_ca_dir: PathBuf,
    /// Trust domain of every SPIFFE ID issued.
    #[arg(
        long,
        env = "TRUST_DOMAIN",
        default_value = "cluster.local",
        value_name = "NAME"
    )]
    pub trust_domain: String,
    /// gRPC over TLS: the CSR API, health, reflection. Port 0 takes a free one; the log says which.
    #[arg(
        long,
        env = "SIGNET_GRPC_ADDR",
        default_value = "0.0.0.0:15012",
        value_name = "ADDR"
    )]
    pub grpc_addr: SocketAddr,
    /// HTTP: /healthz, /readyz, /ca.pem, /bundle.json (the SPIFFE bundle), /metrics.
    #[arg(
        long,
        env = "SIGNET_HTTP_ADDR",
        default_value = "0.0.0.0:15014",
        value_name = "ADDR"
    )]
    pub http_addr: SocketAddr,
    /// HTTPS: the SPIFFE bundle for other trust domains at / and /bundle.json, as SPIFFE Federation's profile `https_spiffe`
    /// with the SPIFFE ID <spiffe://TRUST-DOMAIN/signet/server>. Off unless given.
    #[arg(long, env = "SIGNET_BUNDLE_ADDR", value_name = "ADDR")]
    pub bundle_addr: Option<SocketAddr>,
    /// YAML list of token issuers whose JWTs are believed: issuer, audiences, `jwks_file`.
    #[arg(long, env = "SIGNET_ISSUERS", value_name = "FILE")]
    pub issuers: Option<PathBuf>,
    /// Audiences accepted of issuers that list none of their own.
    #[arg(
        long,
        env = "TOKEN_AUDIENCES",
        default_value = "istio-ca",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub token_audiences: Vec<String>,
    /// Lifetime of a leaf whose CSR asks for none.
    #[arg(long, env = "DEFAULT_WORKLOAD_CERT_TTL", default_value = "24h", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub default_ttl: Duration,
    /// Longest lifetime that may be asked for.
    #[arg(long, env = "MAX_WORKLOAD_CERT_TTL", default_value = "2160h", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub max_ttl: Duration,
    /// Shortest lifetime that may be asked for.
    #[arg(long, env = "SIGNET_MIN_TTL", default_value = "1m", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub min_ttl: Duration,
    /// Longest lifetime of a leaf while a rotation is under way: the old root can go when its last leaf is over.
    #[arg(long, env = "SIGNET_ROTATION_TTL", default_value = "24h", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub rotation_ttl: Duration,
    /// How long leaves may live that this ledger cannot know, because another CA signed with the same bundle before.
    #[arg(long, env = "SIGNET_UNRECORDED_TTL", default_value = "24h", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub unrecorded_ttl: Duration,
    /// How often the operator's CA bundle is read and compared, also where the system tells of no change.
    #[arg(long, env = "SIGNET_RELOAD_INTERVAL", default_value = "10s", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub reload_interval: Duration,
    /// Do not ask the system to tell of changes in --root-ca-dir; only --reload-interval finds them then.
    #[arg(long)]
    pub no_inotify: bool,
    /// Do not copy the operator's CA bundle, with its key, to the data directory. Replacing it while the server is
    /// stopped breaks whoever does not know the new root yet.
    #[arg(long)]
    pub no_key_copy: bool,
    /// DNS name or IP address in the server's own certificate; repeatable.
    /// [default: localhost, 127.0.0.1, `::1`, the host name, istiod.istio-system.svc]
    #[arg(
        long,
        env = "SIGNET_SERVING_NAMES",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub serving_name: Vec<String>,
    /// Open gRPC connections at once; more are closed on arrival.
    #[arg(
        long,
        env = "SIGNET_MAX_CONNECTIONS",
        default_value_t = 10_000,
        allow_negative_numbers = true,
        value_name = "N"
    )]
    pub max_connections: usize,
    /// How long a peer may take for the TLS handshake, and again for the HTTP/2 preface.
    #[arg(long, env = "SIGNET_HANDSHAKE_TIMEOUT", default_value = "10s", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub handshake_timeout: Duration,
    /// How long a request may take to arrive and be answered.
    #[arg(long, env = "SIGNET_REQUEST_TIMEOUT", default_value = "15s", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub request_timeout: Duration,
    /// How long open requests may go on after SIGTERM.
    #[arg(long, env = "SIGNET_DRAIN_TIMEOUT", default_value = "10s", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub drain_timeout: Duration,
    /// Log lines for people or as JSON.
    #[arg(
        long,
        env = "SIGNET_LOG_FORMAT",
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
    /// What is logged: off, error, warn, info, debug, trace, or a filter such as `ca_server=debug`.
    #[arg(
        long,
        env = "SIGNET_LOG_LEVEL",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub log_level: String,
    /// Make a new self-signed root although this data directory once had another, now lost.
    /// Everything issued under the lost one stops being trusted.
    #[arg(long)]
    pub allow_new_root: bool,
    /// Use a data directory that belonged to another trust domain.
    #[arg(long)]
    pub allow_trust_domain_change: bool,
    /// Start with an empty ledger when the old one does not open; the old one is set aside, never deleted.
    /// The new ledger has no denials: make them again with `ca-server certs deny`.
    #[arg(long)]
    pub fresh_ledger: bool,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
