//! A watcher of the trust bundle that says what we want it to say, and reads when we want it to read.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use proto::istio::IstioCertificateRequest;
use proto::istio::istio_certificate_service_client::IstioCertificateServiceClient;
use proto::signet::InUse;
use proto::signet::TrustBundle;
use proto::signet::WatchTrustBundleRequest;
use proto::signet::trust_service_client::TrustServiceClient;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::Status;
use tonic::Streaming;
use tonic::transport::Channel;
use tonic::transport::Endpoint;
use x509_parser::prelude::FromDer as _;
use x509_parser::prelude::X509Certificate;

use crate::agent::ClientIdentity;
use crate::agent::channel;
use crate::agent::key_and_csr;
use crate::agent::tls_config;
use crate::ca::TestCa;

/// A leaf that was issued for an agent instance.
#[derive(Clone, Debug)]
pub struct Enrolled {
    /// Chain and key.
    pub identity: ClientIdentity,
    /// The leaf's serial, as an agent says it.
    pub serial: String,
    /// Which agent.
    pub instance: String,
}

impl Enrolled {
    /// By a token for `spiffe_id`, to live for `seconds`.
    ///
    /// # Panics
    /// When it is not issued.
    pub async fn new(ca: &TestCa, spiffe_id: &str, instance: u128, seconds: i64) -> Self {
        let channel = channel(ca.grpc, &ca.roots_pem(), None).await.unwrap();
        let token = format!("Bearer {}", ca.token(spiffe_id));
        Self::over(channel, Some(&token), spiffe_id, instance, seconds).await
    }

    /// Over a connection that may say by itself who calls.
    ///
    /// # Panics
    /// When it is not issued.
    pub async fn over(
        channel: Channel,
        bearer: Option<&str>,
        spiffe_id: &str,
        instance: u128,
        seconds: i64,
    ) -> Self {
        let (key, csr) = key_and_csr(spiffe_id);
        let instance = format!("{instance:032x}");
        let mut request = Request::new(IstioCertificateRequest {
            csr,
            validity_duration: seconds,
            metadata: None,
        });
        let metadata = request.metadata_mut();
        metadata.insert("signet-instance", instance.parse().unwrap());
        if let Some(bearer) = bearer {
            metadata.insert("authorization", bearer.parse().unwrap());
        }
        let mut client = IstioCertificateServiceClient::new(channel);
        let answer = client.create_certificate(request).await.unwrap();
        // The roots come last, in one element, and are not shown.
        let pems = answer.into_inner().cert_chain;
        let (_roots, shown) = pems.split_last().unwrap();
        let ders = shown.iter().map(|pem| pem::parse(pem).unwrap());
        let chain: Vec<Vec<u8>> = ders.map(pem::Pem::into_contents).collect();
        let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
        let serial = leaf.raw_serial().iter();
        let serial = serial.map(|byte| format!("{byte:02x}")).collect();
        Self {
            identity: (chain, key),
            serial,
            instance,
        }
    }

    /// That this leaf is served with `bundle`.
    #[must_use]
    pub fn serves(&self, bundle: u64) -> WatchTrustBundleRequest {
        WatchTrustBundleRequest {
            instance: self.instance.clone(),
            in_use: Some(InUse {
                bundle,
                serial: self.serial.clone(),
            }),
        }
    }
}

/// An open stream.
#[derive(Debug)]
pub struct Follower {
    /// What the CA says.
    pub answers: Streaming<TrustBundle>,
    /// What it is told; the stream is half closed when this is dropped.
    pub requests: mpsc::Sender<WatchTrustBundleRequest>,
}

impl Follower {
    /// Over a connection of its own.
    ///
    /// # Errors
    /// The server's status.
    ///
    /// # Panics
    /// When there is no connection.
    pub async fn of(ca: &TestCa, enrolled: &Enrolled) -> Result<Self, Status> {
        let config = tls_config(&ca.roots_pem(), Some(enrolled.identity.clone()));
        let channel = connect(ca.grpc, &Arc::new(config), None).await.unwrap();
        Self::over(channel).await
    }

    /// Over an open connection.
    ///
    /// # Errors
    /// The server's status.
    pub async fn over(channel: Channel) -> Result<Self, Status> {
        let (requests, queued) = mpsc::channel(1024);
        let mut client = TrustServiceClient::new(channel);
        let answers = client.watch_trust_bundle(ReceiverStream::new(queued));
        Ok(Self {
            answers: answers.await?.into_inner(),
            requests,
        })
    }

    /// The next state.
    ///
    /// # Errors
    /// How the stream ended.
    pub async fn next(&mut self) -> Result<TrustBundle, Status> {
        let next = self.answers.message().await?;
        next.ok_or_else(|| Status::ok("ended in order"))
    }

    /// Says something.
    ///
    /// # Panics
    /// When the stream is over.
    pub async fn say(&self, what: WatchTrustBundleRequest) {
        self.requests.send(what).await.unwrap();
    }

    /// Reads until the stream ends, and says how.
    pub async fn end(mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }
}

/// A connection to the server at `addr`, which lets the server send so many bytes of a stream ahead.
///
/// # Errors
/// When none comes about.
pub async fn connect(
    addr: SocketAddr,
    config: &Arc<ClientConfig>,
    window: Option<u32>,
) -> Result<Channel, tonic::transport::Error> {
    let config = Arc::clone(config);
    let connector = tower::service_fn(move |_uri| {
        let connector = TlsConnector::from(Arc::clone(&config));
        async move {
            let stream = TcpStream::connect(addr).await?;
            let name = ServerName::try_from("localhost").expect("a name");
            Ok::<_, std::io::Error>(TokioIo::new(connector.connect(name, stream).await?))
        }
    });
    Endpoint::from_static("http://localhost")
        .initial_stream_window_size(window)
        .connect_with_connector(connector)
        .await
}
