//! How does gRPC get onto a connection that exists? tonic never opens one by itself.

use std::sync::Arc;
use std::sync::Mutex;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::transport::Channel;
use tonic::transport::Endpoint;
use tonic::transport::Error;

/// A channel over `stream` to a server that is called `authority` (`HOST:PORT`), with settings as `tune` makes them.
///
/// # Errors
/// When the server does not speak HTTP/2.
pub(crate) async fn over(
    stream: TlsStream<TcpStream>,
    authority: &str,
    tune: impl FnOnce(Endpoint) -> Endpoint,
) -> Result<Channel, Error> {
    let ready = Arc::new(Mutex::new(Some(TokioIo::new(stream))));
    let connector = tower::service_fn(move |_uri| {
        let taken = ready.lock().ok().and_then(|mut slot| slot.take());
        std::future::ready(taken.ok_or(std::io::ErrorKind::NotConnected))
    });
    let connector = tower::ServiceExt::map_err(connector, std::io::Error::from);
    tune(Endpoint::from_shared(format!("https://{authority}"))?)
        .connect_with_connector(connector)
        .await
}
