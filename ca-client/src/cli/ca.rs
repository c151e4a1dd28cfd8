//! Which settings do all commands have that talk to a CA?

use std::path::PathBuf;
use std::time::Duration;

use ca_client::CaAddress;
use proto::certificate::Fingerprint;
use proto::spiffe::SpiffeId;

use super::FilesOptions;
use super::LogFormat;
use super::values;

/// Which CA, who asks for what, and where the files go.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CaOptions {
    /// Where the CA listens for gRPC over TLS
    #[arg(long, env = "CA_ADDR", value_name = "HOST:PORT")]
    pub(crate) ca_addr: Option<CaAddress>,

    /// Roots that authenticate the CA (PEM); see below for when they count
    #[arg(long, env = "CA_ROOT_CA", value_name = "FILE")]
    pub(crate) ca_roots: Option<PathBuf>,

    /// SHA-256 of the CA's root certificate, instead of --ca-roots; colons are optional
    #[arg(long, env = "CA_FINGERPRINT", value_name = "SHA256")]
    pub(crate) ca_fingerprint: Option<Fingerprint>,

    /// File with the token that proves who asks, read again for each attempt ('-': standard input, fetch only).
    /// Without it, an unexpired certificate in --out is renewed over mutual TLS
    #[arg(long, env = "CA_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// Directory for cert-chain.pem, key.pem and root-cert.pem
    #[arg(long, env = "OUTPUT_CERTS", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Lifetime to ask for; the CA may grant less
    #[arg(long, env = "SECRET_TTL", value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    pub(crate) ttl: Duration,

    /// The SPIFFE ID that the certificate must have, as `spiffe://cluster.local/ns/shop/sa/cart`
    #[arg(long, value_name = "ID")]
    pub(crate) spiffe_id: Option<SpiffeId>,

    /// The name in the CA's certificate, if it is not the host of --ca-addr
    #[arg(long, value_name = "NAME")]
    pub(crate) server_name: Option<String>,

    /// The cluster to name in the request's header 'clusterid'
    #[arg(long, env = "ISTIO_META_CLUSTER_ID", value_name = "ID")]
    pub(crate) cluster_id: Option<String>,

    #[command(flatten)]
    pub(crate) files: FilesOptions,

    /// How long connecting, and then the call, may each take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::timeout)]
    pub(crate) timeout: Duration,

    /// Settings file (YAML): the long names of these flags as keys
    #[arg(long, env = "CA_CLIENT_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Form of the log on stderr
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}
