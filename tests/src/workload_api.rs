//! A caller of the SPIFFE Workload API that says what we want it to.

use std::io;
use std::path::Path;
use std::path::PathBuf;

use hyper_util::rt::TokioIo;
use proto::workload_api::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use tokio::net::UnixStream;
use tonic::Request;
use tonic::transport::Channel;
use tonic::transport::Endpoint;

/// The client that the standard's `.proto` makes.
pub type Client = SpiffeWorkloadApiClient<Channel>;

/// A connection of its own.
///
/// # Errors
/// When nobody answers.
pub async fn dial(path: &Path) -> Result<Channel, tonic::transport::Error> {
    let path: PathBuf = path.to_owned();
    let connector = tower::service_fn(move |_uri| {
        let path = path.clone();
        async move { Ok::<_, io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    endpoint.connect_with_connector(connector).await
}

/// A client on a connection of its own.
///
/// # Errors
/// When nobody answers.
pub async fn connect(path: &Path) -> Result<Client, tonic::transport::Error> {
    Ok(SpiffeWorkloadApiClient::new(dial(path).await?))
}

/// A request with these values of the header that the standard demands.
///
/// # Panics
/// When they cannot be metadata.
pub fn call<T>(message: T, headers: &[&str]) -> Request<T> {
    let mut request = Request::new(message);
    for value in headers {
        let value = value.parse().unwrap();
        request.metadata_mut().append("workload.spiffe.io", value);
    }
    request
}
