//! What came of one TLS handshake, and did the server let us in?
//!
//! In TLS 1.3 the server's word on the client's certificate comes after the client's handshake is over (RFC 8446
//! section 4.4.2.4), so we wait for it: a ticket says yes, an alert no. Without either we say goodbye and hear the rest.
//! Who hangs up on his own says neither, and is asked again: what he said may have been overtaken by a reset.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proto::certificate::Certificate;
use proto::certificate::CertificateError;
use rustls::AlertDescription;
use rustls::ProtocolVersion;
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::sight;
use super::sight::Sight;
use crate::svid::Svid;

/// What was seen of one handshake.
#[derive(Clone, Debug)]
pub struct Secured {
    /// The server's certificates, leaf first, as it sent them; none if it did not come to that.
    pub chain: Option<Result<Vec<Certificate>, CertificateError>>,
    /// Whether the server asked for a certificate.
    pub asked: bool,
    /// Such as `TLSv1.3`.
    pub version: Option<&'static str>,
    /// The protocol that the server chose.
    pub alpn: Option<String>,
    /// How it ended.
    pub end: End,
    /// Whether the server let us in with our certificate and then hung up, though nothing was said to it.
    pub hung_up: bool,
}

/// How a handshake ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The server is content.
    Admitted,
    /// The server sent an alert: its name in RFC 8446 section 6.
    Alert(String),
    /// The server hung up.
    Closed,
    /// The server, or somebody between, broke the connection.
    Reset,
    /// The server answered with something else than TLS.
    NotTls,
    /// Nothing came within the limit.
    Silent,
    /// The connection failed on this side.
    Failed(String),
    /// The server speaks a TLS that is not good enough, or breaks its rules.
    Incompatible(String),
}

impl Secured {
    /// Whether the other side speaks TLS at all.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.chain.is_some() || matches!(self.end, End::Alert(_) | End::Incompatible(_))
    }

    /// Whether it ended without a word on the certificate that was asked for.
    fn may_say_more(&self) -> bool {
        self.asked && matches!(self.end, End::Closed | End::Reset)
    }
}

/// Shakes hands, and again where the server hangs up instead of saying what it makes of our certificate.
pub(super) async fn ask(
    address: SocketAddr,
    name: &ServerName<'static>,
    svid: Option<&Svid>,
    limit: Duration,
) -> Secured {
    let first = shake(address, name, svid, limit).await;
    for _ in 1..TRIES {
        if !first.may_say_more() {
            break;
        }
        let again = shake(address, name, svid, limit).await;
        if again.asked && !again.may_say_more() {
            return again;
        }
    }
    first
}

/// Connects and shakes hands with whoever is there, showing `svid` if asked and if there is one.
async fn shake(
    address: SocketAddr,
    name: &ServerName<'static>,
    svid: Option<&Svid>,
    limit: Duration,
) -> Secured {
    let sight = Arc::new(Sight::default());
    let (facts, end, hung_up) = match connected(&sight, address, name, svid, limit).await {
        Ok(mut stream) => {
            let facts = Facts::of(&stream);
            let (end, is_over) = admission(&mut stream, &sight, facts.version, limit).await;
            let may_stay = svid.is_some() && end == End::Admitted && !is_over;
            let hung_up = may_stay && hangs_up(&mut stream, PAUSE.min(limit)).await;
            (facts, end, hung_up)
        }
        Err(end) => (Facts::default(), end, false),
    };
    Secured {
        chain: sight.chain.get().cloned(),
        asked: sight.asked(),
        version: facts.version.map(version),
        alpn: facts.alpn,
        end,
        hung_up,
    }
}

/// What both sides agreed on.
#[derive(Debug, Default)]
struct Facts {
    version: Option<ProtocolVersion>,
    alpn: Option<String>,
}

impl Facts {
    fn of(stream: &TlsStream<TcpStream>) -> Self {
        let (_, connection) = stream.get_ref();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            version: connection.protocol_version(),
            alpn: connection.alpn_protocol().map(text),
        }
    }
}

async fn connected(
    sight: &Arc<Sight>,
    address: SocketAddr,
    name: &ServerName<'static>,
    svid: Option<&Svid>,
    limit: Duration,
) -> Result<TlsStream<TcpStream>, End> {
    let config = sight::config(sight, svid).map_err(|error| End::Failed(error.to_string()))?;
    let connector = TlsConnector::from(Arc::new(config));
    let shaken = async {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        connector.connect(name.clone(), socket).await
    };
    match timeout(limit, shaken).await {
        Ok(outcome) => outcome.map_err(|error| end_of(&error)),
        Err(_elapsed) => Err(End::Silent),
    }
}

/// Waits for the server's word on what we showed; also answers whether that took our goodbye.
async fn admission(
    stream: &mut TlsStream<TcpStream>,
    sight: &Sight,
    version: Option<ProtocolVersion>,
    limit: Duration,
) -> (End, bool) {
    // Before TLS 1.3 the server's Finished comes last: it has looked at everything.
    if !sight.asked() || version != Some(ProtocolVersion::TLSv1_3) {
        return (End::Admitted, false);
    }
    match word(stream, sight, PAUSE.min(limit)).await {
        Some(end) => (end, false),
        None => (after_goodbye(stream, sight, limit).await, true),
    }
}

/// The server's word if it has none until we leave.
async fn after_goodbye(stream: &mut TlsStream<TcpStream>, sight: &Sight, limit: Duration) -> End {
    // What came before a reset can still be read after it.
    let goodbye = stream.shutdown().await;
    match (word(stream, sight, limit).await, goodbye) {
        // Who reads our goodbye has read our certificate before.
        (Some(End::Closed), Ok(())) => End::Admitted,
        (Some(End::Closed), Err(error)) => end_of(&error),
        (Some(end), _) => end,
        (None, _) => End::Silent,
    }
}

/// What the server says within `limit`, if anything.
async fn word(stream: &mut TlsStream<TcpStream>, sight: &Sight, limit: Duration) -> Option<End> {
    let mut first = [0; 1];
    let heard = async {
        tokio::select! {
            () = sight.ticket() => End::Admitted,
            read = stream.read(&mut first) => match read {
                Ok(0) => End::Closed,
                Ok(_) => End::Admitted,
                Err(error) => end_of(&error),
            },
        }
    };
    match timeout(limit, heard).await.ok() {
        // The ticket and the end may come in one piece.
        Some(End::Closed) if sight.ticketed() => Some(End::Admitted),
        end => end,
    }
}

/// Whether the server hangs up within `limit`.
async fn hangs_up(stream: &mut TlsStream<TcpStream>, limit: Duration) -> bool {
    let ending = async {
        let mut heard = [0; 1024];
        while stream.read(&mut heard).await.is_ok_and(|len| len > 0) {}
    };
    timeout(limit, ending).await.is_ok()
}

fn end_of(error: &io::Error) -> End {
    let inner = error.get_ref();
    match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => End::Alert(alert_name(*alert)),
        Some(
            rustls::Error::InvalidMessage(_)
            | rustls::Error::InappropriateMessage { .. }
            | rustls::Error::InappropriateHandshakeMessage { .. },
        ) => End::NotTls,
        Some(other) => End::Incompatible(other.to_string()),
        None => match error.kind() {
            io::ErrorKind::UnexpectedEof => End::Closed,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => End::Reset,
            _ => End::Failed(error.to_string()),
        },
    }
}

/// `CertificateRequired` as RFC 8446 writes it: `certificate_required`.
fn alert_name(alert: AlertDescription) -> String {
    let mut name = String::new();
    let mut after_small = false;
    for letter in format!("{alert:?}").chars() {
        if letter.is_ascii_uppercase() && after_small {
            name.push('_');
        }
        after_small = letter.is_ascii_lowercase();
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn version(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        _ => "another version",
    }
}

/// How long a server has to refuse us before we say goodbye; who needs longer is heard afterwards.
const PAUSE: Duration = Duration::from_millis(300);
/// How often a server is asked that hangs up without a word.
const TRIES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_called_as_the_standard_calls_them() {
        let cases = [
            (
                AlertDescription::CertificateRequired,
                "certificate_required",
            ),
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::HandshakeFailure, "handshake_failure"),
        ];
        for (alert, name) in cases {
            assert_eq!(alert_name(alert), name);
        }
    }
}
