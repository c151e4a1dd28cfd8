//! What happens to a connection that was let in? HTTP is forwarded by request, everything else by bytes.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use super::duration;
use super::extension;
use crate::envoy::sidecar::Protocol;

/// One way through the sidecar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way<'a> {
    /// What statistics call it.
    pub(super) name: &'a str,
    /// The cluster it leads to.
    pub(super) cluster: &'a str,
    pub(super) protocol: Protocol,
    /// How long a caller's connection may live.
    pub(super) life: Option<Duration>,
    /// What the receiver is told of the caller's certificate.
    pub(super) caller: CallerHeader,
}

/// What becomes of `x-forwarded-client-cert`, by which workloads know their callers.
#[derive(Clone, Copy, Debug)]
pub(super) enum CallerHeader {
    /// The caller's SPIFFE ID, by its certificate; what the caller says of itself is dropped.
    FromCertificate,
    /// Nothing: whoever has no certificate could have written anything.
    Dropped,
}

/// The network filters of that way.
pub(super) fn filters(way: Way<'_>) -> Value {
    match way.protocol {
        Protocol::Tcp => json!([tcp_proxy(way)]),
        Protocol::Http | Protocol::Http2 => json!([http_manager(way)]),
    }
}

fn tcp_proxy(way: Way<'_>) -> Value {
    let mut config = json!({"stat_prefix": way.name, "cluster": way.cluster});
    if let (Some(life), Some(config)) = (way.life, config.as_object_mut()) {
        let key = "max_downstream_connection_duration".to_owned();
        config.insert(key, duration(life).into());
    }
    let message = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
    extension("envoy.filters.network.tcp_proxy", message, config)
}

/// As invisible as can be: no time limit of its own on requests, no headers of its own.
fn http_manager(way: Way<'_>) -> Value {
    let router = "envoy.extensions.filters.http.router.v3.Router";
    let router = extension(
        "envoy.filters.http.router",
        router,
        json!({"suppress_envoy_headers": true}),
    );
    let mut config = json!({
        "stat_prefix": way.name,
        "codec_type": "AUTO",
        "stream_idle_timeout": "0s",
        "server_header_transformation": "PASS_THROUGH",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_filters": [router],
        "route_config": {
            "name": way.name,
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                {"match": {"prefix": "/"}, "route": {"cluster": way.cluster, "timeout": "0s"}},
            ]}],
        },
    });
    if let Some(config) = config.as_object_mut() {
        let (kept, told) = match way.caller {
            CallerHeader::FromCertificate => ("SANITIZE_SET", json!({"uri": true})),
            CallerHeader::Dropped => ("SANITIZE", Value::Null),
        };
        config.insert("forward_client_cert_details".to_owned(), kept.into());
        if !told.is_null() {
            config.insert("set_current_client_cert_details".to_owned(), told);
        }
        if let Some(life) = way.life {
            let common = json!({"max_connection_duration": duration(life)});
            config.insert("common_http_protocol_options".to_owned(), common);
            config.insert("drain_timeout".to_owned(), DRAIN.into());
        }
    }
    let manager =
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    extension(
        "envoy.filters.network.http_connection_manager",
        manager,
        config,
    )
}

/// How long requests that are under way may go on when a connection's time is over.
const DRAIN: &str = "30s";
