//! Who answers other trust domains? The port of the SPIFFE bundle, with leaves that name the CA by its SPIFFE ID.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::announce;
use super::doors;
use super::error::ServeError;
use super::serving::Presented;
use super::serving::Serving;
use super::serving::ServingError;
use crate::api::bundle;
use crate::api::bundle::BundleEndpoint;
use crate::api::http_port::HttpPort;
use crate::api::tls;
use crate::config::Config;
use crate::issuance::Issuance;
use crate::x509::LeafName;

/// The port, open but not yet served.
pub(super) struct Federation {
    held: Arc<ArcSwap<Vec<Presented>>>,
    renewals: JoinHandle<()>,
    listener: TcpListener,
    port: HttpPort,
}

impl Federation {
    /// Opens the port where it is wanted, with leaves of the CA's own SPIFFE ID.
    pub(super) async fn open(
        config: &Config,
        issuance: Arc<Issuance>,
        endpoint: BundleEndpoint,
        changes: watch::Receiver<u64>,
        stop: CancellationToken,
    ) -> Result<Option<Self>, ServeError> {
        let Some(settings) = &config.bundle_port else {
            return Ok(None);
        };
        let name = LeafName::Workload(settings.server_id.clone());
        let clock = Arc::clone(&endpoint.clock);
        let serving = Serving::start("bundle-endpoint", name, issuance, clock).await?;
        let listener = doors::bind(settings.addr).await?;
        let tls = tls::without_client_certificates(Arc::clone(&serving.certificate));
        let tls = tls.map_err(ServingError::from)?;
        announce::bundle_port(listener.local_addr()?, &settings.server_id);
        let port = HttpPort {
            routes: bundle::own_port_routes(endpoint),
            headers: config.limits.handshake,
            tls: Some(tls),
            stop,
        };
        Ok(Some(Self {
            held: Arc::clone(&serving.held),
            renewals: tokio::spawn(serving.keep_fresh(changes)),
            listener,
            port,
        }))
    }

    /// What the port presents.
    pub(super) fn held(&self) -> &Arc<ArcSwap<Vec<Presented>>> {
        &self.held
    }

    /// Serves until the stop, where there is such a port.
    pub(super) async fn serve(port: Option<Self>) {
        if let Some(open) = port {
            open.port.serve(open.listener).await;
            open.renewals.abort();
        }
    }
}
