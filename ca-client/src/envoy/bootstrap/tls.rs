//! What is agreed on in a handshake, and whose certificate is good?
//!
//! No session is resumed: a resumed one is not asked for its certificate again, and would outlive it.

use serde_json::Value;
use serde_json::json;

use super::extension;
use crate::envoy::peer::Peer;
use crate::envoy::secrets;
use crate::envoy::sidecar::Protocol;
use crate::envoy::sidecar::Secrets;

/// For callers: our certificate, and one of theirs is demanded.
pub(super) fn for_callers(secrets: &Secrets, callers: &[Peer], protocol: Protocol) -> Value {
    let alpn: &[&str] = match protocol {
        Protocol::Http | Protocol::Http2 => &["h2", "http/1.1"],
        Protocol::Tcp => &["istio"],
    };
    let config = json!({
        "require_client_certificate": true,
        "disable_stateless_session_resumption": true,
        "disable_stateful_session_resumption": true,
        "common_tls_context": common(secrets, callers, alpn),
    });
    extension(TLS, &format!("{TLS_PACKAGE}.DownstreamTlsContext"), config)
}

/// Towards a peer: our certificate, and theirs must name one of `peers`.
///
/// `istio` is offered too, by which permissive sidecars of Istio know that the peer is one of the mesh.
pub(super) fn to_peer(
    secrets: &Secrets,
    peers: &[Peer],
    sni: Option<&str>,
    protocol: Protocol,
) -> Value {
    let alpn: &[&str] = match protocol {
        Protocol::Http => &["istio", "http/1.1"],
        Protocol::Http2 => &["istio", "h2"],
        Protocol::Tcp => &["istio"],
    };
    let mut config = json!({
        "max_session_keys": 0,
        "common_tls_context": common(secrets, peers, alpn),
    });
    if let (Some(sni), Some(config)) = (sni, config.as_object_mut()) {
        config.insert("sni".to_owned(), sni.into());
    }
    extension(TLS, &format!("{TLS_PACKAGE}.UpstreamTlsContext"), config)
}

fn common(secrets: &Secrets, peers: &[Peer], alpn: &[&str]) -> Value {
    let names: Vec<Value> = peers.iter().map(name).collect();
    json!({
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_2",
            "tls_maximum_protocol_version": "TLSv1_3",
            "cipher_suites": CIPHER_SUITES,
        },
        "alpn_protocols": alpn,
        "tls_certificate_sds_secret_configs": [secrets::reference(secrets, secrets::leaf(secrets))],
        "combined_validation_context": {
            "default_validation_context": {"match_typed_subject_alt_names": names},
            "validation_context_sds_secret_config": secrets::reference(secrets, secrets::ROOTS),
        },
    })
}

/// A prefix ends in a slash, so that `spiffe://cluster.local` lets in nobody of `spiffe://cluster.localhost`.
fn name(peer: &Peer) -> Value {
    let matcher = match peer {
        Peer::Exactly(id) => json!({"exact": id.as_str()}),
        Peer::Below(id) => json!({"prefix": format!("{id}/")}),
    };
    json!({"san_type": "URI", "matcher": matcher})
}

/// Of TLS 1.2, those of Istio's that have forward secrecy; TLS 1.3 has its own.
const CIPHER_SUITES: [&str; 4] = [
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
];
const TLS: &str = "envoy.transport_sockets.tls";
const TLS_PACKAGE: &str = "envoy.extensions.transport_sockets.tls.v3";
