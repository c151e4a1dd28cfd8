//! A CA on a loopback port that answers as it is told, truthfully or not.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use ca_client::CaAddress;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use proto::certificate::Fingerprint;
use proto::istio::IstioCertificateRequest;
use proto::istio::IstioCertificateResponse;
use proto::istio::istio_certificate_service_server::IstioCertificateService;
use proto::istio::istio_certificate_service_server::IstioCertificateServiceServer;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tonic::Status;

use crate::CART;
use crate::pki::Leaf;
use crate::pki::Pki;

/// What the CA was asked, as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) csr: String,
    pub(crate) validity_duration: i64,
    pub(crate) authorization: Option<String>,
    pub(crate) cluster_id: Option<String>,
    pub(crate) client_certificates: usize,
}

pub(crate) type Answer = dyn Fn(&Pki, &Asked) -> Result<Vec<String>, Status> + Send + Sync;

/// Runs until dropped.
pub(crate) struct FakeCa {
    pub(crate) pki: Arc<Pki>,
    /// Of the TLS certificate.
    pub(crate) server_fingerprint: Fingerprint,
    asked: Arc<Mutex<Vec<Asked>>>,
    port: u16,
    serving: JoinHandle<()>,
}

impl FakeCa {
    /// Tells the truth: a leaf for [`CART`].
    pub(crate) async fn honest() -> Self {
        Self::start(|pki, asked| Ok(pki.answer(pki.leaf(&asked.csr, &Leaf::named(CART))))).await
    }

    /// Answers what `answer` says.
    pub(crate) async fn start(
        answer: impl Fn(&Pki, &Asked) -> Result<Vec<String>, Status> + Send + Sync + 'static,
    ) -> Self {
        Self::with(Arc::new(answer), &["127.0.0.1"]).await
    }

    /// Never answers a request.
    pub(crate) async fn silent() -> Self {
        let pki = Pki::new("fake");
        let tls = tls(&pki, &["127.0.0.1"], &[]);
        Self::serve(pki, None, tls).await
    }

    /// Has a TLS certificate for other names.
    pub(crate) async fn named(names: &[&str]) -> Self {
        let answer: Arc<Answer> =
            Arc::new(|pki, asked| Ok(pki.answer(pki.leaf(&asked.csr, &Leaf::named(CART)))));
        Self::with(answer, names).await
    }

    /// Presents a certificate that it has nothing to do with behind its own chain.
    pub(crate) async fn presenting(stranger: &[u8]) -> Self {
        let pki = Pki::new("fake");
        let tls = tls(&pki, &["127.0.0.1"], &[stranger]);
        Self::serve(pki, None, tls).await
    }

    async fn with(answer: Arc<Answer>, names: &[&str]) -> Self {
        let pki = Pki::new("fake");
        let tls = tls(&pki, names, &[]);
        Self::serve(pki, Some(answer), tls).await
    }

    async fn serve(
        pki: Pki,
        answer: Option<Arc<Answer>>,
        (tls, server_fingerprint): (ServerConfig, Fingerprint),
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let pki = Arc::new(pki);
        let asked = Arc::default();
        let service = Service {
            pki: Arc::clone(&pki),
            answer,
            asked: Arc::clone(&asked),
            client_certificates: 0,
        };
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(connection(acceptor.clone(), socket, service.clone()));
            }
        });
        Self {
            pki,
            server_fingerprint,
            asked,
            port,
            serving,
        }
    }

    pub(crate) fn address(&self) -> CaAddress {
        format!("127.0.0.1:{}", self.port).parse().unwrap()
    }

    /// The fingerprint of the root that the TLS certificate leads to.
    pub(crate) fn server_root(&self) -> Fingerprint {
        Fingerprint::of(self.pki.root.der())
    }

    /// Every request so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for FakeCa {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn connection(acceptor: TlsAcceptor, socket: TcpStream, mut service: Service) {
    let Ok(stream) = acceptor.accept(socket).await else {
        return;
    };
    service.client_certificates = stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len);
    let service = TowerToHyperService::new(IstioCertificateServiceServer::new(service));
    // The client hangs up when it has its answer.
    drop(
        Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

fn tls(pki: &Pki, names: &[&str], extra: &[&[u8]]) -> (ServerConfig, Fingerprint) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(pki.root.der().clone()).unwrap();
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .unwrap();
    let (mut chain, key) = pki.server(names);
    chain.extend(extra.iter().map(|der| der.to_vec()));
    let fingerprint = Fingerprint::of(&chain[0]);
    let chain = chain.into_iter().map(Into::into).collect();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, PrivatePkcs8KeyDer::from(key).into())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    (config, fingerprint)
}

#[derive(Clone)]
struct Service {
    pki: Arc<Pki>,
    answer: Option<Arc<Answer>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    client_certificates: usize,
}

#[tonic::async_trait]
impl IstioCertificateService for Service {
    async fn create_certificate(
        &self,
        request: tonic::Request<IstioCertificateRequest>,
    ) -> Result<tonic::Response<IstioCertificateResponse>, Status> {
        let header = |name: &str| {
            let value = request.metadata().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        let asked = Asked {
            authorization: header("authorization"),
            cluster_id: header("clusterid"),
            csr: request.get_ref().csr.clone(),
            validity_duration: request.get_ref().validity_duration,
            client_certificates: self.client_certificates,
        };
        self.asked.lock().unwrap().push(asked.clone());
        match &self.answer {
            Some(answer) => {
                let cert_chain = answer(&self.pki, &asked)?;
                Ok(tonic::Response::new(IstioCertificateResponse {
                    cert_chain,
                }))
            }
            None => std::future::pending().await,
        }
    }
}

/// Accepts connections and never says a word.
pub(crate) async fn mute_listener() -> (CaAddress, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let holding = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            held.push(socket);
        }
    });
    (format!("127.0.0.1:{port}").parse().unwrap(), holding)
}

/// Short enough that a test does not wait long, long enough for a handshake.
pub(crate) const SHORT: Duration = Duration::from_millis(300);
