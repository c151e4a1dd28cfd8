//! A workload that gets its identity from a Workload API with the crates `spiffe` and `spiffe-rustls` alone, for tests
//! that let it speak with workloads of other makes.
//!
//! `spiffe_peer SOCKET ID[,ID…]` lets in who has one of these SPIFFE IDs. It listens, prints one line of JSON with its
//! port, and then one for each port that it reads from stdin: what came of one connection to there. Whoever accepts a
//! connection says first, in a line, whom it let in.

#![expect(clippy::print_stdout, reason = "it talks to the test that started it")]

use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::pki_types::ServerName;
use serde_json::Value;
use serde_json::json;
use spiffe::SpiffeId;
use spiffe::X509Source;
use spiffe_rustls::authorizer;
use spiffe_rustls::mtls_client;
use spiffe_rustls::mtls_server;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::BufReader;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::TlsConnector;

/// Whatever went wrong.
type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [socket, expected] = arguments.as_slice() else {
        return Err("usage: spiffe_peer SOCKET ID[,ID…]".into());
    };
    let peers = authorizer::exact(expected.split(','))?;
    let server = mtls_server(source(socket).await?).authorize(peers.clone());
    let client = mtls_client(source(socket).await?).authorize(peers);
    let acceptor = TlsAcceptor::from(Arc::new(server.build()?));
    let connector = TlsConnector::from(Arc::new(client.build()?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", json!({ "port": listener.local_addr()?.port() }));
    tokio::spawn(accept(listener, acceptor));
    let mut lines = lines();
    while let Some(line) = lines.recv().await {
        let made = tokio::time::timeout(LIMIT, connect(&connector, line.parse()?)).await;
        println!("{}", outcome(made.map_err(Failure::from).flatten()));
    }
    Ok(())
}

async fn source(socket: &str) -> Result<X509Source, Failure> {
    let endpoint = format!("unix://{socket}");
    Ok(X509Source::builder().endpoint(endpoint).build().await?)
}

/// What comes on stdin, which a thread waits for.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Each connection on its own: one that hangs keeps no other waiting.
async fn accept(listener: TcpListener, acceptor: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // The other side hears by an alert why it was not let in, and tells the test.
            drop(tokio::time::timeout(LIMIT, greet(stream, &acceptor)).await);
        });
    }
}

async fn greet(stream: TcpStream, acceptor: &TlsAcceptor) -> Result<(), Failure> {
    let mut stream = acceptor.accept(stream).await?;
    let leaf = leaf_of(stream.get_ref().1.peer_certificates())?;
    let seen = spiffe_id(&leaf)?;
    stream.write_all(format!("{seen}\n").as_bytes()).await?;
    // The other side has read it when it closes.
    stream.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// The leaf of the other side, and as whom it let us in.
async fn connect(connector: &TlsConnector, port: u16) -> Result<(Vec<u8>, String), Failure> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let name = ServerName::try_from("peer.test")?;
    let stream = connector.connect(name, stream).await?;
    let leaf = leaf_of(stream.get_ref().1.peer_certificates())?;
    // With TLS 1.3 it is by the greeting that a client learns whether it was let in.
    let mut lines = BufReader::new(stream).lines();
    let seen = lines.next_line().await?;
    lines.into_inner().shutdown().await?;
    Ok((leaf, seen.ok_or("closed without a greeting")?))
}

fn leaf_of(chain: Option<&[rustls::pki_types::CertificateDer<'_>]>) -> Result<Vec<u8>, Failure> {
    let leaf = chain.and_then(<[_]>::first).ok_or("no certificate")?;
    Ok(leaf.to_vec())
}

fn spiffe_id(leaf: &[u8]) -> Result<SpiffeId, Failure> {
    Ok(spiffe::cert::spiffe_id_from_der(leaf)?)
}

fn outcome(made: Result<(Vec<u8>, String), Failure>) -> Value {
    match made {
        Ok((leaf, seen)) => {
            let leaf: String = leaf.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "leaf": leaf, "seen": seen })
        }
        Err(why) => json!({ "refused": why.to_string() }),
    }
}

/// For one connection, on whatever machine.
const LIMIT: Duration = Duration::from_secs(20);
