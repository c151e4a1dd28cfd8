//! What did services take before Istio 1.5? `Policy`, `MeshPolicy` and, in OpenShift Service Mesh 1, `ServiceMeshPolicy`.

use super::authentication::Authentication;
use super::authentication::PortMode;
use super::authentication::Scope;
use super::reader::Fields;
use super::reader::Reader;
use super::reader::shown;
use super::refusal::RefusalRule;
use super::resource::Resource;
use crate::envoy::sidecar::Mode;
use crate::envoy::yaml::Content;
use crate::envoy::yaml::Node;

/// Reads one; it makes one value for each service that it names.
pub(super) fn policies(
    reader: &mut Reader,
    resource: &Resource<'_>,
    is_mesh_wide: bool,
) -> Vec<Authentication> {
    let spec = resource.spec(reader, &KNOWN);
    for (field, reason) in NOT_HONOURED {
        if let Some(entry) = spec.get(field) {
            let reason = format!("{field}: {reason}");
            reader.refuse(entry.line, RefusalRule::NotHonoured, reason);
        }
    }
    let (mode, line) = peers(reader, resource, spec);
    let policy = |reader: &Reader, scope, ports: Vec<u16>| Authentication {
        title: resource.title(),
        place: reader.place(line),
        scope,
        mode: ports.is_empty().then_some(mode),
        is_older: true,
        is_for_all_ports: ports.is_empty(),
        ports: ports
            .into_iter()
            .map(|port| PortMode {
                port,
                mode: Some(mode),
                place: reader.place(line),
            })
            .collect(),
    };
    let namespace = resource.namespace.clone();
    let Some(targets) = spec.get("targets") else {
        if resource.name != "default" {
            let reason =
                "without targets its name must be default: under another it holds for nobody";
            reader.refuse(resource.line, RefusalRule::BadValue, reason.to_owned());
        }
        let scope = match is_mesh_wide {
            true => Scope::Mesh,
            false => Scope::Namespace(namespace),
        };
        return vec![policy(reader, scope, Vec::new())];
    };
    if is_mesh_wide {
        let reason = "a policy for the whole mesh has no targets";
        reader.refuse(targets.line, RefusalRule::BadValue, reason.to_owned());
        return Vec::new();
    }
    let mut found = Vec::new();
    let nodes = reader.list(&targets.value, "targets");
    if nodes.is_empty() {
        let reason = "no target is listed: without the field it holds for the whole namespace";
        reader.refuse(targets.line, RefusalRule::BadValue, reason.to_owned());
    }
    for node in nodes {
        if let Some((service, ports)) = target(reader, node) {
            let namespace = namespace.clone();
            found.push(policy(reader, Scope::Service { namespace, service }, ports));
        }
    }
    found
}

/// In OpenShift Service Mesh 1 each control plane has a mesh of its own.
pub(super) fn check_control_plane(reader: &mut Reader, resource: &Resource<'_>) {
    let root = &resource.mesh.root_namespace;
    if let Some(line) = resource
        .namespace_line
        .filter(|_| resource.namespace != *root)
    {
        let reason = format!(
            "it holds for the mesh of {}, and the workload's is that of {root}: see --root-namespace",
            resource.namespace
        );
        reader.refuse(line, RefusalRule::NotHonoured, reason);
    }
}

/// No peers at all turn mutual TLS off.
fn peers(reader: &mut Reader, resource: &Resource<'_>, spec: Fields<'_>) -> (Mode, usize) {
    let Some(peers) = spec.get("peers") else {
        return (Mode::Disable, resource.line);
    };
    let mut found = (Mode::Disable, peers.line);
    for node in reader.list(&peers.value, "peers") {
        let peer = reader.fields(node, "a peer", &["mtls", "jwt"]);
        if let Some(jwt) = peer.any("jwt") {
            let reason = "jwt: this sidecar checks no tokens";
            reader.refuse(jwt.line, RefusalRule::NotHonoured, reason.to_owned());
        }
        if let Some(mtls) = peer.any("mtls") {
            found = mode(reader, &mtls.value, mtls.line);
        }
    }
    found
}

/// `mtls` with nothing in it is strict.
fn mode(reader: &mut Reader, mtls: &Node, line: usize) -> (Mode, usize) {
    let fields = reader.fields(mtls, "mtls", &["mode", "allowTls"]);
    if let Some(entry) = fields.get("allowTls")
        && entry.value.content != Content::Scalar("false".to_owned())
    {
        let reason = "allowTls: callers without a certificate are not let in over TLS";
        reader.refuse(entry.line, RefusalRule::NotHonoured, reason.to_owned());
    }
    let Some(entry) = fields.get("mode") else {
        return (Mode::Strict, line);
    };
    match reader.text(&entry.value, "mode") {
        Some("STRICT") | None => (Mode::Strict, entry.line),
        Some("PERMISSIVE") => (Mode::Permissive, entry.line),
        Some(other) => {
            let reason = format!("expected STRICT or PERMISSIVE, not {}", shown(other));
            reader.refuse(entry.value.line, RefusalRule::BadValue, reason);
            (Mode::Strict, entry.line)
        }
    }
}

/// The service and its ports.
fn target(reader: &mut Reader, node: &Node) -> Option<(String, Vec<u16>)> {
    let fields = reader.fields(node, "a target", &["name", "ports"]);
    let Some(name) = fields.get("name") else {
        let reason = "a target needs the name of its service".to_owned();
        reader.refuse(node.line, RefusalRule::BadValue, reason);
        return None;
    };
    let service = reader.name(name, "the target's name")?.to_owned();
    let mut ports = Vec::new();
    if let Some(entry) = fields.get("ports") {
        let listed = reader.list(&entry.value, "ports");
        if listed.is_empty() {
            let reason = "no port is listed: without the field it holds for all of them";
            reader.refuse(entry.line, RefusalRule::BadValue, reason.to_owned());
        }
        for node in listed {
            let port = reader.fields(node, "a port", &["number", "name"]);
            if port.get("name").is_none() && port.get("number").is_none() {
                let reason = "a port needs its number".to_owned();
                reader.refuse(node.line, RefusalRule::BadValue, reason);
            }
            if let Some(name) = port.get("name") {
                let reason = "a port by name is not known here; give its number".to_owned();
                reader.refuse(name.line, RefusalRule::NotHonoured, reason);
            }
            if let Some(number) = port.get("number") {
                let text = reader.text(&number.value, "number")?;
                ports.extend(reader.port(text, number.line));
            }
        }
        if ports.is_empty() {
            return None;
        }
    }
    Some((service, ports))
}

const KNOWN: [&str; 6] = [
    "targets",
    "peers",
    "peerIsOptional",
    "origins",
    "originIsOptional",
    "principalBinding",
];
const NOT_HONOURED: [(&str, &str); 4] = [
    (
        "peerIsOptional",
        "a peer either proves who it is or speaks plain text",
    ),
    ("origins", "this sidecar checks no tokens"),
    ("originIsOptional", "this sidecar checks no tokens"),
    (
        "principalBinding",
        "a caller is who its certificate says, and nobody else",
    ),
];
