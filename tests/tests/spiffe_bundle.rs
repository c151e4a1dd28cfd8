//! The SPIFFE bundle as other trust domains see it: on the HTTP port, and over HTTPS as SPIFFE Federation wants it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jsonwebtoken::jwk::JwkSet;
use proto::certificate::Certificate;
use rustls::CertificateError;
use rustls::ClientConfig;
use rustls::DigitallySignedStruct;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use serde_json::Value;
use spiffe::SpiffeId;
use spiffe::TrustDomain;
use spiffe::X509Bundle;
use tests::CART;
use tests::agent::Agent;
use tests::agent::key_and_csr;
use tests::binaries::workspace;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::openssl::shell;
use tests::poll;
use tests::poll::wait_for;
use tests::rotation;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use webpki::EndEntityCert;
use webpki::KeyUsage;

const SERVER: &str = "spiffe://cluster.local/signet/server";
const SOON: Duration = Duration::from_secs(30);

/// A bundle as somebody reads it who has nothing but libraries.
struct Read {
    number: u64,
    hint: u64,
    roots: Vec<Vec<u8>>,
}

fn read(document: &str) -> Read {
    let set: JwkSet = serde_json::from_str(document).unwrap();
    let roots: Vec<Vec<u8>> = set
        .keys
        .iter()
        .map(|key| {
            let x5c = key.common.x509_chain.as_ref().unwrap();
            BASE64_STANDARD.decode(&x5c[0]).unwrap()
        })
        .collect();
    let ders: Vec<&[u8]> = roots.iter().map(Vec::as_slice).collect();
    let domain = TrustDomain::new("cluster.local").unwrap();
    let bundle = X509Bundle::from_x509_authorities(domain, &ders).unwrap();
    let authorities = bundle.authorities().iter();
    let document: Value = serde_json::from_str(document).unwrap();
    Read {
        number: document["spiffe_sequence"].as_u64().unwrap(),
        hint: document["spiffe_refresh_hint"].as_u64().unwrap(),
        roots: authorities.map(|root| root.as_ref().to_vec()).collect(),
    }
}

fn bundle_of(ca: &TestCa) -> Read {
    let (status, document) = ca.http_get("/bundle.json");
    assert_eq!(status, 200, "{document}");
    read(&document)
}

/// An operator's directory that will be replaced.
fn plug_in(kind: &str, dir: &Path) {
    for file in fs::read_dir(testdata(kind)).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), dir.join(file.file_name())).unwrap();
    }
}

fn testdata(kind: &str) -> std::path::PathBuf {
    workspace().join("testdata/bundles").join(kind)
}

fn certificate_of(kind: &str, file: &str) -> Vec<u8> {
    let pem = fs::read(testdata(kind).join(file)).unwrap();
    Certificate::all_from_pem(&pem).unwrap()[0].der().to_vec()
}

/// A server on the bundle in `home/plugged-in`, which nobody used before.
fn start(home: &Path, more: &[&str]) -> TestCa {
    let flags = [&["--unrecorded-ttl", "0s"], more].concat();
    TestCa::start_with(Setup {
        root_ca_dir: Some(home.join("plugged-in")),
        data_dir: Some(home.join("data")),
        flags: flags.into_iter().map(str::to_owned).collect(),
        ..Setup::default()
    })
}

fn home(kind: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("plugged-in")).unwrap();
    plug_in(kind, &home.path().join("plugged-in"));
    home
}

/// Who signs now: the issuing certificate above a new leaf.
async fn signs(ca: &TestCa) -> Vec<u8> {
    let (_, csr) = key_and_csr(CART);
    let agent = Agent::connect(ca.grpc, &ca.roots_pem(), &[&ca.token(CART)], None).await;
    let chain = agent.clone().create(&csr, 0).await.unwrap();
    let issuer = Certificate::all_from_pem(chain[1].as_bytes()).unwrap();
    issuer[0].der().to_vec()
}

#[tokio::test]
async fn the_spiffe_library_reads_the_bundle_and_http_knows_what_it_is() {
    let ca = TestCa::start();
    let bundle = bundle_of(&ca);
    let root = Certificate::all_from_pem(ca.roots_pem().as_bytes()).unwrap();
    assert_eq!(bundle.roots, [root[0].der()]);
    assert_eq!(bundle.hint, 300);
    let mut stream = TcpStream::connect(ca.http).await.unwrap();
    let (head, _) = get(&mut stream, "/bundle.json", "").await;
    assert!(
        head.contains("content-type: application/json\r\n"),
        "{head}"
    );
    let tag = head.split("etag: ").nth(1).unwrap();
    let tag = tag.split("\r\n").next().unwrap();
    let mut stream = TcpStream::connect(ca.http).await.unwrap();
    let known = format!("If-None-Match: {tag}\r\n");
    let (head, body) = get(&mut stream, "/bundle.json", &known).await;
    assert!(
        head.starts_with("HTTP/1.1 304 ") && body.is_empty(),
        "{head}"
    );
}

#[tokio::test]
async fn the_number_rises_with_the_roots_only_and_who_polls_knows_the_new_root_before_it_signs() {
    let home = home("p256");
    let (old, new) = ["p256", "rsa2048"]
        .map(|kind| certificate_of(kind, "root-cert.pem"))
        .into();
    let mut ca = start(home.path(), &[]);
    let first = bundle_of(&ca);
    assert_eq!(first.roots, [Vec::clone(&old)]);
    ca.stop();
    let mut ca = start(home.path(), &[]);
    assert_eq!(bundle_of(&ca).number, first.number);

    plug_in("rsa2048", &home.path().join("plugged-in"));
    let both = poll::until("both roots", SOON, async || {
        let bundle = bundle_of(&ca);
        let is_old = bundle.roots.len() == 1;
        assert_eq!(bundle.number == first.number, is_old);
        (!is_old).then_some(bundle)
    });
    let both = both.await;
    assert!(both.number > first.number);
    assert_eq!((both.roots, both.hint), (vec![old, new], 30));
    // A start does all that is due at once; three hints have not passed.
    ca.stop();
    let ca = start(home.path(), &[]);
    assert_eq!(bundle_of(&ca).number, both.number);
    assert_eq!(signs(&ca).await, certificate_of("p256", "ca-cert.pem"));
}

/// Number and roots of the bundle that is out, read together and not as a poll: those hold a rotation up.
fn out_now(ca: &TestCa) -> (u64, Vec<Vec<u8>>) {
    wait_for(SOON, || {
        let number = || rotation::status(ca)["bundle_number"].as_u64();
        let before = number();
        let roots = Certificate::all_from_pem(ca.roots_pem().as_bytes()).unwrap();
        let roots = roots.iter().map(|root| root.der().to_vec()).collect();
        (before == number()).then_some((before?, roots))
    })
}

#[tokio::test]
async fn through_a_whole_rotation_the_number_rises_exactly_when_the_roots_change_and_both_are_out_before_the_new_one_signs()
 {
    let home = home("p256");
    let flags = ["--min-ttl=1s", "--default-ttl=5s", "--max-ttl=10s"];
    let ca = start(home.path(), &flags);
    let kinds = ["p256", "rsa2048"];
    let [old, new] = kinds.map(|kind| certificate_of(kind, "root-cert.pem"));
    let [old_signs, new_signs] = kinds.map(|kind| certificate_of(kind, "ca-cert.pem"));
    assert_eq!(signs(&ca).await, old_signs, "somebody holds a leaf of it");
    let mut seen = vec![out_now(&ca)];
    plug_in("rsa2048", &home.path().join("plugged-in"));
    let mut signed_first_with = None;
    until_steady_with(&ca, &new.clone(), async || {
        let (number, roots) = out_now(&ca);
        let (last, before) = seen.last().unwrap();
        assert_eq!(number == *last, roots == *before, "{number} after {last}");
        assert!(number >= *last);
        if number > *last {
            seen.push((number, roots.clone()));
        }
        if signed_first_with.is_none() && signs(&ca).await == new_signs {
            signed_first_with = Some(roots);
        }
    })
    .await;
    let both = [[old.clone(), new.clone()], [new.clone(), old.clone()]];
    // The one that signs comes first.
    let all = [vec![old], both[0].to_vec(), both[1].to_vec(), vec![new]];
    assert_eq!(seen.iter().map(|it| it.1.clone()).collect::<Vec<_>>(), all);
    let with = signed_first_with.unwrap();
    assert!(both.iter().any(|both| with == both), "both are out by then");
    let published = bundle_of(&ca);
    let last = seen.last().unwrap();
    assert_eq!((published.number, &published.roots), (last.0, &last.1));
}

async fn until_steady_with(ca: &TestCa, root: &[u8], mut look: impl AsyncFnMut()) {
    poll::until("the new root alone", SOON, async || {
        look().await;
        let status = rotation::status(ca);
        let roots = Certificate::all_from_pem(ca.roots_pem().as_bytes()).unwrap();
        let is_alone = roots.len() == 1 && roots[0].der() == root;
        (status["phase"] == "steady" && is_alone).then_some(())
    })
    .await;
    look().await;
}

#[tokio::test]
async fn the_https_port_shows_the_cas_own_svid_under_the_bundle() {
    let ca = TestCa::start_with(Setup {
        flags: ["--bundle-addr", "127.0.0.1:0"].map(str::to_owned).to_vec(),
        ..Setup::default()
    });
    let port = bundle_port(&ca);
    let roots = bundle_of(&ca).roots;
    for path in ["/", "/bundle.json"] {
        let mut stream = connect(port, &roots, SERVER).await.unwrap();
        let (head, body) = get(&mut stream, path, "").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(read(&body).roots, roots);
    }
    let other = vec![certificate_of("p256", "root-cert.pem")];
    assert!(connect(port, &other, SERVER).await.is_err());
    let name = "spiffe://other/signet/server";
    assert!(connect(port, &roots, name).await.is_err());
    let mut stream = connect(port, &roots, SERVER).await.unwrap();
    let (head, _) = get(&mut stream, "/metrics", "").await;
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
}

#[test]
fn openssl_takes_the_https_port() {
    let ca = TestCa::start_with(Setup {
        flags: ["--bundle-addr", "127.0.0.1:0"].map(str::to_owned).to_vec(),
        ..Setup::default()
    });
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("roots.pem"), ca.roots_pem()).unwrap();
    for version in ["-tls1_2", "-tls1_3"] {
        let connect = format!(
            "openssl s_client {version} -connect {} -CAfile roots.pem -verify_return_error -purpose sslserver",
            bundle_port(&ca)
        );
        let request = "printf 'GET / HTTP/1.1\\r\\nHost: ca\\r\\nConnection: close\\r\\n\\r\\n'";
        let said = shell(dir.path(), &format!("{request} | {connect} -ign_eof"));
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        assert!(said.contains("\"spiffe_sequence\":"), "{said}");
        assert!(
            said.contains("No client certificate CA names sent"),
            "{said}"
        );
        let names = format!("{connect} </dev/null | openssl x509 -noout -ext subjectAltName");
        let names = shell(dir.path(), &names);
        assert!(names.contains(&format!("URI:{SERVER}")), "{names}");
    }
}

#[tokio::test]
async fn the_https_port_goes_over_to_the_new_root_without_a_restart() {
    let home = home("p256");
    let ca = start(home.path(), &["--bundle-addr", "127.0.0.1:0"]);
    let port = bundle_port(&ca);
    let roots = ["p256", "rsa2048"].map(|kind| certificate_of(kind, "root-cert.pem"));
    let [old, new] = roots.map(|root| vec![root]);
    assert!(connect(port, &old, SERVER).await.is_ok());
    assert!(connect(port, &new, SERVER).await.is_err());
    // Nobody polls, so nothing is waited for: handshakes do not count.
    plug_in("rsa2048", &home.path().join("plugged-in"));
    poll::until("a leaf under the new root", SOON, async || {
        connect(port, &new, SERVER).await.ok()
    })
    .await;
    assert_eq!(signs(&ca).await, certificate_of("rsa2048", "ca-cert.pem"));
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_sent_away_and_the_https_port_goes_on() {
    let flags = ["--bundle-addr", "127.0.0.1:0", "--handshake-timeout", "1s"];
    let ca = TestCa::start_with(Setup {
        flags: flags.map(str::to_owned).to_vec(),
        ..Setup::default()
    });
    let port = bundle_port(&ca);
    let mut silent = TcpStream::connect(port).await.unwrap();
    let mut plain = TcpStream::connect(port).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    for stream in [&mut silent, &mut plain] {
        let mut said = Vec::new();
        let end = tokio::time::timeout(SOON, stream.read_to_end(&mut said)).await;
        assert!(end.is_ok() && !said.starts_with(b"HTTP"), "{said:?}");
    }
    let roots = bundle_of(&ca).roots;
    assert!(connect(port, &roots, SERVER).await.is_ok());
    assert!(ca.operator(&["status"]).contains("bundle-endpoint"));
}

#[test]
fn nobody_else_can_be_called_what_the_ca_is_called() {
    let ca = TestCa::start();
    let refused = ca.try_operator(&["token", "create", "--spiffe-id", SERVER]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("reserved"),
        "{said}"
    );
}

fn bundle_port(ca: &TestCa) -> SocketAddr {
    let log = ca.log();
    let line = log.iter().find(|line| line["bundle"].is_string()).unwrap();
    assert_eq!(line["spiffe_id"], SERVER);
    line["bundle"].as_str().unwrap().parse().unwrap()
}

/// Head and body of the answer; the connection is over then.
async fn get(
    stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin),
    path: &str,
    more: &str,
) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: ca\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // The end of the stream without a close_notify is an error to rustls; the answer is whole all the same.
    let _end = stream.read_to_string(&mut answer).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (format!("{head}\r\n"), body.to_owned())
}

/// As SPIFFE Federation section 7.3 has it: chain and SPIFFE ID, no host name, no certificate of ours.
async fn connect(
    addr: SocketAddr,
    roots: &[Vec<u8>],
    id: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Spiffe {
            roots: roots.to_vec(),
            id: SpiffeId::new(id).unwrap(),
            provider,
        }))
        .with_no_client_auth();
    let stream = TcpStream::connect(addr).await.unwrap();
    let name = ServerName::from(addr.ip());
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

#[derive(Debug)]
struct Spiffe {
    roots: Vec<Vec<u8>>,
    id: SpiffeId,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Spiffe {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let ders: Vec<CertificateDer<'_>> = self
            .roots
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let anchors: Vec<_> = ders
            .iter()
            .map(|der| webpki::anchor_from_trusted_cert(der).unwrap())
            .collect();
        let algorithms = self.provider.signature_verification_algorithms.all;
        let usage = KeyUsage::server_auth();
        EndEntityCert::try_from(leaf)
            .and_then(|end| {
                end.verify_for_usage(algorithms, &anchors, intermediates, now, usage, None, None)
                    .map(drop)
            })
            .map_err(|_refused| CertificateError::UnknownIssuer)?;
        let facts = Certificate::from_der(leaf).unwrap().facts().clone();
        let uris = facts.subject_alt_name.unwrap().uris;
        match uris.as_slice() {
            [uri] if SpiffeId::new(uri).unwrap() == self.id => Ok(ServerCertVerified::assertion()),
            _ => Err(CertificateError::NotValidForName.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, leaf, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, leaf, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
