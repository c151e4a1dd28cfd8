//! Which bootstrap makes an Envoy be that sidecar? (Envoy's `Bootstrap`, v3)

mod cluster;
mod filters;
mod listener;
#[cfg(test)]
mod tests;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use super::secrets;
use super::sidecar::Sidecar;

/// The whole of it, in the shape of Envoy's JSON and YAML.
pub(crate) fn bootstrap(sidecar: &Sidecar) -> Value {
    let mut listeners = Vec::new();
    let mut clusters = Vec::new();
    if let Some(inbound) = &sidecar.inbound {
        listeners.push(listener::inbound(sidecar, inbound));
        clusters.push(cluster::workload(inbound));
    }
    for outbound in &sidecar.outbound {
        listeners.push(listener::outbound(sidecar, outbound));
        clusters.push(cluster::peer(sidecar, outbound));
    }
    if sidecar.needs_secrets() {
        clusters.extend(secrets::cluster(&sidecar.secrets));
    }
    let mut bootstrap = json!({
        "node": {"id": sidecar.node, "cluster": sidecar.node},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    });
    if let (Some(admin), Some(bootstrap)) = (sidecar.admin, bootstrap.as_object_mut()) {
        bootstrap.insert("admin".to_owned(), json!({"address": socket(admin)}));
    }
    bootstrap
}

/// An address to listen at.
fn socket(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip(), "port_value": address.port()}})
}

/// A duration as protobuf's JSON has it.
fn duration(duration: Duration) -> String {
    match duration.subsec_nanos() {
        0 => format!("{}s", duration.as_secs()),
        nanos => format!("{}.{nanos:09}s", duration.as_secs()),
    }
}

/// An extension's name with its configuration.
fn extension(name: &str, message: &str, mut config: Value) -> Value {
    if let Some(config) = config.as_object_mut() {
        let url = format!("type.googleapis.com/{message}");
        config.insert("@type".to_owned(), url.into());
    }
    json!({"name": name, "typed_config": config})
}
