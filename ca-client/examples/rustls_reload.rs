//! A rustls server and a client that always use the agent's latest certificate, and never restart:
//! `cargo run -p ca-client --example rustls_reload -- HOST:PORT ROOT-CERT.pem TOKEN-FILE`.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use ca_client::Agent;
use ca_client::CaClient;
use ca_client::agent::AgentBuilder;
use ca_client::agent::FirstContact;
use ca_client::agent::Renewal;
use ca_client::agent::Svids;
use ca_client::mtls;
use ca_client::mtls::Peers;
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::TlsConnector;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let (Some(address), Some(roots), Some(token)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: rustls_reload HOST:PORT ROOT-CERT.pem TOKEN-FILE".into());
    };
    let agent = Agent::builder(CaClient::builder(address.parse()?))
        .first_contact(FirstContact::roots_file(roots))
        .token_file(token);
    // So that there is something to see: ten renewals, a few seconds apart.
    let told = run(agent.renewal(Renewal::new(0.001, 0.0)?), 10).await?;
    writeln!(
        std::io::stdout().lock(),
        "{} handshakes with {} certificates",
        told.handshakes,
        told.serials.len()
    )?;
    Ok(())
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Handshakes in which both sides were content.
    pub(crate) handshakes: u32,
    /// Serials of the certificates that the server showed.
    pub(crate) serials: BTreeSet<Vec<u8>>,
}

/// Connects again and again until the server has shown `wanted` certificates.
///
/// # Errors
/// The first handshake that fails.
pub(crate) async fn run(agent: AgentBuilder, wanted: usize) -> Outcome<Told> {
    let agent = agent.build();
    let mut svids = agent.svids();
    let (served, dialled) = (agent.svids(), agent.svids());
    let agent = tokio::spawn(agent.run());
    svids.wait_for(Option::is_some).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(serve(listener, served));
    let mut told = Told::default();
    while told.serials.len() < wanted {
        told.serials.insert(greet(address, &dialled).await?);
        told.handshakes += 1;
    }
    server.abort();
    agent.abort();
    Ok(told)
}

/// The server: each connection gets the certificate of its moment.
async fn serve(listener: TcpListener, svids: Svids) -> Outcome<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        let svid = svids.borrow().clone().ok_or("there is no certificate")?;
        let peers = Peers::Only(svid.spiffe_id().clone());
        let acceptor = TlsAcceptor::from(Arc::new(mtls::server_config(&svid, peers)?));
        tokio::spawn(async move {
            let mut stream = acceptor.accept(socket).await?;
            stream.write_all(b"hello").await?;
            stream.shutdown().await
        });
    }
}

/// The client: the serial of the certificate that the server showed.
async fn greet(address: SocketAddr, svids: &Svids) -> Outcome<Vec<u8>> {
    let svid = svids.borrow().clone().ok_or("there is no certificate")?;
    let peers = Peers::Only(svid.spiffe_id().clone());
    let connector = TlsConnector::from(Arc::new(mtls::client_config(&svid, peers)?));
    let socket = TcpStream::connect(address).await?;
    let name = ServerName::from(address.ip());
    let mut stream = connector.connect(name, socket).await?;
    let mut heard = Vec::new();
    // In TLS 1.3 a client hears only here that the server refused its certificate.
    stream.read_to_end(&mut heard).await?;
    let shown = stream.get_ref().1.peer_certificates();
    let leaf = shown
        .and_then(<[_]>::first)
        .ok_or("no certificate was shown")?;
    let leaf = proto::certificate::Certificate::from_der(leaf)?;
    match heard.as_slice() {
        b"hello" => Ok(leaf.facts().serial.clone()),
        _ => Err("the server said something else".into()),
    }
}
