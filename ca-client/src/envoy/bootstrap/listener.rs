//! Who is let in? Each mode of mutual TLS as filter chains.

use serde_json::Value;
use serde_json::json;

use super::cluster;
use super::extension;
use super::filters;
use super::filters::CallerHeader;
use super::filters::Way;
use super::socket;
use super::tls;
use crate::envoy::sidecar::Inbound;
use crate::envoy::sidecar::Mode;
use crate::envoy::sidecar::Outbound;
use crate::envoy::sidecar::Protocol;
use crate::envoy::sidecar::Security;
use crate::envoy::sidecar::Sidecar;

/// For the workload's callers.
///
/// Strict has the chain with TLS alone and disabled the plain one; permissive has both, and looks at the first bytes.
pub(super) fn inbound(sidecar: &Sidecar, inbound: &Inbound) -> Value {
    let mut listener = json!({
        "name": "inbound",
        "traffic_direction": "INBOUND",
        "address": socket(inbound.listen),
    });
    let chains = match inbound.mode {
        Mode::Strict => vec![mutual(sidecar, inbound)],
        Mode::Disable => vec![plain(inbound)],
        Mode::Permissive => vec![
            matching("tls", mutual(sidecar, inbound)),
            matching("raw_buffer", plain(inbound)),
        ],
    };
    if let Some(listener) = listener.as_object_mut() {
        listener.insert("filter_chains".to_owned(), chains.into());
        if inbound.mode == Mode::Permissive {
            listener.extend(inspection());
        }
    }
    listener
}

/// For the workload's own calls: plain text from beside, whatever the peer takes from here on.
pub(super) fn outbound(sidecar: &Sidecar, outbound: &Outbound) -> Value {
    let name = cluster::peer_name(outbound);
    let life = match (&outbound.security, outbound.protocol) {
        // A connection of bytes goes from end to end; those for HTTP towards the peer are the cluster's to end.
        (Security::Mutual { .. }, Protocol::Tcp) => Some(sidecar.max_connection_duration),
        _ => None,
    };
    let way = Way {
        name: &name,
        cluster: &name,
        protocol: outbound.protocol,
        life,
        caller: CallerHeader::Dropped,
    };
    json!({
        "name": name,
        "traffic_direction": "OUTBOUND",
        "address": socket(outbound.listen),
        "filter_chains": [{"filters": filters::filters(way)}],
    })
}

fn mutual(sidecar: &Sidecar, inbound: &Inbound) -> Value {
    let way = Way {
        name: "inbound_mtls",
        cluster: cluster::WORKLOAD,
        protocol: inbound.protocol,
        life: Some(sidecar.max_connection_duration),
        caller: CallerHeader::FromCertificate,
    };
    json!({
        "name": "mtls",
        "transport_socket": tls::for_callers(&sidecar.secrets, &inbound.callers, inbound.protocol),
        "transport_socket_connect_timeout": "15s",
        "filters": filters::filters(way),
    })
}

fn plain(inbound: &Inbound) -> Value {
    let way = Way {
        name: "inbound_plain",
        cluster: cluster::WORKLOAD,
        protocol: inbound.protocol,
        life: None,
        caller: CallerHeader::Dropped,
    };
    json!({"name": "plain", "filters": filters::filters(way)})
}

fn matching(transport_protocol: &str, mut chain: Value) -> Value {
    if let Some(chain) = chain.as_object_mut() {
        let criterion = json!({"transport_protocol": transport_protocol});
        chain.insert("filter_chain_match".to_owned(), criterion);
    }
    chain
}

/// Whether the first bytes are a TLS hello. Who says nothing waits for the workload to speak first, which TLS does not.
fn inspection() -> serde_json::Map<String, Value> {
    let message = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector";
    let inspector = extension("envoy.filters.listener.tls_inspector", message, json!({}));
    [
        ("listener_filters".to_owned(), json!([inspector])),
        ("listener_filters_timeout".to_owned(), "5s".into()),
        (
            "continue_on_listener_filters_timeout".to_owned(),
            true.into(),
        ),
    ]
    .into_iter()
    .collect()
}
