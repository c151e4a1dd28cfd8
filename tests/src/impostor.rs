//! A server at the CA's address that is no CA: it takes connections and time, or sends more than anybody wants.

use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use h2::SendStream;
use h2::server::SendResponse;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::IsCa;
use rcgen::KeyPair;
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::poll::until;

/// What it does to those who come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Packets get no answer: its queue of new connections is full, and stays so.
    BlackHole,
    /// Takes the connection and says nothing.
    Mute,
    /// Says one byte per second instead of a handshake.
    DrippingHandshake,
    /// Says a gigabyte instead of a handshake.
    FloodingHandshake,
    /// Takes the request and says nothing.
    Silent,
    /// Begins an answer and goes on with one byte per second.
    DrippingAnswer,
    /// Announces an answer of a gigabyte, and sends it.
    FloodingAnswer,
    /// Sends a gigabyte as one small answer after the other.
    FloodingAnswers,
}

/// Runs until it is ended or dropped.
#[derive(Debug)]
pub struct Impostor {
    root_pem: String,
    listening: JoinHandle<()>,
    connections: Arc<tokio::sync::Mutex<JoinSet<()>>>,
    _queue: Vec<TcpStream>,
}

impl Impostor {
    /// Takes `addr`, which must be free.
    ///
    /// # Panics
    /// When it is not.
    pub async fn start(addr: SocketAddr, manner: Manner) -> Self {
        let (root_pem, config) = tls(addr);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = listen(addr, manner);
        let connections = Arc::default();
        let mut queue = Vec::new();
        if manner == Manner::BlackHole {
            // One more than its backlog of one.
            for _ in 0..2 {
                queue.push(TcpStream::connect(addr).await.unwrap());
            }
        }
        let listening = tokio::spawn(listening(
            listener,
            acceptor,
            manner,
            Arc::clone(&connections),
        ));
        Self {
            root_pem,
            listening,
            connections,
            _queue: queue,
        }
    }

    /// The root of its TLS certificate, for those who shall believe it.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// Waits until somebody is connected.
    pub async fn has_company(&self) {
        let company = async || (!self.connections.lock().await.is_empty()).then_some(());
        until("a connection", Duration::from_secs(20), company).await;
    }

    /// Leaves the address to others, and those who are connected where they are.
    pub async fn stop_listening(&mut self) {
        self.listening.abort();
        let _aborted = (&mut self.listening).await;
    }

    /// Goes, and hangs up.
    pub async fn end(mut self) {
        self.stop_listening().await;
        self.connections.lock().await.shutdown().await;
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn listen(addr: SocketAddr, manner: Manner) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(addr).unwrap();
    let backlog = if manner == Manner::BlackHole { 1 } else { 128 };
    socket.listen(backlog).unwrap()
}

async fn listening(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    manner: Manner,
    connections: Arc<tokio::sync::Mutex<JoinSet<()>>>,
) {
    if manner == Manner::BlackHole {
        std::future::pending::<()>().await;
    }
    while let Ok((socket, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        connections.lock().await.spawn(async move {
            // However it ends, the peer had enough of it.
            let _ended = receive(socket, acceptor, manner).await;
        });
    }
}

async fn receive(
    mut socket: TcpStream,
    acceptor: TlsAcceptor,
    manner: Manner,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    match manner {
        Manner::BlackHole | Manner::Mute => std::future::pending().await,
        Manner::DrippingHandshake => {
            // The record of a handshake message, and then the message, never whole.
            for byte in [22, 3, 3, 0x40, 0].into_iter().chain([0; RECORD]) {
                socket.write_all(&[byte]).await?;
                pause().await;
            }
            Ok(())
        }
        Manner::FloodingHandshake => {
            // A ServerHello as long as a length can say, in records as long as they may be, again and again.
            let mut record = vec![0; 5 + RECORD];
            record[..9].copy_from_slice(&[22, 3, 3, 0x40, 0, 2, 0xff, 0xff, 0xff]);
            for _ in 0..GIGABYTE / RECORD {
                socket.write_all(&record).await?;
            }
            Ok(())
        }
        _ => {
            let stream = acceptor.accept(socket).await?;
            let mut connection = h2::server::Builder::new()
                .handshake::<_, Chunk>(stream)
                .await?;
            let mut answering = JoinSet::new();
            while let Some(request) = connection.accept().await {
                let (_request, respond) = request?;
                answering.spawn(answer(respond, manner));
            }
            Ok(())
        }
    }
}

type Chunk = Cursor<Vec<u8>>;

async fn answer(mut respond: SendResponse<Chunk>, manner: Manner) {
    if manner == Manner::Silent {
        std::future::pending::<()>().await;
    }
    let head = http::Response::builder().header("content-type", "application/grpc");
    let mut body = respond
        .send_response(head.body(()).unwrap(), false)
        .unwrap();
    match manner {
        Manner::DrippingAnswer => {
            let mut next = message_head(1000);
            while send(&mut body, next).await {
                pause().await;
                next = vec![0];
            }
        }
        Manner::FloodingAnswer => {
            let mut next = message_head(GIGABYTE);
            while send(&mut body, next).await {
                next = vec![0; RECORD];
            }
        }
        _ => {
            // A message of protobuf: a string of no meaning as element of the chain.
            let mut one = message_head(8 + 3);
            one.extend([0x0a, 9]);
            one.extend([b'x'; 9]);
            let many = one.repeat(1000);
            let mut left = GIGABYTE / many.len();
            while left > 0 && send(&mut body, many.clone()).await {
                left -= 1;
            }
        }
    }
}

/// Sends when there is room; `false` when the peer has gone.
async fn send(body: &mut SendStream<Chunk>, bytes: Vec<u8>) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        body.reserve_capacity(rest.len());
        let room = std::future::poll_fn(|context| body.poll_capacity(context)).await;
        let Some(Ok(room)) = room else {
            return false;
        };
        let after = rest.split_off(room.min(rest.len()));
        if body.send_data(Cursor::new(rest), false).is_err() {
            return false;
        }
        rest = after;
    }
    true
}

/// gRPC's length-prefixed message, without the message.
fn message_head(length: usize) -> Vec<u8> {
    let mut head = vec![0];
    head.extend(u32::try_from(length).unwrap().to_be_bytes());
    head
}

async fn pause() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

fn tls(addr: SocketAddr) -> (String, ServerConfig) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec![addr.ip().to_string()]).unwrap();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![leaf.der().clone(), root.der().clone()];
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    (root.pem(), config)
}

const GIGABYTE: usize = 1 << 30;
const RECORD: usize = 1 << 14;
