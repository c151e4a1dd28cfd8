//! Peers that stall, peers that flood, and a server that stops when it is told to.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Read as _;
use std::net::TcpStream as StdStream;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use rustls::pki_types::ServerName;
use tests::agent::Agent;
use tests::agent::channel;
use tests::agent::key_and_csr;
use tests::agent::tls_config;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::openssl::shell;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

fn start(flags: &[&str]) -> TestCa {
    let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    TestCa::start_with(Setup {
        flags,
        ..Setup::default()
    })
}

async fn tls(ca: &TestCa) -> TlsStream<TcpStream> {
    let connector = TlsConnector::from(Arc::new(tls_config(&ca.roots_pem(), None)));
    let stream = TcpStream::connect(ca.grpc).await.unwrap();
    connector
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
        .unwrap()
}

/// Whether the server closes `stream` within five seconds.
async fn is_closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> bool {
    let mut seen = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut seen))
        .await
        .is_ok()
}

async fn still_issues(ca: &TestCa) {
    let mut agent = Agent::connect(ca.grpc, &ca.roots_pem(), &[&ca.token(CART)], None).await;
    assert!(agent.create(&key_and_csr(CART).1, 0).await.is_ok());
}

#[tokio::test]
async fn a_peer_that_stalls_in_the_handshake_is_closed() {
    let ca = start(&["--handshake-timeout", "500ms"]);
    let mut silent = TcpStream::connect(ca.grpc).await.unwrap();
    let mut half = TcpStream::connect(ca.grpc).await.unwrap();
    half.write_all(&[0x16, 0x03, 0x01, 0x02]).await.unwrap();
    assert!(is_closed(&mut silent).await && is_closed(&mut half).await);
    still_issues(&ca).await;
}

#[tokio::test]
async fn a_peer_that_stalls_in_the_preface_is_closed() {
    let ca = start(&["--handshake-timeout", "500ms"]);
    let mut silent = tls(&ca).await;
    let mut half = tls(&ca).await;
    half.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    assert!(is_closed(&mut silent).await && is_closed(&mut half).await);
    still_issues(&ca).await;
}

#[tokio::test]
async fn a_peer_that_stalls_in_the_middle_of_its_message_is_answered_without_it() {
    let ca = start(&["--request-timeout", "500ms"]);
    let (mut client, connection) = h2::client::handshake(tls(&ca).await).await.unwrap();
    tokio::spawn(connection);
    let path = "https://localhost/istio.v1.auth.IstioCertificateService/CreateCertificate";
    let request = http::Request::post(path).header("content-type", "application/grpc");
    let (answer, mut body) = client
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    // A message of a hundred bytes is announced, and none of them comes.
    body.send_data(vec![0, 0, 0, 0, 100].into(), false).unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(5), answer)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer.headers()["grpc-status"], "4", "DEADLINE_EXCEEDED");
    still_issues(&ca).await;
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_and_come_in_again_later() {
    let ca = start(&["--max-connections", "3"]);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(tls(&ca).await);
    }
    let mut fourth = TcpStream::connect(ca.grpc).await.unwrap();
    assert!(is_closed(&mut fourth).await);
    held.clear();
    tokio::time::sleep(Duration::from_millis(300)).await;
    still_issues(&ca).await;
}

#[tokio::test]
async fn the_drain_ends_in_time_with_a_silent_peer_and_an_open_stream() {
    let mut ca = start(&["--drain-timeout", "2s"]);
    let _silent = StdStream::connect(ca.grpc).unwrap();
    let _http = StdStream::connect(ca.http).unwrap();
    let _idle = tls(&ca).await;
    let channel = channel(ca.grpc, &ca.roots_pem(), None).await.unwrap();
    let mut watch = HealthClient::new(channel)
        .watch(HealthCheckRequest {
            service: "istio.v1.auth.IstioCertificateService".to_owned(),
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1, "SERVING");
    let started = Instant::now();
    ca.signal("TERM");
    let ended = tokio::task::spawn_blocking(move || ca.wait())
        .await
        .unwrap();
    assert!(ended, "exit status 0");
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn the_listener_shows_its_root_so_that_a_fingerprint_can_be_checked() {
    let ca = TestCa::start();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("roots.pem"), ca.roots_pem()).unwrap();
    let shown = shell(
        dir.path(),
        &format!(
            "openssl s_client -showcerts -verify_return_error -CAfile roots.pem -verify_hostname localhost -connect {} </dev/null 2>&1",
            ca.grpc
        ),
    );
    assert_eq!(shown.matches("BEGIN CERTIFICATE").count(), 3, "{shown}");
    assert!(shown.contains("Verify return code: 0 (ok)"), "{shown}");
    for version in ["-tls1_2", "-tls1_3"] {
        shell(
            dir.path(),
            &format!(
                "openssl s_client {version} -CAfile roots.pem -verify_return_error -connect {} </dev/null",
                ca.grpc
            ),
        );
    }
}

#[test]
fn a_plain_text_peer_gets_no_answer() {
    let ca = start(&["--handshake-timeout", "500ms"]);
    let mut stream = StdStream::connect(ca.grpc).unwrap();
    std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut seen = Vec::new();
    let _closed = stream.read_to_end(&mut seen);
    assert!(!String::from_utf8_lossy(&seen).contains("HTTP"), "{seen:?}");
}

#[tokio::test]
async fn a_peer_that_stalls_at_the_http_port_is_closed() {
    let ca = start(&["--handshake-timeout", "500ms"]);
    let mut silent = TcpStream::connect(ca.http).await.unwrap();
    let mut half = TcpStream::connect(ca.http).await.unwrap();
    half.write_all(b"GET /readyz HTTP/1.1\r\nX-Slow: ")
        .await
        .unwrap();
    assert!(is_closed(&mut silent).await && is_closed(&mut half).await);
    assert_eq!(ca.http_get("/readyz").0, 200);
}

#[tokio::test]
async fn the_http_port_takes_no_more_than_its_share_of_connections() {
    let ca = start(&[]);
    let mut held = Vec::new();
    for _ in 0..512 {
        held.push(TcpStream::connect(ca.http).await.unwrap());
    }
    let mut one_more = TcpStream::connect(ca.http).await.unwrap();
    assert!(is_closed(&mut one_more).await);
    held.truncate(500);
    tokio::time::sleep(Duration::from_millis(300)).await;
    still_issues(&ca).await;
}

#[tokio::test]
async fn a_path_of_megabytes_is_answered_with_its_name() {
    let ca = start(&[]);
    let mut stream = TcpStream::connect(ca.http).await.unwrap();
    let path = "a".repeat(4 * 1024 * 1024);
    let _closed_before_the_end = stream.write_all(format!("GET /{path}").as_bytes()).await;
    assert!(is_closed(&mut stream).await);
    assert_eq!(ca.http_get("/healthz").0, 200);
}

#[tokio::test]
async fn one_connection_opens_a_hundred_requests_at_most() {
    let ca = start(&[]);
    let (client, connection) = h2::client::handshake(tls(&ca).await).await.unwrap();
    tokio::spawn(connection);
    let client = client.ready().await.unwrap();
    // The server's settings come after its first frames.
    for _ in 0..100 {
        if client.current_max_send_streams() == 100 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client.current_max_send_streams(), 100);
}

#[test]
fn the_operators_socket_is_their_owners_alone_in_a_directory_open_to_all() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir_all(data.join(".admin/left behind")).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o777)).unwrap();
    let ca = TestCa::start_with(Setup {
        data_dir: Some(data.clone()),
        ..Setup::default()
    });
    let socket = data.join("admin.sock").metadata().unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    assert!(!data.join(".admin").exists());
    assert!(ca.operator(&["status"]).contains("self-signed"));
}
