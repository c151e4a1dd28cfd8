//! A stretch of network between an agent and its CA that loses answers: bytes pass, until it is told to swallow them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Passes on what comes to its own port. Gone when dropped.
#[derive(Debug)]
pub struct Relay {
    /// Where it listens.
    pub addr: SocketAddr,
    swallow: Arc<AtomicBool>,
    cut: Arc<Notify>,
    running: JoinHandle<()>,
}

impl Relay {
    /// To `ca`. Of each connection it swallows everything that the CA says after the handshake, until
    /// [`Self::heal`].
    ///
    /// # Panics
    /// When there is no port.
    pub async fn that_swallows_answers(ca: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (swallow, cut) = (Arc::new(AtomicBool::new(true)), Arc::new(Notify::new()));
        let (flag, hung_up) = (Arc::clone(&swallow), Arc::clone(&cut));
        let running = tokio::spawn(async move {
            while let Ok((agent, _)) = listener.accept().await {
                let ca = TcpStream::connect(ca).await.unwrap();
                tokio::spawn(pass(agent, ca, Arc::clone(&flag), Arc::clone(&hung_up)));
            }
        });
        Self {
            addr,
            swallow,
            cut,
            running,
        }
    }

    /// Hangs up on everybody, and lets everything pass from now on.
    pub fn heal(&self) {
        self.swallow.store(false, Ordering::SeqCst);
        self.cut.notify_waiters();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn pass(agent: TcpStream, ca: TcpStream, swallow: Arc<AtomicBool>, cut: Arc<Notify>) {
    let (from_agent, to_agent) = agent.into_split();
    let (from_ca, to_ca) = ca.into_split();
    let is_late = Arc::new(AtomicBool::new(false));
    let late = Arc::clone(&is_late);
    // Both hang up together: dropping the halves closes the sockets.
    tokio::select! {
        () = up(from_agent, to_ca, &late) => {}
        () = down(from_ca, to_agent, &is_late, &swallow) => {}
        () = cut.notified() => {}
    }
}

/// Agent to CA: with its second flight the handshake is over (RFC 8446 section 2).
async fn up(mut agent: OwnedReadHalf, mut ca: OwnedWriteHalf, is_late: &AtomicBool) {
    let mut buffer = vec![0; 16 * 1024];
    let mut flights = 0;
    while let Ok(length @ 1..) = agent.read(&mut buffer).await {
        flights += 1;
        is_late.store(flights > 1, Ordering::SeqCst);
        if ca.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

async fn down(
    mut ca: OwnedReadHalf,
    mut agent: OwnedWriteHalf,
    is_late: &AtomicBool,
    swallow: &AtomicBool,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = ca.read(&mut buffer).await {
        if is_late.load(Ordering::SeqCst) && swallow.load(Ordering::SeqCst) {
            continue;
        }
        if agent.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
