//! A CA that counts its trust bundles and pushes them, truthfully or not, with any of several PKIs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;
use std::time::Instant;

use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use proto::istio::IstioCertificateRequest;
use proto::istio::IstioCertificateResponse;
use proto::istio::istio_certificate_service_server::IstioCertificateService;
use proto::istio::istio_certificate_service_server::IstioCertificateServiceServer;
use proto::signet::InUse;
use proto::signet::Roots;
use proto::signet::TrustBundle;
use proto::signet::WatchTrustBundleRequest;
use proto::signet::trust_service_server::TrustService;
use proto::signet::trust_service_server::TrustServiceServer;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::Acceptor;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;
use tokio_rustls::LazyConfigAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;

use crate::CART;
use crate::pki::Leaf;
use crate::pki::Pki;

/// How the CA is at present; tests change it.
pub(crate) struct State {
    /// Who signs leaves.
    pub(crate) signer: Arc<Pki>,
    /// Whose TLS certificate is shown.
    pub(crate) shown: Arc<Pki>,
    /// The roots in answers, and their number.
    pub(crate) answered: (Option<u64>, Vec<Arc<Pki>>),
    /// How long leaves live, in seconds.
    pub(crate) life: i64,
    pub(crate) offers_push: bool,
    pub(crate) is_mute: bool,
    /// Whoever wants a stream is told to come back in a minute.
    pub(crate) is_full: bool,
    /// Requests for certificates are not answered.
    pub(crate) stalls: bool,
    /// `signet-instance` of each request for a certificate.
    pub(crate) asked_by: Vec<Option<String>>,
    /// What agents said on streams, and when.
    pub(crate) heard: Vec<(Instant, WatchTrustBundleRequest)>,
    /// Streams that were opened, and those of them that the agent ended.
    pub(crate) streams: (usize, usize),
    /// Streams that are open, and the most that were at one time.
    pub(crate) open: (usize, usize),
    /// The names in `certificate_authorities` of each handshake.
    pub(crate) hints: Vec<Option<Vec<Vec<u8>>>>,
}

impl State {
    /// What was acknowledged, in order.
    pub(crate) fn acknowledged(&self) -> Vec<InUse> {
        self.heard
            .iter()
            .filter_map(|(_, message)| message.in_use.clone())
            .collect()
    }

    pub(crate) fn has_acknowledged(&self, bundle: u64) -> bool {
        self.acknowledged().iter().any(|it| it.bundle == bundle)
    }
}

/// Runs until dropped.
pub(crate) struct TrustCa {
    state: Arc<Mutex<State>>,
    messages: watch::Sender<Option<TrustBundle>>,
    connections: Arc<Mutex<JoinSet<()>>>,
    pub(crate) addr: SocketAddr,
    serving: JoinHandle<()>,
}

impl TrustCa {
    /// Signs and is known by `pki`, counting from `number`, and pushes nothing yet.
    pub(crate) async fn start(pki: &Arc<Pki>, number: Option<u64>) -> Self {
        let state = Arc::new(Mutex::new(State {
            signer: Arc::clone(pki),
            shown: Arc::clone(pki),
            answered: (number, vec![Arc::clone(pki)]),
            life: 3600,
            offers_push: true,
            is_mute: false,
            is_full: false,
            stalls: false,
            asked_by: Vec::new(),
            heard: Vec::new(),
            streams: (0, 0),
            open: (0, 0),
            hints: Vec::new(),
        }));
        let messages = watch::Sender::new(None);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections: Arc<Mutex<JoinSet<()>>> = Arc::default();
        let service = Service {
            state: Arc::clone(&state),
            messages: messages.clone(),
        };
        let accepted = Arc::clone(&connections);
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let connection = connection(socket, service.clone());
                accepted.lock().unwrap().spawn(connection);
            }
        });
        Self {
            state,
            messages,
            connections,
            addr,
            serving,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Pushes `message` to every stream, open or to come.
    pub(crate) fn push(&self, message: TrustBundle) {
        self.messages.send_replace(Some(message));
    }

    /// Breaks every connection.
    pub(crate) fn cut(&self) {
        self.connections.lock().unwrap().abort_all();
    }
}

impl Drop for TrustCa {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The state of trust with these roots, and nothing else to say.
pub(crate) fn bundle(number: u64, roots: &[&Arc<Pki>]) -> TrustBundle {
    let certificates = roots.iter().map(|pki| pki.root.der().to_vec()).collect();
    TrustBundle {
        number,
        domains: [("cluster.local".to_owned(), Roots { certificates })].into(),
        trust_domain: "cluster.local".to_owned(),
        ..TrustBundle::default()
    }
}

async fn connection(socket: TcpStream, service: Service) {
    let Ok(start) = LazyConfigAcceptor::new(Acceptor::default(), socket).await else {
        return;
    };
    let hints = start.client_hello().certificate_authorities().map(|names| {
        let names = names.iter();
        names.map(|name| name.as_ref().to_vec()).collect()
    });
    let (config, offers_push) = {
        let mut state = service.state.lock().unwrap();
        state.hints.push(hints);
        (tls(&state), state.offers_push)
    };
    let Ok(stream) = start.into_stream(Arc::new(config)).await else {
        return;
    };
    let issuing = IstioCertificateServiceServer::new(service.clone());
    let routes = match offers_push {
        true => tonic::service::Routes::new(issuing)
            .add_service(TrustServiceServer::new(service).max_encoding_message_size(usize::MAX)),
        false => tonic::service::Routes::new(issuing),
    };
    let service = TowerToHyperService::new(routes.prepare());
    // The client hangs up when it has what it wants.
    drop(
        Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

fn tls(state: &State) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for pki in [&state.signer, &state.shown]
        .into_iter()
        .chain(&state.answered.1)
    {
        roots.add(pki.root.der().clone()).unwrap();
    }
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .unwrap();
    let (chain, key) = state.shown.server(&["127.0.0.1"]);
    let chain = chain.into_iter().map(Into::into).collect();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, PrivatePkcs8KeyDer::from(key).into())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

#[derive(Clone)]
struct Service {
    state: Arc<Mutex<State>>,
    messages: watch::Sender<Option<TrustBundle>>,
}

#[tonic::async_trait]
impl IstioCertificateService for Service {
    async fn create_certificate(
        &self,
        request: tonic::Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        if self.state.lock().unwrap().stalls {
            std::future::pending::<()>().await;
        }
        let instance = request.metadata().get("signet-instance");
        let instance = instance.map(|value| value.to_str().unwrap().to_owned());
        let mut state = self.state.lock().unwrap();
        state.asked_by.push(instance);
        let leaf = Leaf {
            from: 0,
            until: state.life,
            ..Leaf::named(CART)
        };
        let leaf = state.signer.leaf(&request.get_ref().csr, &leaf);
        let (number, roots) = &state.answered;
        let roots = roots.iter().map(|pki| pki.roots_pem()).collect();
        let mut answer = Response::new(IstioCertificateResponse {
            cert_chain: vec![leaf, state.signer.issuing.pem(), roots],
        });
        if let Some(number) = number {
            answer
                .metadata_mut()
                .insert("signet-bundle", (*number).into());
        }
        Ok(answer)
    }
}

#[tonic::async_trait]
impl TrustService for Service {
    type WatchTrustBundleStream = ReceiverStream<Result<TrustBundle, Status>>;

    async fn watch_trust_bundle(
        &self,
        request: tonic::Request<Streaming<WatchTrustBundleRequest>>,
    ) -> Result<Response<Self::WatchTrustBundleStream>, Status> {
        let is_mute = {
            let mut state = self.state.lock().unwrap();
            state.streams.0 += 1;
            if state.is_full {
                let mut busy = Status::resource_exhausted("too many");
                busy.metadata_mut().insert("retry-after", 60.into());
                return Err(busy);
            }
            state.open.0 += 1;
            state.open.1 = state.open.1.max(state.open.0);
            state.is_mute
        };
        if is_mute {
            std::future::pending::<()>().await;
        }
        let mut requests = request.into_inner();
        let mut messages = self.messages.subscribe();
        messages.mark_changed();
        let state = Arc::clone(&self.state);
        let (sender, receiver) = mpsc::channel(8);
        tokio::spawn(async move {
            talk(&state, &mut requests, &mut messages, &sender).await;
            // A busy server takes its time to notice.
            tokio::time::sleep(Duration::from_millis(200)).await;
            state.lock().unwrap().open.0 -= 1;
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// Listens and pushes until either side ends it.
async fn talk(
    state: &Mutex<State>,
    requests: &mut Streaming<WatchTrustBundleRequest>,
    messages: &mut watch::Receiver<Option<TrustBundle>>,
    sender: &mpsc::Sender<Result<TrustBundle, Status>>,
) {
    loop {
        tokio::select! {
            heard = requests.message() => match heard {
                Ok(Some(heard)) => state.lock().unwrap().heard.push((Instant::now(), heard)),
                Ok(None) => return state.lock().unwrap().streams.1 += 1,
                Err(_broken) => return,
            },
            Ok(()) = messages.changed() => {
                let message = messages.borrow_and_update().clone();
                if let Some(message) = message && sender.send(Ok(message)).await.is_err() {
                    return;
                }
            }
        }
    }
}
