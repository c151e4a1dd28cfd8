//! How does Envoy learn of new certificates? By SDS: from the agent's socket, or from files that it watches.

use serde_json::Value;
use serde_json::json;

use ca_client::files::FileNames;

use super::sidecar::Secrets;
use super::whole_path::WholePath;

/// The name of the leaf, its chain and its key, as Istio's agents have it.
pub(crate) const LEAF: &str = "default";
/// The name of the trust bundle.
pub(crate) const ROOTS: &str = "ROOTCA";
/// The cluster that leads to the agent's socket.
pub(crate) const SDS_CLUSTER: &str = "sds-grpc";

/// The name by which the leaf is asked for.
pub(crate) fn leaf(secrets: &Secrets) -> &str {
    match secrets {
        Secrets::Socket {
            identity: Some(id), ..
        } => id.as_str(),
        Secrets::Socket { identity: None, .. } | Secrets::Files { .. } => LEAF,
    }
}

/// What a TLS context says to get the secret `name`.
pub(crate) fn reference(secrets: &Secrets, name: &str) -> Value {
    let source = match secrets {
        Secrets::Socket { .. } => json!({"api_config_source": {
            "api_type": "GRPC",
            "transport_api_version": "V3",
            "set_node_on_first_message_only": true,
            "grpc_services": [{"envoy_grpc": {
                "cluster_name": SDS_CLUSTER,
                // Else an Envoy that started long before its agent stays deaf for up to half a minute more.
                "retry_policy": {"retry_back_off": {"base_interval": "0.5s", "max_interval": "2s"}},
            }}],
        }}),
        // Looked at again at each swap of the agent's files: Envoy gives up on files that were not there at its start.
        Secrets::Files { certs, secrets, .. } => json!({"path_config_source": {
            "path": secrets.join(&file_name(name)),
            "watched_directory": {"path": certs.as_str()},
        }}),
    };
    let mut config = json!({
        "resource_api_version": "V3",
        // Nobody is let in, or waits in vain, while there is no certificate yet.
        "initial_fetch_timeout": "0s",
    });
    if let (Some(config), Value::Object(source)) = (config.as_object_mut(), source) {
        config.extend(source);
    }
    json!({"name": name, "sds_config": config})
}

/// The cluster of the agent's socket, if it is used.
pub(crate) fn cluster(secrets: &Secrets) -> Option<Value> {
    let Secrets::Socket { path, .. } = secrets else {
        return None;
    };
    Some(json!({
        "name": SDS_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {HTTP_OPTIONS: {
            "@type": HTTP_OPTIONS_TYPE,
            "explicit_http_config": {"http2_protocol_options": {}},
        }},
        "load_assignment": {
            "cluster_name": SDS_CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": path.as_str()}}}}]}],
        },
    }))
}

/// The two files that say which of the agent's files make the secrets: name and content.
pub(crate) fn files(certs: &WholePath, names: FileNames) -> [(String, Value); 2] {
    let file = |name| json!({"filename": certs.join(name)});
    let leaf = json!({"tls_certificate": {
        "certificate_chain": file(names.chain()),
        "private_key": file(names.key()),
    }});
    let roots = json!({"validation_context": {"trusted_ca": file(names.roots())}});
    [(LEAF, leaf), (ROOTS, roots)].map(|(name, mut secret)| {
        if let Some(secret) = secret.as_object_mut() {
            secret.insert("@type".to_owned(), SECRET_TYPE.into());
            secret.insert("name".to_owned(), name.into());
        }
        (file_name(name), json!({"resources": [secret]}))
    })
}

fn file_name(secret: &str) -> String {
    format!("sds-{secret}.json")
}

/// The key of a cluster's options for HTTP.
pub(super) const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
pub(super) const HTTP_OPTIONS_TYPE: &str =
    "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const SECRET_TYPE: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
