//! What the tables have in common: resources, each as a file of its own, and whom they are asked about.

mod contradictions;
mod inbound;
mod outbound;
mod refusals;

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::envoy::sidecar::Mode;
use crate::envoy::sidecar::Security;

/// Each document, as a file of its own: `0.yaml`, `1.yaml` and so on.
fn read(documents: &[&str]) -> Result<Policies, Vec<Refusal>> {
    let mesh = Mesh {
        root_namespace: "istio-system".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        default_namespace: "shop".to_owned(),
    };
    let name = |index| Arc::from(Path::new(&format!("{index}.yaml")));
    let files: Vec<(Arc<Path>, String)> = documents
        .iter()
        .enumerate()
        .map(|(index, text)| (name(index), (*text).to_owned()))
        .collect();
    Policies::read(&files, mesh)
}

fn cart() -> Workload {
    Workload {
        namespace: "shop".to_owned(),
        labels: vec![("app".to_owned(), "cart".to_owned())],
        service: Some("cart".to_owned()),
        ports: vec![8080, 15006],
        service_port: Some(80),
    }
}

/// Resources in short, one after a semicolon:
/// `peer NAMESPACE MODE [app=APP] [PORT:MODE]`, `old KIND NAME SPEC`, `rule HOST[@NAMESPACE] MODE` and `rule HOST[@NAMESPACE] {SPEC}`.
fn written(short: &str) -> Vec<String> {
    short
        .split("; ")
        .filter(|part| !part.is_empty())
        .map(one)
        .collect()
}

/// What [`written`] makes, read.
fn world(short: &str) -> Result<Policies, Vec<Refusal>> {
    let documents = written(short);
    let texts: Vec<&str> = documents.iter().map(String::as_str).collect();
    read(&texts)
}

fn one(short: &str) -> String {
    let words: Vec<&str> = short.splitn(4, ' ').collect();
    match words.as_slice() {
        ["peer", namespace, mode, rest @ ..] => {
            let rest = rest.first().unwrap_or(&"");
            peer(
                namespace,
                mode,
                &rest.split(' ').map(selector).collect::<String>(),
            )
        }
        ["old", kind, name, spec] => older(kind, name, spec),
        ["rule", host, ..] => {
            let spec = short.splitn(3, ' ').nth(2).unwrap();
            let (host, namespace) = host.split_once('@').unwrap_or((host, "shop"));
            let inner = spec
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'));
            let rule = inner.map_or_else(|| rule(host, spec), |inner| rule_with(host, inner));
            rule.replace("name: r", &format!("name: r, namespace: {namespace}"))
        }
        _ => short.to_owned(),
    }
}

fn selector(word: &str) -> String {
    match (word.split_once('='), word.split_once(':')) {
        (Some((key, value)), _) => format!("selector: {{matchLabels: {{{key}: {value}}}}},"),
        (_, Some((port, mode))) => format!("portLevelMtls: {{{port}: {{mode: {mode}}}}},"),
        _ => String::new(),
    }
}

/// A `PeerAuthentication`; the mode is on line 3.
fn peer(namespace: &str, mode: &str, rest: &str) -> String {
    let (group, kind) = ("security.istio.io/v1beta1", "PeerAuthentication");
    let metadata = format!("{{name: {mode}, namespace: {namespace}}}");
    let spec = format!("{{{rest}\nmtls: {{mode: {mode}}}}}");
    resource(group, kind, &metadata, &spec)
}

/// A `Policy` of OpenShift Service Mesh 1; the specification is on line 2.
fn older(kind: &str, name: &str, spec: &str) -> String {
    let metadata = format!("{{name: {name}}}");
    resource(
        "authentication.maistra.io/v1",
        kind,
        &metadata,
        &format!("{{{spec}}}"),
    )
}

/// A `DestinationRule`; the mode is on line 3.
fn rule(host: &str, mode: &str) -> String {
    rule_with(host, &format!("trafficPolicy: {{tls: {{\nmode: {mode}}}"))
}

/// A `DestinationRule`; the specification, of which closing braces are added, is on line 2.
fn rule_with(host: &str, spec: &str) -> String {
    let open = spec.matches('{').count() - spec.matches('}').count();
    let spec = format!("{{host: '{host}', {spec}{}}}", "}".repeat(open));
    resource(
        "networking.istio.io/v1alpha3",
        "DestinationRule",
        "{name: r}",
        &spec,
    )
}

fn resource(group: &str, kind: &str, metadata: &str, spec: &str) -> String {
    format!("{{apiVersion: {group}, kind: {kind}, metadata: {metadata},\nspec: {spec}}}\n")
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Vec<Refusal>>) -> Vec<String> {
    let refusals = answer.unwrap_err();
    refusals.iter().map(ToString::to_string).collect()
}

fn till(mtls: Option<bool>) -> Destination<'static> {
    Destination {
        host: "till",
        service_port: Some(9080),
        peers: &[],
        mtls,
    }
}
