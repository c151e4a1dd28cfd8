//! Servers that break off, for whatever reason: what they do not say, nobody can know.

use std::io::Read as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use rustls::ALL_VERSIONS;
use rustls::ServerConfig;
use rustls::ServerConnection;

use crate::fronts::Clients;
use crate::fronts::config;
use crate::fronts::handshake;
use crate::fronts::serve;
use crate::pki::Leaf;

/// Asks for a certificate, and then does `stop` without having looked at the answer.
pub(crate) fn after_the_question(
    config: ServerConfig,
    stop: impl Fn(TcpStream) + Send + Sync + 'static,
) -> SocketAddr {
    let config = Arc::new(config);
    serve(move |mut stream| {
        if asks(&config, &mut stream) {
            stop(stream);
        }
    })
}

/// The same for those who speak TLS, and `plain` for others.
pub(crate) fn hangs_up_over_tls(
    config: ServerConfig,
    plain: impl Fn(TcpStream) + Send + Sync + 'static,
) -> SocketAddr {
    let config = Arc::new(config);
    serve(move |mut stream| match first_byte(&stream) {
        Some(0x16) if asks(&config, &mut stream) => hangs_up(stream),
        Some(0x16) | None => {}
        Some(_) => plain(stream),
    })
}

/// Sends all that comes before the client's certificate; not so to clients that do not speak TLS.
fn asks(config: &Arc<ServerConfig>, stream: &mut TcpStream) -> bool {
    let mut connection = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut speaks_tls = true;
    while speaks_tls && !connection.wants_write() {
        speaks_tls = connection.read_tls(stream).is_ok_and(|len| len > 0)
            && connection.process_new_packets().is_ok();
    }
    while connection.wants_write() {
        speaks_tls &= connection.write_tls(stream).is_ok();
    }
    speaks_tls
}

/// Reads the answer, and hangs up.
pub(crate) fn hangs_up(mut stream: TcpStream) {
    let _answer = stream.read(&mut [0; 16384]);
}

/// Breaks the connection: so does the system where something is left unread.
pub(crate) fn resets(stream: TcpStream) {
    let _arrived = stream.peek(&mut [0]);
    drop(stream);
}

/// Never says anything again, and holds on.
pub(crate) fn freezes(stream: TcpStream) {
    std::mem::forget(stream);
}

/// Reads the answer, and says that the fault is its own: `internal_error` (RFC 5246 section 7.2) in the clear, as
/// before `ChangeCipherSpec`.
pub(crate) fn fails(mut stream: TcpStream) {
    let _answer = stream.read(&mut [0; 16384]);
    let _gone = stream.write_all(&[0x15, 3, 3, 0, 2, 2, 80]);
}

/// A strict server whose first refusals are overtaken by a reset.
pub(crate) fn resets_at_first(config: ServerConfig, times: usize) -> SocketAddr {
    let config = Arc::new(config);
    let so_far = AtomicUsize::new(0);
    serve(move |mut stream| {
        let is_tls = first_byte(&stream) == Some(0x16);
        if is_tls && so_far.fetch_add(1, Ordering::SeqCst) < times {
            if asks(&config, &mut stream) {
                resets(stream);
            }
        } else {
            drop(handshake(&config, stream));
        }
    })
}

/// Refuses who has no certificate by hanging up, and serves others.
pub(crate) fn refuses_without_a_word(config: ServerConfig) -> SocketAddr {
    let config = Arc::new(config);
    serve(move |mut stream| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let shaken = connection.complete_io(&mut stream);
        if shaken.is_ok() && connection.peer_certificates().is_some() {
            let _end = stream.read_to_end(&mut Vec::new());
        }
    })
}

/// A proxy that takes mTLS and plain text for a service that is gone: it hangs up on both.
pub(crate) fn nobody_behind(leaf: &Leaf, clients: &Clients<'_>) -> SocketAddr {
    let config = Arc::new(config(leaf, clients, ALL_VERSIONS));
    serve(move |mut stream| {
        if first_byte(&stream) == Some(0x16) {
            let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let _refused = connection.complete_io(&mut stream);
        } else {
            hangs_up(stream);
        }
    })
}

/// Hangs up on HTTP/1.1, and waits for more of everything else: a service with a protocol of its own.
pub(crate) fn waits_for_more(mut stream: TcpStream) {
    let mut first = [0];
    if stream.read(&mut first).is_ok_and(|len| len == 1) && first != *b"G" {
        let _end = stream.read_to_end(&mut Vec::new());
    } else {
        hangs_up(stream);
    }
}

fn first_byte(stream: &TcpStream) -> Option<u8> {
    let mut first = [0];
    let seen = stream.peek(&mut first).ok().filter(|len| *len == 1);
    seen.map(|_| first[0])
}
