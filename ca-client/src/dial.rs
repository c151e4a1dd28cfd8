//! Which of the CA's addresses answers? One that swallows packets must not use up all the time there is.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The first connection that comes about. The next address is tried as soon as one has failed, or beside it
/// after a head start (RFC 8305 section 5).
///
/// # Errors
/// The last failure, when all have failed.
pub(crate) async fn first_to_answer(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut dialled = JoinSet::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        match waiting.next() {
            Some(address) => drop(dialled.spawn(TcpStream::connect(address))),
            None if dialled.is_empty() => return Err(last),
            None => {}
        }
        let others_wait = waiting.len() > 0;
        tokio::select! {
            Some(Ok(outcome)) = dialled.join_next() => match outcome {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            },
            () = tokio::time::sleep(HEAD_START), if others_wait => {}
            else => {}
        }
    }
}

const HEAD_START: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::net::TcpSocket;
    use tokio::time::timeout;

    use super::*;

    /// A listener whose queue is full, so that the system drops what comes.
    async fn swallower() -> (SocketAddr, impl Sized) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut held = Vec::new();
        while let Ok(stream) = timeout(HEAD_START, TcpStream::connect(address)).await {
            held.push(stream.unwrap());
        }
        (address, (listener, held))
    }

    #[tokio::test]
    async fn an_address_that_swallows_packets_does_not_hide_one_that_answers() {
        let (silent, _held) = swallower().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let dialled = timeout(Duration::from_secs(5), first_to_answer(vec![silent, good])).await;
        assert_eq!(dialled.unwrap().unwrap().peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn when_all_refuse_or_there_is_none_it_says_so() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = listener.local_addr().unwrap();
        drop(listener);
        let error = first_to_answer(vec![closed, closed]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = first_to_answer(Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
