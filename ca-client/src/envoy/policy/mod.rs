//! What do the mesh's own policies say? Files in, decisions or refusals out; nothing is read or printed here.

mod authentication;
mod callers;
mod contradiction;
mod destination_rule;
mod host;
mod inbound;
mod older;
mod outbound;
mod port_level;
mod reader;
mod refusal;
mod resource;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use super::yaml;
use authentication::Authentication;
use destination_rule::DestinationRule;
use reader::Reader;
use refusal::RefusalRule;
use resource::Resource;

pub(crate) use inbound::Workload;
pub(crate) use outbound::Destination;
pub(crate) use refusal::Refusal;
pub(crate) use resource::is_yaml;

/// What holds for all resources.
#[derive(Clone, Debug)]
pub(crate) struct Mesh {
    /// The namespace whose policies hold for everybody.
    pub(crate) root_namespace: String,
    /// The domain of services' names.
    pub(crate) cluster_domain: String,
    /// The namespace of resources that name none.
    pub(crate) default_namespace: String,
}

/// All that the files say.
#[derive(Debug)]
pub(crate) struct Policies {
    mesh: Mesh,
    authentications: Vec<Authentication>,
    rules: Vec<DestinationRule>,
    /// What was passed over.
    pub(crate) notes: Vec<String>,
}

/// A decision, and what a person should know of how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision<T> {
    pub(crate) value: T,
    pub(crate) because: String,
}

impl Policies {
    /// Reads files: their names, and what is in them.
    ///
    /// # Errors
    /// All that cannot be read or understood, and each contradiction among the rest, if that is all understood.
    pub(crate) fn read(files: &[(Arc<Path>, String)], mesh: Mesh) -> Result<Self, Vec<Refusal>> {
        let mut policies = Self {
            mesh,
            authentications: Vec::new(),
            rules: Vec::new(),
            notes: Vec::new(),
        };
        let mut refusals = Vec::new();
        for (file, text) in files {
            let mut reader = Reader::new(Arc::clone(file));
            match yaml::parse(text) {
                Ok(documents) => {
                    for node in documents.iter().flat_map(resource::unpacked) {
                        policies.take(&mut reader, node);
                    }
                }
                Err(error) => reader.refuse(error.line, RefusalRule::Syntax, error.reason),
            }
            refusals.extend(reader.refusals());
        }
        if refusals.is_empty() {
            refusals = contradiction::all(&policies);
        }
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let notes = contradiction::partly_paired(&policies);
        policies.notes.extend(notes);
        Ok(policies)
    }

    fn take(&mut self, reader: &mut Reader, node: &yaml::Node) {
        let mesh = self.mesh.clone();
        let Some(mut resource) = Resource::read(reader, node, &mesh) else {
            return;
        };
        let Some((.., versions)) = KINDS
            .iter()
            .find(|(group, kind, _)| (*group, *kind) == (resource.group, resource.kind))
        else {
            let place = reader.place(resource.line);
            let note = format!(
                "{place}: passed over: {} is not honoured here",
                resource.kind
            );
            self.notes.push(note);
            return;
        };
        resource.settle(reader, node);
        if !versions.contains(&resource.version) {
            let (kind, known) = (resource.kind, versions.join(", "));
            let reason = format!("{kind} is known in {known}, not in {:?}", resource.version);
            reader.refuse(resource.line, RefusalRule::NotHonoured, reason);
            return;
        }
        match resource.kind {
            "PeerAuthentication" => self
                .authentications
                .extend(authentication::current(reader, &resource)),
            "DestinationRule" => self.rules.extend(destination_rule::rule(reader, &resource)),
            kind => {
                let is_mesh_wide = kind != "Policy";
                if kind == "ServiceMeshPolicy" {
                    older::check_control_plane(reader, &resource);
                }
                let found = older::policies(reader, &resource, is_mesh_wide);
                self.authentications.extend(found);
            }
        }
    }
}

/// Group, kind and versions of what is honoured.
const KINDS: [(&str, &str, &[&str]); 6] = [
    (
        "security.istio.io",
        "PeerAuthentication",
        &["v1beta1", "v1"],
    ),
    ("authentication.istio.io", "Policy", &["v1alpha1"]),
    ("authentication.istio.io", "MeshPolicy", &["v1alpha1"]),
    ("authentication.maistra.io", "Policy", &["v1"]),
    ("authentication.maistra.io", "ServiceMeshPolicy", &["v1"]),
    (
        "networking.istio.io",
        "DestinationRule",
        &["v1alpha3", "v1beta1", "v1"],
    ),
];
