//! What do callers speak? `DestinationRule`, as far as TLS goes.

use super::host::Host;
use super::port_level::PortLevel;
use super::reader::Fields;
use super::reader::Reader;
use super::reader::shown;
use super::refusal::Place;
use super::refusal::Refusal;
use super::refusal::RefusalRule;
use super::resource::Resource;
use crate::envoy::yaml::Content;
use crate::envoy::yaml::Node;

/// How callers reach a host.
#[derive(Clone, Debug)]
pub(crate) struct DestinationRule {
    /// What a person calls it: kind, namespace and name.
    pub(crate) title: String,
    pub(crate) namespace: String,
    /// Where the host stands.
    pub(crate) place: Place,
    pub(crate) host: Host,
    /// Callers outside of these namespaces do not see it; `.` is its own, `*` is all.
    pub(crate) export_to: Vec<String>,
    /// The callers it is for; all, if there are none.
    pub(crate) labels: Vec<(String, String)>,
    /// Whether it has a word on traffic, not on subsets alone.
    pub(crate) has_traffic_policy: bool,
    /// For all ports that it does not name.
    pub(crate) tls: Option<ClientTls>,
    /// For single ports, in place of `tls`.
    pub(crate) ports: Vec<PortLevel>,
    /// What keeps it from being honoured, should it be asked for.
    pub(crate) not_honoured: Vec<Refusal>,
}

/// What callers speak.
#[derive(Clone, Debug)]
pub(crate) struct ClientTls {
    pub(crate) mode: ClientMode,
    /// Where the mode stands.
    pub(crate) place: Place,
    pub(crate) sni: Option<String>,
    pub(crate) names: Vec<String>,
    /// What keeps it from being honoured, should it be asked for.
    pub(crate) not_honoured: Vec<Refusal>,
}

/// `ClientTLSSettings.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientMode {
    /// Plain text.
    Disable,
    /// TLS without a certificate of the caller's.
    Simple,
    /// Mutual TLS with certificates that the rule names.
    Mutual,
    /// Mutual TLS with the mesh's certificates.
    IstioMutual,
}

impl ClientMode {
    /// As it is spelled.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "DISABLE",
            Self::Simple => "SIMPLE",
            Self::Mutual => "MUTUAL",
            Self::IstioMutual => "ISTIO_MUTUAL",
        }
    }

    /// Whether callers show a certificate.
    pub(crate) fn is_mutual(self) -> bool {
        matches!(self, Self::Mutual | Self::IstioMutual)
    }
}

/// Reads a `DestinationRule` (`networking.istio.io`).
pub(super) fn rule(reader: &mut Reader, resource: &Resource<'_>) -> Option<DestinationRule> {
    let known = [
        "host",
        "trafficPolicy",
        "subsets",
        "exportTo",
        "workloadSelector",
    ];
    let spec = resource.spec(reader, &known);
    let Some(host) = spec.get("host") else {
        let reason = "a DestinationRule needs a host".to_owned();
        reader.refuse(resource.line, RefusalRule::BadValue, reason);
        return None;
    };
    let text = reader.text(&host.value, "host")?;
    let domain = &resource.mesh.cluster_domain;
    let parsed = match Host::of_rule(text, &resource.namespace, domain) {
        Ok(parsed) => parsed,
        Err(reason) => {
            reader.refuse(host.value.line, RefusalRule::BadValue, reason);
            return None;
        }
    };
    let place = reader.place(host.line);
    let mut rule = DestinationRule {
        title: resource.title(),
        namespace: resource.namespace.clone(),
        place,
        host: parsed,
        export_to: Vec::new(),
        labels: reader.selector(spec.get("workloadSelector")),
        has_traffic_policy: false,
        tls: None,
        ports: Vec::new(),
        not_honoured: Vec::new(),
    };
    if let Some(entry) = spec.get("exportTo") {
        for namespace in reader.list(&entry.value, "exportTo") {
            let namespace = reader.text(namespace, "a namespace of exportTo");
            rule.export_to.extend(namespace.map(str::to_owned));
        }
    }
    if let Some(policy) = spec.get("trafficPolicy") {
        traffic_policy(reader, &mut rule, &policy.value);
    }
    if let Some(subsets) = spec.get("subsets") {
        for subset in reader.list(&subsets.value, "subsets") {
            subset_policy(reader, &mut rule, subset);
        }
    }
    Some(rule)
}

fn traffic_policy(reader: &mut Reader, rule: &mut DestinationRule, policy: &Node) {
    let fields = reader.fields(policy, "trafficPolicy", &TRAFFIC);
    rule.has_traffic_policy = !fields.all().is_empty();
    not_honoured(reader, fields, &OTHER_TRAFFIC, &mut rule.not_honoured);
    rule.tls = fields
        .get("tls")
        .and_then(|tls| client_tls(reader, &tls.value));
    let Some(levels) = fields.get("portLevelSettings") else {
        return;
    };
    for level in reader.list(&levels.value, "portLevelSettings") {
        let level_fields = reader.fields(level, "a port of portLevelSettings", &PORT_LEVEL);
        not_honoured(reader, level_fields, &OTHER_TRAFFIC, &mut rule.not_honoured);
        let tls = level_fields
            .get("tls")
            .and_then(|tls| client_tls(reader, &tls.value));
        let number = level_fields.get("port").and_then(|port| {
            let port = reader.fields(&port.value, "port", &["number"]);
            let number = port.get("number")?;
            let text = reader.text(&number.value, "number")?;
            reader.port(text, number.line)
        });
        match number {
            Some(port) => {
                let place = reader.place(level.line);
                rule.ports.push(PortLevel { port, tls, place });
            }
            None => {
                let reason = "a port-level setting needs port.number".to_owned();
                reader.refuse(level.line, RefusalRule::BadValue, reason);
            }
        }
    }
}

/// Subsets are versions of a service, which this sidecar does not tell apart.
fn subset_policy(reader: &mut Reader, rule: &mut DestinationRule, subset: &Node) {
    let fields = reader.fields(subset, "a subset", &["name", "labels", "trafficPolicy"]);
    let Some(policy) = fields.get("trafficPolicy") else {
        return;
    };
    let fields = reader.fields(&policy.value, "trafficPolicy", &TRAFFIC);
    if let Some(tls) = fields.get("tls") {
        client_tls(reader, &tls.value);
        let reason = "tls of a subset: subsets are not told apart here".to_owned();
        let refusal = reader.refusal(tls.line, RefusalRule::NotHonoured, reason);
        rule.not_honoured.push(refusal);
    }
}

fn client_tls(reader: &mut Reader, tls: &Node) -> Option<ClientTls> {
    let fields = reader.fields(tls, "tls", &TLS);
    let Some(mode) = fields.get("mode") else {
        let reason = "tls needs a mode".to_owned();
        reader.refuse(tls.line, RefusalRule::BadValue, reason);
        return None;
    };
    let parsed = match reader.text(&mode.value, "mode")? {
        "DISABLE" => ClientMode::Disable,
        "SIMPLE" => ClientMode::Simple,
        "MUTUAL" => ClientMode::Mutual,
        "ISTIO_MUTUAL" => ClientMode::IstioMutual,
        other => {
            let expected = "expected DISABLE, SIMPLE, MUTUAL or ISTIO_MUTUAL";
            let reason = format!("{expected}, not {}", shown(other));
            reader.refuse(mode.value.line, RefusalRule::BadValue, reason);
            return None;
        }
    };
    let sni = fields
        .get("sni")
        .and_then(|sni| reader.text(&sni.value, "sni"));
    let mut names = Vec::new();
    if let Some(entry) = fields.get("subjectAltNames") {
        for name in reader.list(&entry.value, "subjectAltNames") {
            let name = reader.text(name, "a name of subjectAltNames");
            names.extend(name.map(str::to_owned));
        }
    }
    let mut refusals = Vec::new();
    not_honoured(reader, fields, &OTHER_TLS, &mut refusals);
    if matches!(parsed, ClientMode::Simple | ClientMode::Mutual) {
        let reason = format!(
            "{}: callers speak with the agent's certificate here, or in plain text",
            parsed.as_str()
        );
        refusals.push(reader.refusal(mode.line, RefusalRule::NotHonoured, reason));
    }
    Some(ClientTls {
        mode: parsed,
        place: reader.place(mode.line),
        sni: sni.map(str::to_owned),
        names,
        not_honoured: refusals,
    })
}

fn not_honoured(reader: &Reader, fields: Fields<'_>, names: &[&str], found: &mut Vec<Refusal>) {
    for entry in fields.all() {
        let off = Content::Scalar("false".to_owned());
        let is_set = entry.value.content != Content::Null && entry.value.content != off;
        if names.contains(&entry.key.as_str()) && is_set {
            let reason = format!("{}: this sidecar does not do that", entry.key);
            found.push(reader.refusal(entry.line, RefusalRule::NotHonoured, reason));
        }
    }
}

const TRAFFIC: [&str; 8] = [
    "tls",
    "portLevelSettings",
    "loadBalancer",
    "connectionPool",
    "outlierDetection",
    "tunnel",
    "proxyProtocol",
    "retryBudget",
];
const OTHER_TRAFFIC: [&str; 6] = [
    "loadBalancer",
    "connectionPool",
    "outlierDetection",
    "tunnel",
    "proxyProtocol",
    "retryBudget",
];
const PORT_LEVEL: [&str; 5] = [
    "port",
    "tls",
    "loadBalancer",
    "connectionPool",
    "outlierDetection",
];
const TLS: [&str; 9] = [
    "mode",
    "sni",
    "subjectAltNames",
    "clientCertificate",
    "privateKey",
    "caCertificates",
    "caCrl",
    "credentialName",
    "insecureSkipVerify",
];
const OTHER_TLS: [&str; 6] = [
    "clientCertificate",
    "privateKey",
    "caCertificates",
    "caCrl",
    "credentialName",
    "insecureSkipVerify",
];
