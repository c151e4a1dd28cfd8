//! What does a service take? `PeerAuthentication`, and the older `Policy`, `MeshPolicy` and `ServiceMeshPolicy`, as one kind of value.

use super::reader::Fields;
use super::reader::Reader;
use super::reader::shown;
use super::refusal::Place;
use super::refusal::RefusalRule;
use super::resource::Resource;
use crate::envoy::sidecar::Mode;

/// What holds for one scope.
#[derive(Clone, Debug)]
pub(crate) struct Authentication {
    /// What a person calls it: kind, namespace and name.
    pub(crate) title: String,
    /// Where its mode stands, or where it begins.
    pub(crate) place: Place,
    pub(crate) scope: Scope,
    /// What callers may speak, unless the next wider scope is to say.
    pub(crate) mode: Option<Mode>,
    /// The same for single ports of the workload.
    pub(crate) ports: Vec<PortMode>,
    /// Whether it is of a kind that Istio had before 1.5, of which several may hold for one service.
    pub(crate) is_older: bool,
    /// Whether it says anything for ports that it does not name.
    pub(crate) is_for_all_ports: bool,
}

/// What holds for one port.
#[derive(Clone, Debug)]
pub(crate) struct PortMode {
    pub(crate) port: u16,
    pub(crate) mode: Option<Mode>,
    pub(crate) place: Place,
}

/// For whom it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everybody.
    Mesh,
    /// All in one namespace.
    Namespace(String),
    /// Workloads with these labels.
    Workload {
        namespace: String,
        labels: Vec<(String, String)>,
    },
    /// The workloads of one service.
    Service { namespace: String, service: String },
}

impl Scope {
    /// The namespace, if it is narrower than the mesh.
    pub(crate) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Mesh => None,
            Self::Namespace(namespace)
            | Self::Workload { namespace, .. }
            | Self::Service { namespace, .. } => Some(namespace),
        }
    }

    /// Whether it picks some of a namespace.
    pub(crate) fn is_within_namespace(&self) -> bool {
        matches!(self, Self::Workload { .. } | Self::Service { .. })
    }
}

/// Reads a `PeerAuthentication` (`security.istio.io`).
pub(super) fn current(reader: &mut Reader, resource: &Resource<'_>) -> Option<Authentication> {
    let known = ["selector", "mtls", "portLevelMtls"];
    let spec = resource.spec(reader, &known);
    let labels = reader.selector(spec.get("selector"));
    let is_root = resource.namespace == resource.mesh.root_namespace;
    if is_root && !labels.is_empty() {
        let reason =
            "a selector in the root namespace selects nobody; put it into the workload's namespace";
        let line = spec
            .get("selector")
            .map_or(resource.line, |entry| entry.line);
        reader.refuse(line, RefusalRule::NotHonoured, reason.to_owned());
        return None;
    }
    let mut place = reader.place(resource.line);
    let mut mode = None;
    if let Some(mtls) = spec.get("mtls") {
        let mtls = reader.fields(&mtls.value, "mtls", &["mode"]);
        if let Some(entry) = mtls.get("mode") {
            place = reader.place(entry.line);
        }
        mode = current_mode(reader, mtls);
    }
    let mut ports = Vec::new();
    if let Some(entry) = spec.get("portLevelMtls") {
        if labels.is_empty() {
            let reason = "portLevelMtls is for workloads: it needs a selector";
            reader.refuse(entry.line, RefusalRule::BadValue, reason.to_owned());
        }
        for level in reader.map(&entry.value, "portLevelMtls").all() {
            let fields = reader.fields(&level.value, "a port of portLevelMtls", &["mode"]);
            let mode = current_mode(reader, fields);
            let line = fields.get("mode").map_or(level.line, |mode| mode.line);
            if let Some(port) = reader.port(&level.key, level.line) {
                let place = reader.place(line);
                ports.push(PortMode { port, mode, place });
            }
        }
    }
    let namespace = resource.namespace.clone();
    let scope = match (labels.is_empty(), is_root) {
        (true, true) => Scope::Mesh,
        (true, false) => Scope::Namespace(namespace),
        (false, _) => Scope::Workload { namespace, labels },
    };
    Some(Authentication {
        title: resource.title(),
        place,
        scope,
        mode,
        ports,
        is_older: false,
        is_for_all_ports: true,
    })
}

fn current_mode(reader: &mut Reader, mtls: Fields<'_>) -> Option<Mode> {
    let entry = mtls.get("mode")?;
    match reader.text(&entry.value, "mode")? {
        "UNSET" => None,
        "STRICT" => Some(Mode::Strict),
        "PERMISSIVE" => Some(Mode::Permissive),
        "DISABLE" => Some(Mode::Disable),
        other => {
            let expected = "expected UNSET, STRICT, PERMISSIVE or DISABLE";
            let reason = format!("{expected}, not {}", shown(other));
            reader.refuse(entry.value.line, RefusalRule::BadValue, reason);
            None
        }
    }
}
