//! How many may ask at once, and for how long? Few and not long: whoever holds the health port's
//! connections open must not take the file descriptors that the next renewal needs.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::time::Sleep;

/// Accepts connections; those above the limit are closed on arrival.
#[derive(Debug)]
pub(super) struct Bounded {
    inner: TcpListener,
    slots: Arc<Semaphore>,
    life: Duration,
}

impl Bounded {
    pub(super) fn new(inner: TcpListener) -> Self {
        Self {
            inner,
            slots: Arc::new(Semaphore::new(CONNECTIONS)),
            life: LIFE,
        }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, addr) = Listener::accept(&mut self.inner).await;
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
                tracing::debug!(limit = CONNECTIONS, "too many connections to the HTTP port");
                continue;
            };
            let end = Box::pin(tokio::time::sleep(self.life));
            let connection = Connection {
                stream,
                end,
                _slot: slot,
            };
            return (connection, addr);
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.inner.local_addr()
    }
}

/// A connection that breaks when its time is over.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    /// The stream, as long as there is time.
    fn in_time(&mut self, cx: &mut Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(Pin::new(&mut self.stream)),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.in_time(cx)?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.in_time(cx)?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?.poll_shutdown(cx)
    }
}

/// Open connections at once.
const CONNECTIONS: usize = 64;
/// A connection's longest life; a scraper opens another.
const LIFE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::AsyncReadExt as _;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    async fn serving(life: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut bounded = Bounded::new(listener);
        bounded.life = life;
        let routes = axum::Router::new().route("/", axum::routing::get(|| async { "here" }));
        tokio::spawn(async move { axum::serve(bounded, routes).await });
        addr
    }

    /// What comes until the connection ends.
    async fn heard(mut stream: TcpStream, said: &[u8]) -> String {
        let mut heard = Vec::new();
        // A connection that was closed on arrival may be reset under this.
        drop(stream.write_all(said).await);
        drop(stream.read_to_end(&mut heard).await);
        String::from_utf8(heard).unwrap()
    }

    const GET: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

    #[tokio::test]
    async fn no_more_than_the_limit_are_let_in_and_room_is_given_back() {
        let addr = serving(LIFE).await;
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS {
            idle.push(TcpStream::connect(addr).await.unwrap());
        }
        let beyond = TcpStream::connect(addr).await.unwrap();
        assert_eq!(heard(beyond, GET).await, "");
        assert!(heard(idle.pop().unwrap(), GET).await.ends_with("here"));
        let start = Instant::now();
        while !heard(TcpStream::connect(addr).await.unwrap(), GET)
            .await
            .ends_with("here")
        {
            assert!(start.elapsed() < Duration::from_secs(5));
        }
    }

    #[tokio::test]
    async fn a_peer_that_says_nothing_is_let_go() {
        let addr = serving(Duration::from_millis(50)).await;
        let silent = TcpStream::connect(addr).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(5), heard(silent, b"")).await;
        assert_eq!(ended.unwrap(), "");
    }
}
