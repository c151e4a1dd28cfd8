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
    }
}

/// A `PeerAuthentication`; the mode is on line 3.
fn peer(namespace: &str, mode: &str, rest: &str) -> String {
    format!(
        "{{apiVersion: security.istio.io/v1beta1, kind: PeerAuthentication, metadata: {{name: {mode}, namespace: {namespace}}},\nspec: {{{rest}\nmtls: {{mode: {mode}}}}}}}\n"
    )
}

/// A `Policy` of OpenShift Service Mesh 1.
fn older(kind: &str, name: &str, spec: &str) -> String {
    let group = "authentication.maistra.io/v1";
    format!(
        "{{apiVersion: {group}, kind: {kind}, metadata: {{name: {name}}},\nspec: {{{spec}}}}}\n"
    )
}

/// A `DestinationRule`; the mode is on line 3.
fn rule(host: &str, mode: &str) -> String {
    rule_with(host, &format!("trafficPolicy: {{tls: {{\nmode: {mode}}}}}"))
}

fn rule_with(host: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1alpha3, kind: DestinationRule, metadata: {{name: r}},\nspec: {{host: '{host}', {spec}}}}}\n"
    )
}

const CART: &str = "selector: {matchLabels: {app: cart}},";
const TILL: &str = "selector: {matchLabels: {app: till}},";

fn refused<T: std::fmt::Debug>(answer: Result<T, Vec<Refusal>>) -> Vec<String> {
    let refusals = answer.unwrap_err();
    refusals.iter().map(ToString::to_string).collect()
}

fn till(mtls: Option<bool>) -> Destination<'static> {
    Destination {
        host: "till",
        port: 9080,
        peers: &[],
        mtls,
    }
}
