//! What does a workload speak to a peer? The nearest rule that it sees; without one, what the peer's policies take.

use super::Decision;
use super::Policies;
use super::authentication::Authentication;
use super::authentication::Scope;
use super::destination_rule::ClientMode;
use super::destination_rule::ClientTls;
use super::destination_rule::DestinationRule;
use super::host;
use super::inbound::Workload;
use super::refusal::Place;
use super::refusal::Refusal;
use super::refusal::RefusalRule;
use crate::envoy::peer::Peer;
use crate::envoy::sidecar::Mode;
use crate::envoy::sidecar::Security;

/// A way out, as the command line has it.
#[derive(Clone, Debug)]
pub(crate) struct Destination<'a> {
    /// The name that rules know it by.
    pub(crate) host: &'a str,
    /// The port by which they know it, if that was said.
    pub(crate) service_port: Option<u16>,
    /// Who it must be, if that was said.
    pub(crate) peers: &'a [Peer],
    /// Whether it is mutual TLS, if that was said.
    pub(crate) mtls: Option<bool>,
}

impl Policies {
    /// How `caller` speaks to `to`; the peers may still be missing.
    ///
    /// # Errors
    /// What of the rule cannot be honoured, or contradicts the command line.
    pub(crate) fn outbound(
        &self,
        caller: &Workload,
        to: &Destination<'_>,
    ) -> Result<Decision<Security>, Vec<Refusal>> {
        let names = host::names_of(to.host, &caller.namespace, &self.mesh.cluster_domain);
        let service = host::service_of(&names, &self.mesh.cluster_domain);
        let namespace = service.as_ref().map(|(_, namespace)| namespace.as_str());
        let rule = self.governing(caller, &names, namespace)?;
        if let Some(rule) = rule {
            if !rule.not_honoured.is_empty() {
                return Err(rule.not_honoured.clone());
            }
            if let Some(tls) = tls_for(rule, to)? {
                let decision = by_rule(rule, tls, to)?;
                return match self.unpaired_peer(rule, tls, service.as_ref()) {
                    Some(refusal) => Err(vec![refusal]),
                    None => Ok(decision),
                };
            }
        }
        if let Some(is_mutual) = to.mtls {
            return Ok(Decision {
                value: security(is_mutual, to.peers.to_vec(), None),
                because: "--outbound".to_owned(),
            });
        }
        let Some(namespace) = namespace else {
            return Ok(Decision {
                value: security(true, to.peers.to_vec(), None),
                because: "no DestinationRule".to_owned(),
            });
        };
        self.automatic(namespace, to)
    }

    /// A rule for all of the mesh may be paired with a policy for some of it, and not for this peer.
    fn unpaired_peer(
        &self,
        rule: &DestinationRule,
        tls: &ClientTls,
        service: Option<&(String, String)>,
    ) -> Option<Refusal> {
        let (service, namespace) = service.filter(|_| tls.mode == ClientMode::IstioMutual)?;
        self.unmet(rule, (None, tls), namespace, Some(service))
    }

    /// The rule that holds: of the caller's namespace, else the service's, else the root; there the nearest host.
    pub(super) fn governing(
        &self,
        caller: &Workload,
        names: &[String],
        service_namespace: Option<&str>,
    ) -> Result<Option<&DestinationRule>, Vec<Refusal>> {
        let root = self.mesh.root_namespace.as_str();
        let order = [
            Some(caller.namespace.as_str()),
            service_namespace,
            Some(root),
        ];
        for namespace in order.into_iter().flatten() {
            let mut near: Vec<(usize, &DestinationRule)> = self
                .rules
                .iter()
                .filter(|rule| rule.namespace == namespace && sees(caller, rule))
                .filter_map(|rule| Some((rule.host.nearness(names)?, rule)))
                .collect();
            let nearest = near.iter().map(|(nearness, _)| *nearness).max();
            near.retain(|(nearness, _)| Some(*nearness) == nearest);
            let with_policy: Vec<&DestinationRule> = near
                .iter()
                .map(|(_, rule)| *rule)
                .filter(|rule| rule.has_traffic_policy)
                .collect();
            if let [first, second, ..] = with_policy.as_slice() {
                return Err(vec![Refusal {
                    at: second.place.clone(),
                    rule: RefusalRule::SameScope,
                    reason: format!(
                        "{} and {} ({}) are for the same host; Istio takes the older one: keep one",
                        second.title, first.title, first.place
                    ),
                }]);
            }
            let found = with_policy.first().copied();
            if let Some(rule) = found.or_else(|| near.first().map(|(_, rule)| *rule)) {
                return Ok(Some(rule));
            }
        }
        Ok(None)
    }

    /// Istio's automatic mutual TLS: what the peer's policies take.
    fn automatic(
        &self,
        namespace: &str,
        to: &Destination<'_>,
    ) -> Result<Decision<Security>, Vec<Refusal>> {
        let maybe = self.authentications.iter().find(|policy| {
            let all = policy.ports.iter().map(|level| level.mode);
            let mut modes = all.chain([policy.mode]);
            policy.scope.is_within_namespace()
                && policy.scope.namespace() == Some(namespace)
                && modes.any(|mode| mode == Some(Mode::Disable))
        });
        if let Some(policy) = maybe {
            return Err(vec![Refusal {
                at: policy.place.clone(),
                rule: RefusalRule::Undecided,
                reason: format!(
                    "{} may turn mutual TLS off for {}: say mtls=on or mtls=off in --outbound",
                    policy.title, to.host
                ),
            }]);
        }
        let base = self.base(namespace);
        let is_mutual = base.is_none_or(|(_, mode)| mode.takes_mtls());
        if let Some((policy, mode)) = base.filter(|_| !is_mutual && !to.peers.is_empty()) {
            let seen = format!("{} has {mode}", policy.title);
            return Err(vec![nobody_proves(&policy.place, &seen)]);
        }
        let because = base.map_or_else(
            || "no DestinationRule".to_owned(),
            |(policy, mode)| {
                let (title, place) = (&policy.title, &policy.place);
                format!("no DestinationRule, and {title} ({place}) has {mode}")
            },
        );
        Ok(Decision {
            value: security(is_mutual, to.peers.to_vec(), None),
            because,
        })
    }

    /// What holds for a namespace as a whole, if a policy says.
    pub(super) fn base(&self, namespace: &str) -> Option<(&Authentication, Mode)> {
        let of = |wanted: Scope| {
            let mut policies = self.authentications.iter();
            policies.find_map(|policy| {
                let mode = policy.mode.filter(|_| policy.scope == wanted)?;
                Some((policy, mode))
            })
        };
        of(Scope::Namespace(namespace.to_owned())).or_else(|| of(Scope::Mesh))
    }
}

/// Somebody said whom to authenticate, and something that nobody is to be.
fn nobody_proves(place: &Place, seen: &str) -> Refusal {
    let said = "--outbound names the peer's SPIFFE ID, which nobody proves in plain text";
    Refusal {
        at: place.clone(),
        rule: RefusalRule::NotHonoured,
        reason: format!("{seen}, and {said}: drop one of the two"),
    }
}

fn by_rule(
    rule: &DestinationRule,
    tls: &ClientTls,
    to: &Destination<'_>,
) -> Result<Decision<Security>, Vec<Refusal>> {
    if !tls.not_honoured.is_empty() {
        return Err(tls.not_honoured.clone());
    }
    let refused = |reason: String| {
        vec![Refusal {
            at: tls.place.clone(),
            rule: RefusalRule::NotHonoured,
            reason,
        }]
    };
    let is_mutual = tls.mode == ClientMode::IstioMutual;
    if let Some(said) = to.mtls.filter(|said| *said != is_mutual) {
        let said = if said { "on" } else { "off" };
        let mode = tls.mode.as_str();
        return Err(refused(format!(
            "{} has {mode}, --outbound has mtls={said}",
            rule.title
        )));
    }
    if !is_mutual && !to.peers.is_empty() {
        let seen = format!("{} has {}", rule.title, tls.mode.as_str());
        return Err(vec![nobody_proves(&tls.place, &seen)]);
    }
    let mut peers = Vec::new();
    for name in &tls.names {
        let peer = name.parse().map_err(|error| {
            refused(format!(
                "a peer is known by its SPIFFE ID here, not by {name:?}: {error}"
            ))
        })?;
        peers.push(peer);
    }
    match (peers.is_empty(), to.peers.is_empty()) {
        (true, _) => peers = to.peers.to_vec(),
        (false, false) if peers != to.peers => {
            let reason = format!(
                "subjectAltNames of {} and --outbound name other peers",
                rule.title
            );
            return Err(refused(reason));
        }
        (false, _) => {}
    }
    Ok(Decision {
        value: security(is_mutual, peers, tls.sni.clone()),
        because: format!("{} ({})", rule.title, tls.place),
    })
}

/// What `rule` says for the peer's port, or for each that it may be.
fn tls_for<'a>(
    rule: &'a DestinationRule,
    to: &Destination<'_>,
) -> Result<Option<&'a ClientTls>, Vec<Refusal>> {
    let answers = rule.answers(to.service_port);
    let Some((first, others)) = answers.split_first() else {
        return Ok(None);
    };
    match others.iter().find(|answer| !answer.is_same_as(first)) {
        None => Ok(first.tls),
        Some(answer) => Err(vec![Refusal {
            at: answer.place.clone(),
            rule: RefusalRule::Undecided,
            reason: format!(
                "{} has other settings for single ports of {}: say which is the service's with port=N in --outbound",
                rule.title, to.host
            ),
        }]),
    }
}

/// Whether `caller` is among those that `rule` is for.
fn sees(caller: &Workload, rule: &DestinationRule) -> bool {
    let is_home = rule.namespace == caller.namespace;
    let exported = rule.export_to.iter().any(|to| match to.as_str() {
        "*" => true,
        "." => is_home,
        namespace => namespace == caller.namespace,
    });
    let selected = rule.labels.is_empty() || (is_home && caller.has(&rule.labels));
    (rule.export_to.is_empty() || exported) && selected
}

fn security(is_mutual: bool, peers: Vec<Peer>, sni: Option<String>) -> Security {
    match is_mutual {
        true => Security::Mutual { peers, sni },
        false => Security::Plain,
    }
}
