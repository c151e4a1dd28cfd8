//! Which settings has `envoy`?

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ca_client::files::FileNames;
use proto::spiffe::SpiffeId;
use proto::spiffe::SpiffeIdError;
use proto::spiffe::TrustDomain;

use super::values;
use crate::envoy::Endpoint;
use crate::envoy::Mode;
use crate::envoy::OutboundWish;
use crate::envoy::Peer;
use crate::envoy::Protocol;

/// The settings of `envoy`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("ways").args(["listen", "outbound"]).required(true).multiple(true))]
#[command(group = clap::ArgGroup::new("decider").args(["mtls", "policies"]))]
pub(crate) struct EnvoyOptions {
    /// What callers may speak; or let --policies decide
    #[arg(long, value_name = "MODE", requires = "listen")]
    pub(crate) mtls: Option<ModeName>,

    /// Where callers come in
    #[arg(long, value_name = "IP:PORT", requires_all = ["upstream", "decider"])]
    pub(crate) listen: Option<SocketAddr>,

    /// Where the workload is: what comes in goes there in plain text
    #[arg(long, value_name = "HOST:PORT", requires = "listen")]
    pub(crate) upstream: Option<Endpoint>,

    /// A way out to one peer over mutual TLS (repeatable): where the workload connects to, the peer, and who that is:
    /// 127.0.0.1:9080=ratings:9080,spiffe://cluster.local/ns/bookinfo/sa/ratings
    #[arg(long, value_name = "LISTEN=PEER[,…]")]
    pub(crate) outbound: Vec<OutboundWish>,

    /// A caller that may come over mutual TLS, /* at the end for all below (repeatable); all of --trust-domain, if none is given
    #[arg(long, value_name = "SPIFFE-ID", requires = "listen")]
    pub(crate) allow: Vec<Peer>,

    /// The trust domain of callers
    #[arg(
        long,
        value_name = "NAME",
        env = "TRUST_DOMAIN",
        default_value = "cluster.local"
    )]
    pub(crate) trust_domain: TrustDomain,

    /// What is spoken inside of TLS: http (HTTP/1.1), http2 (gRPC) or tcp (anything)
    #[arg(long, value_name = "PROTOCOL", default_value = "http")]
    pub(crate) protocol: ProtocolName,

    /// The agent's SDS socket
    #[arg(long, value_name = "PATH", default_value = SDS_SOCKET, conflicts_with = "certs")]
    pub(crate) sds_socket: PathBuf,

    /// The certificate to ask the agent's socket for, if it serves several workloads: its SPIFFE ID in place of 'default'; not with
    /// --certs, which has one certificate
    #[arg(long, value_name = "SPIFFE-ID", value_parser = identity)]
    pub(crate) identity: Option<SpiffeId>,

    /// Take the agent's files (its --out) instead of its socket
    #[arg(long, value_name = "DIR", requires = "secrets_dir")]
    pub(crate) certs: Option<PathBuf>,

    /// With --certs: where to write the two files by which Envoy watches them
    #[arg(long, value_name = "DIR", requires = "certs")]
    pub(crate) secrets_dir: Option<PathBuf>,

    /// With --certs: what the files are called, istio or kubernetes
    #[arg(long, value_name = "NAMES", default_value = "istio", value_parser = values::names)]
    pub(crate) names: FileNames,

    /// When a connection over TLS ends, and with it the certificates that it began with; below half of the agent's --ttl
    #[arg(long, value_name = "DURATION", default_value = "25m", value_parser = values::timeout)]
    pub(crate) max_connection_duration: Duration,

    /// Envoy's admin port; none, if it is not given
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) admin: Option<SocketAddr>,

    /// What Envoy calls itself towards the agent
    #[arg(long, value_name = "NAME", default_value = "sidecar")]
    pub(crate) node: String,

    #[command(flatten)]
    pub(crate) policy: PolicyOptions,

    /// Form of the bootstrap on stdout
    #[arg(long, value_name = "FORMAT", default_value = "yaml")]
    pub(crate) output: DocumentFormat,
}

/// Which policies there are, and which workload they are asked about.
#[derive(Debug, clap::Args)]
pub(crate) struct PolicyOptions {
    /// The mesh's policies as YAML: a file, or a directory of .yaml and .yml (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(crate) policies: Vec<PathBuf>,

    /// The workload's namespace, and that of resources which name none
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,

    /// The workload's labels, as app=reviews,version=v2
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,

    /// The workload's service
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,

    /// The workload's port, as portLevelMtls knows it; if it is not given, that of --upstream and that of --listen are
    /// looked for, and refused where they decide differently
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,

    /// The port of the workload's service, as targets of older policies and portLevelSettings know it; where they
    /// decide and it is not given, they are refused
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) service_port: Option<u16>,

    /// The namespace whose policies hold for the whole mesh
    #[arg(long, value_name = "NAME", default_value = "istio-system")]
    pub(crate) root_namespace: String,

    /// The domain of services' names
    #[arg(long, value_name = "NAME", default_value = "cluster.local")]
    pub(crate) cluster_domain: String,
}

/// What callers may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ModeName {
    /// Mutual TLS and nothing else.
    Strict,
    /// Mutual TLS or plain text.
    Permissive,
    /// Plain text and nothing else.
    Disable,
}

impl PolicyOptions {
    /// The flag that says something of the workload, if there is one.
    pub(crate) fn flag(&self) -> Option<&'static str> {
        let given = [
            ("--namespace", self.namespace.is_some()),
            ("--labels", !self.labels.is_empty()),
            ("--service", self.service.is_some()),
            ("--port", self.port.is_some()),
            ("--service-port", self.service_port.is_some()),
        ];
        given
            .into_iter()
            .find_map(|(flag, given)| given.then_some(flag))
    }
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Strict => Self::Strict,
            ModeName::Permissive => Self::Permissive,
            ModeName::Disable => Self::Disable,
        }
    }
}

/// What is spoken inside of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ProtocolName {
    /// HTTP/1.1.
    Http,
    /// HTTP/2.
    Http2,
    /// Bytes.
    Tcp,
}

impl From<ProtocolName> for Protocol {
    fn from(name: ProtocolName) -> Self {
        match name {
            ProtocolName::Http => Self::Http,
            ProtocolName::Http2 => Self::Http2,
            ProtocolName::Tcp => Self::Tcp,
        }
    }
}

/// Form of a document that a program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DocumentFormat {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

fn identity(text: &str) -> Result<SpiffeId, String> {
    let id: SpiffeId = text
        .parse()
        .map_err(|error: SpiffeIdError| error.to_string())?;
    match id.path() {
        "" => Err("it names a trust domain and no workload".to_owned()),
        _ => Ok(id),
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, such as app=reviews".to_owned()),
    }
}

/// Where Istio's agents have it.
const SDS_SOCKET: &str = "/var/run/secrets/workload-spiffe-uds/socket";

pub(super) const ENVOY_HELP: &str = "\
Examples:
  Let in callers of the mesh over mutual TLS only:
    ca-client envoy --mtls strict --listen 0.0.0.0:15006 --upstream 127.0.0.1:8080 > envoy.yaml

  And call a peer, whom the workload reaches at 127.0.0.1:9080 from now on:
    ca-client envoy --mtls strict --listen 0.0.0.0:15006 --upstream 127.0.0.1:8080 \\
      --outbound 127.0.0.1:9080=ratings.bookinfo:15006,spiffe://cluster.local/ns/bookinfo/sa/bookinfo-ratings

  As the mesh's own policies have it:
    ca-client envoy --policies mesh/ --namespace bookinfo --labels app=reviews --service reviews \\
      --listen 0.0.0.0:15006 --upstream 127.0.0.1:9080

After the address of a peer, with commas:
  spiffe://TD/PATH      who the peer must be (repeatable; /* at the end for all below)
  service=HOST          the name that a DestinationRule knows it by, if PEER is an address
  port=N                the service's port, by which portLevelSettings of a DestinationRule know it
  mtls=on|off           overrides what would be taken as given where no DestinationRule says
  protocol=NAME         instead of --protocol

Certificates come from the agent's SDS socket, or from its files: then two small files go to
--secrets-dir, which must stay where they are. Paths are as Envoy will see them, and the
agent's directory must be there when Envoy starts; certificates may come later. A socket that
serves several workloads knows each certificate by its SPIFFE ID: --identity asks for that one.

Read of --policies: PeerAuthentication, Policy, MeshPolicy, ServiceMeshPolicy, DestinationRule.
They are refused with file, line, rule and reason where they cannot be honoured or contradict
themselves: nothing is printed then. What decided is told on stderr.

Exit codes: 0 printed, 1 could not, 2 the command line is wrong, 3 the policies are refused.";
