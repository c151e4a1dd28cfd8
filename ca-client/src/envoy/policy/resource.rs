//! Which resource is it, and whose? What all kinds have in common.

use std::path::Path;

use super::Mesh;
use super::reader::Fields;
use super::reader::Reader;
use super::refusal::RefusalRule;
use crate::envoy::yaml::Content;
use crate::envoy::yaml::Entry;
use crate::envoy::yaml::Node;

/// One resource of a file.
pub(super) struct Resource<'a> {
    pub(super) group: &'a str,
    pub(super) version: &'a str,
    pub(super) kind: &'a str,
    pub(super) name: String,
    pub(super) namespace: String,
    /// Where it names its namespace, if it does.
    pub(super) namespace_line: Option<usize>,
    pub(super) mesh: &'a Mesh,
    /// Where it begins.
    pub(super) line: usize,
    spec: Option<&'a Entry>,
}

impl<'a> Resource<'a> {
    /// What a person calls it.
    pub(super) fn title(&self) -> String {
        format!("{} {}/{}", self.kind, self.namespace, self.name)
    }

    /// Its fields under `spec`, which are among `known`.
    pub(super) fn spec(&self, reader: &mut Reader, known: &[&str]) -> Fields<'a> {
        const NOTHING: &Node = &Node {
            line: 0,
            content: Content::Null,
        };
        let spec = self.spec.map_or(NOTHING, |entry| &entry.value);
        reader.fields(spec, self.kind, known)
    }

    /// Reads the envelope of one resource.
    pub(super) fn read(reader: &mut Reader, node: &'a Node, mesh: &'a Mesh) -> Option<Self> {
        let fields = reader.map(node, "a resource");
        let (Some(version), Some(kind)) = (fields.get("apiVersion"), fields.get("kind")) else {
            let reason = "expected a resource with apiVersion and kind".to_owned();
            reader.refuse(node.line, RefusalRule::Syntax, reason);
            return None;
        };
        let api = reader.text(&version.value, "apiVersion")?;
        let kind = reader.text(&kind.value, "kind")?;
        let (group, version) = api.split_once('/').unwrap_or(("", api));
        Some(Self {
            group,
            version,
            kind,
            name: String::new(),
            namespace: mesh.default_namespace.clone(),
            namespace_line: None,
            mesh,
            line: node.line,
            spec: fields.any("spec"),
        })
    }

    /// Reads name and namespace, and refuses what stands beside `spec`: a field that slipped out of it would be lost.
    pub(super) fn settle(&mut self, reader: &mut Reader, node: &Node) {
        let known = ["apiVersion", "kind", "metadata", "spec", "status"];
        let fields = reader.fields(node, self.kind, &known);
        let Some(metadata) = fields.get("metadata") else {
            return;
        };
        let metadata = reader.map(&metadata.value, "metadata");
        if let Some(entry) = metadata.get("name")
            && let Some(name) = reader.text(&entry.value, "the name")
        {
            name.clone_into(&mut self.name);
        }
        if let Some(entry) = metadata.get("namespace")
            && let Some(namespace) = reader.name(entry, "the namespace")
        {
            namespace.clone_into(&mut self.namespace);
            self.namespace_line = Some(entry.line);
        }
    }
}

/// The resources of a document: itself, or what a list holds.
pub(super) fn unpacked(node: &Node) -> Vec<&Node> {
    let Content::Map(entries) = &node.content else {
        return vec![node];
    };
    let field = |key: &str| entries.iter().find(|entry| entry.key == key);
    let kind = field("kind").map(|entry| &entry.value.content);
    let is_list = matches!(kind, Some(Content::Scalar(kind)) if kind.ends_with("List"));
    match field("items").map(|entry| &entry.value.content) {
        Some(Content::List(items)) if is_list => items.iter().collect(),
        _ => vec![node],
    }
}

/// Whether a directory's file is looked at.
pub(crate) fn is_yaml(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml"))
}
