//! Servers of every kind on loopback, each connection in a thread of its own. TLS is rustls with webpki, or openssl.

use std::io::Read as _;
use std::io::Write as _;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use rustls::ALL_VERSIONS;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::StreamOwned;
use rustls::SupportedProtocolVersion;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tests::poll::wait_for;
use tokio::net::TcpSocket;

use crate::pki::Leaf;
use crate::pki::Root;

/// Serves every connection by `serve`, until the test is over.
pub(crate) fn serve(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    addr
}

/// Versions of TLS.
pub(crate) type Versions<'a> = &'a [&'static SupportedProtocolVersion];

/// What a TLS server wants to see of its clients.
pub(crate) enum Clients<'a> {
    Anyone,
    Asked(&'a Root),
    Certified(&'a Root),
}

pub(crate) fn config(leaf: &Leaf, clients: &Clients<'_>, versions: Versions<'_>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap();
    let verifier = |root: &Root| {
        let mut roots = RootCertStore::empty();
        roots.add(der(&root.pem)).unwrap();
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
    };
    let builder = match clients {
        Clients::Anyone => builder.with_no_client_auth(),
        Clients::Asked(root) => {
            let verifier = verifier(root).allow_unauthenticated().build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
        Clients::Certified(root) => {
            builder.with_client_cert_verifier(verifier(root).build().unwrap())
        }
    };
    let key = PrivateKeyDer::try_from(leaf.key.serialize_der()).unwrap();
    builder.with_single_cert(vec![der(&leaf.pem)], key).unwrap()
}

fn der(pem: &str) -> CertificateDer<'static> {
    pem::parse(pem).unwrap().into_contents().into()
}

/// A server that speaks TLS and nothing else.
pub(crate) fn tls(leaf: &Leaf, clients: &Clients<'_>) -> SocketAddr {
    tls_with(config(leaf, clients, ALL_VERSIONS))
}

pub(crate) fn tls_with(config: ServerConfig) -> SocketAddr {
    let config = Arc::new(config);
    serve(move |stream| drop(handshake(&config, stream)))
}

/// As [`tls_with`], and what each connection brought over TLS.
pub(crate) fn tls_that_listens(config: ServerConfig) -> (SocketAddr, Receiver<Vec<u8>>) {
    let config = Arc::new(config);
    let (tell, told) = mpsc::channel();
    let addr = serve(move |stream| {
        let _nobody_waits = tell.send(handshake(&config, stream));
    });
    (addr, told)
}

/// Lets clients in, and hangs up at once: a proxy with nobody behind it.
pub(crate) fn tls_that_hangs_up(config: ServerConfig) -> SocketAddr {
    let config = Arc::new(config);
    serve(move |mut stream| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let _refused = connection.complete_io(&mut stream);
    })
}

/// A long line to `to`: what clients say takes half a second.
pub(crate) fn far_away(to: SocketAddr) -> SocketAddr {
    serve(move |client| {
        let server = TcpStream::connect(to).unwrap();
        let (mut back, mut answers) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let answering = thread::spawn(move || {
            let _end = std::io::copy(&mut answers, &mut back);
            let _gone = back.shutdown(Shutdown::Write);
        });
        carry_slowly(&client, &server);
        let _gone = server.shutdown(Shutdown::Write);
        answering.join().unwrap();
    })
}

fn carry_slowly(mut from: &TcpStream, mut to: &TcpStream) {
    let mut chunk = [0; 8192];
    while let Ok(len) = from.read(&mut chunk) {
        thread::park_timeout(Duration::from_millis(500));
        if len == 0 || to.write_all(&chunk[..len]).is_err() {
            return;
        }
    }
}

/// A server that looks at the first byte, as Envoy's TLS inspector does: TLS for those who speak it, HTTP for others.
pub(crate) fn permissive(leaf: &Leaf, clients: &Clients<'_>) -> SocketAddr {
    tls_or(leaf, clients, |stream| {
        answer_http(
            stream,
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        );
    })
}

/// The same with something else than HTTP.
pub(crate) fn tls_or(
    leaf: &Leaf,
    clients: &Clients<'_>,
    plain: impl Fn(TcpStream) + Send + Sync + 'static,
) -> SocketAddr {
    let config = Arc::new(config(leaf, clients, ALL_VERSIONS));
    serve(move |stream| {
        let mut first = [0];
        match stream.peek(&mut first) {
            Ok(1) if first == [0x16] => drop(handshake(&config, stream)),
            _ => plain(stream),
        }
    })
}

/// Shakes hands, and reads until the client has enough.
pub(crate) fn handshake(config: &Arc<ServerConfig>, stream: TcpStream) -> Vec<u8> {
    let connection = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    let mut heard = Vec::new();
    let _ends_with_an_alert_or_not = stream.read_to_end(&mut heard);
    heard
}

/// Answers every request with these words.
pub(crate) fn http(answer: &'static str) -> SocketAddr {
    serve(move |stream| answer_http(stream, answer))
}

pub(crate) fn answer_http(mut stream: TcpStream, answer: &str) {
    let mut request = [0; 1024];
    if stream.read(&mut request).is_ok_and(|len| len > 0) {
        let _gone = stream.write_all(answer.as_bytes());
    }
}

/// Answers `answer` to `question`, and hangs up on everything else.
pub(crate) fn answers(
    question: &'static [u8],
    answer: &'static [u8],
) -> impl Fn(TcpStream) + Send + Sync {
    move |mut stream| {
        let mut heard = vec![0; question.len()];
        if stream.read_exact(&mut heard).is_ok() && heard == question {
            let _gone = stream.write_all(answer);
        }
    }
}

/// Speaks first, whoever comes.
pub(crate) fn banner(said: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| {
        let _gone = stream.write_all(said);
        let _end = stream.read_to_end(&mut Vec::new());
    })
}

/// Takes everything and says nothing.
pub(crate) fn silent() -> SocketAddr {
    serve(|mut stream| {
        let _end = stream.read_to_end(&mut Vec::new());
    })
}

/// Nobody, on a port that nobody else gets meanwhile.
pub(crate) fn nobody() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let addr = socket.local_addr().unwrap();
    std::mem::forget(socket);
    addr
}

/// `openssl s_server`, ended when dropped.
pub(crate) struct SServer {
    child: Child,
    pub(crate) addr: SocketAddr,
}

impl SServer {
    /// Insists on a certificate below `root`.
    pub(crate) fn start(dir: &Path, root: &Root, leaf: &Leaf, more: &[&str]) -> Self {
        std::fs::write(dir.join("leaf.pem"), &leaf.pem).unwrap();
        std::fs::write(dir.join("key.pem"), leaf.key.serialize_pem()).unwrap();
        std::fs::write(dir.join("root.pem"), &root.pem).unwrap();
        Self::of_files(dir, ["leaf.pem", "key.pem", "root.pem"], more)
    }

    /// The same with the leaf, key and root of these files.
    pub(crate) fn of_files(dir: &Path, files: [&str; 3], more: &[&str]) -> Self {
        let [leaf, key, root] = files;
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-cert", leaf])
            .args(["-key", key, "-CAfile", root, "-Verify", "3"])
            .args(["-verify_return_error"])
            .args(more)
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(dir.join("said")).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let addr = wait_for(LIMIT, || {
            let said = std::fs::read_to_string(dir.join("said")).unwrap();
            let line = said.lines().find_map(|line| line.strip_prefix("ACCEPT "));
            line.and_then(|addr| addr.trim().parse().ok())
        });
        assert!(child.try_wait().unwrap().is_none());
        Self { child, addr }
    }
}

impl Drop for SServer {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub(crate) const LIMIT: Duration = Duration::from_secs(20);
