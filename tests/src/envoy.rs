//! A reader of secrets by SDS over a unix socket, as an Envoy is one, that acknowledges when we want it to.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryResponse;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse;
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_client::SecretDiscoveryServiceClient;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::rpc::Status as ErrorDetail;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::Streaming;
use tonic::transport::Channel;
use tonic::transport::Endpoint;

use crate::workload::judge;

/// The client that Envoy's own `.proto` makes.
pub type Client = SecretDiscoveryServiceClient<Channel>;

/// A connection of its own.
///
/// # Errors
/// When nobody answers.
pub async fn connect(path: &Path) -> Result<Client, tonic::transport::Error> {
    let path: PathBuf = path.to_owned();
    let connector = tower::service_fn(move |_uri| {
        let path = path.clone();
        async move { Ok::<_, io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    let channel = endpoint.connect_with_connector(connector).await?;
    Ok(SecretDiscoveryServiceClient::new(channel))
}

/// A first request of node `me`.
#[must_use]
pub fn asking(names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        node: Some(Node {
            id: "me".to_owned(),
            // An Envoy names some hundred extensions here.
            cluster: "x".repeat(60_000),
            ..Node::default()
        }),
        resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
        type_url: TYPE_URL.to_owned(),
        ..DiscoveryRequest::default()
    }
}

/// What is in an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    /// In the order of the answer.
    pub names: Vec<String>,
    /// PEM, where there was a certificate.
    pub chain: String,
    /// PEM, where there was a certificate.
    pub key: String,
    /// PEM, where there were roots.
    pub roots: String,
}

impl Secrets {
    /// Opens those of `resources`, which may be of the kind that the other form has.
    ///
    /// # Panics
    /// When there is something else.
    #[must_use]
    pub fn of<'a>(resources: impl IntoIterator<Item = &'a Any>) -> Self {
        let mut secrets = Self::default();
        for resource in resources {
            assert_eq!(resource.type_url, TYPE_URL);
            let secret = Secret::decode(resource.value.as_slice()).unwrap();
            secrets.names.push(secret.name);
            match secret.r#type.unwrap() {
                Type::TlsCertificate(certificate) => {
                    secrets.chain = text(certificate.certificate_chain);
                    secrets.key = text(certificate.private_key);
                }
                Type::ValidationContext(context) => secrets.roots = text(context.trusted_ca),
                _ => panic!("neither certificate nor roots"),
            }
        }
        secrets
    }

    /// The leaf's serial, if the certificate fits its key and leads to these roots.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn serial_under(&self, roots: &str) -> String {
        judge(self.chain.as_bytes(), self.key.as_bytes(), roots.as_bytes()).unwrap()
    }
}

fn text(source: Option<DataSource>) -> String {
    match source.unwrap().specifier.unwrap() {
        Specifier::InlineBytes(bytes) => String::from_utf8(bytes).unwrap(),
        _ => panic!("not inline"),
    }
}

/// A state-of-the-world stream.
#[derive(Debug)]
pub struct Reader {
    /// What the agent says.
    pub answers: Streaming<DiscoveryResponse>,
    /// What it is told.
    pub requests: mpsc::Sender<DiscoveryRequest>,
    names: Vec<String>,
    nonce: String,
}

impl Reader {
    /// Over a connection of its own.
    ///
    /// # Panics
    /// When there is none.
    pub async fn open(path: &Path, names: &[&str]) -> Self {
        let client = connect(path).await.unwrap();
        Self::over(client, asking(names)).await.unwrap()
    }

    /// Over an open connection, with any first request.
    ///
    /// # Errors
    /// The agent's status.
    pub async fn over(mut client: Client, first: DiscoveryRequest) -> Result<Self, Status> {
        let (requests, queued) = mpsc::channel(64);
        let names = first.resource_names.clone();
        requests.try_send(first).unwrap();
        let answers = client.stream_secrets(ReceiverStream::new(queued)).await?;
        Ok(Self {
            answers: answers.into_inner(),
            requests,
            names,
            nonce: String::new(),
        })
    }

    /// The next answer.
    ///
    /// # Panics
    /// When none comes in time, or the stream ends.
    pub async fn next(&mut self) -> Secrets {
        let answer = timeout(LIMIT, self.answers.message()).await.unwrap();
        let answer = answer.unwrap().expect("the stream ended");
        self.nonce = answer.nonce;
        Secrets::of(&answer.resources)
    }

    /// The next answer, acknowledged.
    ///
    /// # Panics
    /// As [`Self::next`].
    pub async fn take(&mut self) -> Secrets {
        let secrets = self.next().await;
        self.ack().await;
        secrets
    }

    /// Whether nothing comes for a while.
    pub async fn is_silent(&mut self, while_: Duration) -> bool {
        timeout(while_, self.answers.message()).await.is_err()
    }

    /// Acknowledges the last answer.
    pub async fn ack(&self) {
        self.say(None).await;
    }

    /// Refuses the last answer.
    pub async fn nack(&self, why: &str) {
        self.say(Some(why)).await;
    }

    /// Wants other names from now on.
    pub async fn want(&mut self, names: &[&str]) {
        self.names = names.iter().map(|name| (*name).to_owned()).collect();
        self.say(None).await;
    }

    async fn say(&self, refusal: Option<&str>) {
        let request = DiscoveryRequest {
            resource_names: self.names.clone(),
            response_nonce: self.nonce.clone(),
            type_url: TYPE_URL.to_owned(),
            error_detail: refusal.map(|why| ErrorDetail {
                message: why.to_owned(),
                ..ErrorDetail::default()
            }),
            ..DiscoveryRequest::default()
        };
        self.requests.send(request).await.unwrap();
    }
}

/// A delta stream.
#[derive(Debug)]
pub struct DeltaReader {
    /// What the agent says.
    pub answers: Streaming<DeltaDiscoveryResponse>,
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
}

impl DeltaReader {
    /// Over a connection of its own.
    ///
    /// # Panics
    /// When there is none.
    pub async fn open(path: &Path, first: DeltaDiscoveryRequest) -> Self {
        let (requests, queued) = mpsc::channel(64);
        requests.try_send(first).unwrap();
        let mut client = connect(path).await.unwrap();
        let answers = client.delta_secrets(ReceiverStream::new(queued)).await;
        Self {
            answers: answers.unwrap().into_inner(),
            requests,
        }
    }

    /// The next answer, acknowledged beside other wishes: what it has, and its versions by name.
    ///
    /// # Panics
    /// When none comes in time, or the stream ends.
    pub async fn take(
        &mut self,
        wishes: DeltaDiscoveryRequest,
    ) -> (Secrets, Vec<(String, String)>) {
        let answer = timeout(LIMIT, self.answers.message()).await.unwrap();
        let answer = answer.unwrap().expect("the stream ended");
        let request = DeltaDiscoveryRequest {
            response_nonce: answer.nonce,
            ..wishes
        };
        self.requests.send(request).await.unwrap();
        let bodies = answer
            .resources
            .iter()
            .map(|it| it.resource.as_ref().unwrap());
        let secrets = Secrets::of(bodies);
        let versions = answer.resources.into_iter().map(|it| (it.name, it.version));
        (secrets, versions.collect())
    }
}

/// Asks a delta stream for `names`.
#[must_use]
pub fn subscribing(names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        type_url: TYPE_URL.to_owned(),
        resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
        ..DeltaDiscoveryRequest::default()
    }
}

/// What all secrets are.
pub const TYPE_URL: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
const LIMIT: Duration = Duration::from_secs(30);
