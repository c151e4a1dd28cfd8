//! Where do a sidecar's connections go?

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use super::duration;
use super::tls;
use crate::envoy::endpoint::Endpoint;
use crate::envoy::secrets::HTTP_OPTIONS;
use crate::envoy::secrets::HTTP_OPTIONS_TYPE;
use crate::envoy::sidecar::Inbound;
use crate::envoy::sidecar::Outbound;
use crate::envoy::sidecar::Protocol;
use crate::envoy::sidecar::Security;
use crate::envoy::sidecar::Sidecar;

/// The name of the workload's own cluster.
pub(super) const WORKLOAD: &str = "workload";

/// The workload beside the sidecar, in plain text.
pub(super) fn workload(inbound: &Inbound) -> Value {
    cluster(WORKLOAD, &inbound.upstream, inbound.protocol, None)
}

/// The name of a peer's cluster and listener.
pub(super) fn peer_name(outbound: &Outbound) -> String {
    format!("outbound|{}|{}", outbound.listen, outbound.upstream)
}

/// A peer's sidecar.
pub(super) fn peer(sidecar: &Sidecar, outbound: &Outbound) -> Value {
    let (name, protocol) = (peer_name(outbound), outbound.protocol);
    let Security::Mutual { peers, sni } = &outbound.security else {
        return cluster(&name, &outbound.upstream, protocol, None);
    };
    let life = Some(sidecar.max_connection_duration);
    let mut cluster = cluster(&name, &outbound.upstream, protocol, life);
    if let Some(cluster) = cluster.as_object_mut() {
        let tls = tls::to_peer(&sidecar.secrets, peers, sni.as_deref(), protocol);
        cluster.insert("transport_socket".to_owned(), tls);
    }
    cluster
}

fn cluster(name: &str, to: &Endpoint, protocol: Protocol, life: Option<Duration>) -> Value {
    let address = json!({"socket_address": {"address": to.host(), "port_value": to.port()}});
    let mut cluster = json!({
        "name": name,
        "type": if to.is_ip() { "STATIC" } else { "STRICT_DNS" },
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    });
    if let (Some(options), Some(cluster)) = (http_options(protocol, life), cluster.as_object_mut())
    {
        let key = "typed_extension_protocol_options".to_owned();
        cluster.insert(key, json!({HTTP_OPTIONS: options}));
    }
    cluster
}

fn http_options(protocol: Protocol, life: Option<Duration>) -> Option<Value> {
    let version = match protocol {
        Protocol::Http => json!({"http_protocol_options": {}}),
        Protocol::Http2 => json!({"http2_protocol_options": {}}),
        Protocol::Tcp => return None,
    };
    let mut options = json!({"@type": HTTP_OPTIONS_TYPE, "explicit_http_config": version});
    if let (Some(life), Some(options)) = (life, options.as_object_mut()) {
        let common = json!({"max_connection_duration": duration(life)});
        options.insert("common_http_protocol_options".to_owned(), common);
    }
    Some(options)
}
