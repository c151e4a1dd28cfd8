//! Which policies cannot both be meant? What callers are made to speak against what services take, as Kiali looks at it.
//!
//! Which services a selector means is not known, so only what is certain is refused.

use std::collections::BTreeSet;

use super::Policies;
use super::authentication::Authentication;
use super::authentication::Scope;
use super::destination_rule::ClientMode;
use super::destination_rule::ClientTls;
use super::destination_rule::DestinationRule;
use super::host::Reach;
use super::inbound::doubles;
use super::refusal::Refusal;
use super::refusal::RefusalRule;
use crate::envoy::sidecar::Mode;

/// All contradictions among `policies`.
pub(super) fn all(policies: &Policies) -> Vec<Refusal> {
    let mut found = of_one_scope(policies);
    for rule in &policies.rules {
        for word in spoken(rule) {
            found.extend(without_policy(policies, rule, word));
            found.extend(against_strict(policies, rule, word));
        }
    }
    found
}

/// Policies of which one is lost, whatever workload is asked about.
fn of_one_scope(policies: &Policies) -> Vec<Refusal> {
    let all = || policies.authentications.iter();
    let mut scopes: Vec<&Scope> = Vec::new();
    for policy in all() {
        if !scopes.contains(&&policy.scope) {
            scopes.push(&policy.scope);
        }
    }
    let doubles_of = |scope: &&Scope| {
        let with_it: Vec<&Authentication> = all().filter(|one| one.scope == **scope).collect();
        doubles(&with_it)
    };
    scopes.iter().flat_map(doubles_of).collect()
}

/// What a rule says, and for which port, if not for all.
pub(super) type Word<'a> = (Option<u16>, &'a ClientTls);

fn spoken(rule: &DestinationRule) -> impl Iterator<Item = Word<'_>> {
    let levels = rule.ports.iter();
    let levels = levels.filter_map(|level| Some((Some(level.port), level.tls.as_ref()?)));
    rule.tls.iter().map(|tls| (None, tls)).chain(levels)
}

/// Callers are made to speak mutual TLS, and no policy makes the service take it (Kiali's KIA0205 and KIA0206).
fn without_policy(
    policies: &Policies,
    rule: &DestinationRule,
    (port, tls): Word<'_>,
) -> Option<Refusal> {
    if tls.mode != ClientMode::IstioMutual {
        return None;
    }
    // Who listens at a port of a wide rule is not known.
    let is_level = port.is_some();
    match &rule.host.reach {
        Reach::Mesh => match of_mesh(policies) {
            Some((mode, _)) if mode.takes_mtls() => None,
            Some(_) if is_level && !takers(policies).is_empty() => None,
            Some((mode, because)) => Some(unpaired(rule, tls, &format!("{because} has {mode}"))),
            // Of those that no policy is for, each is refused when it is asked about.
            None if !takers(policies).is_empty() => None,
            None => Some(unpaired(rule, tls, "no policy makes the mesh take it")),
        },
        Reach::Namespace(namespace) => policies.unmet(rule, (port, tls), namespace, None),
        Reach::Service { namespace, service } => {
            policies.unmet(rule, (port, tls), namespace, Some(service))
        }
        Reach::Elsewhere => None,
    }
}

/// A note for each rule that has callers speak mutual TLS to more services than policies are for.
pub(super) fn partly_paired(policies: &Policies) -> Vec<String> {
    let namespaces: Vec<&str> = takers(policies).into_iter().collect();
    let note = |rule: &DestinationRule| {
        let mut words = spoken(rule);
        let (_, tls) = words.find(|(_, tls)| tls.mode == ClientMode::IstioMutual)?;
        let (all, some) = match &rule.host.reach {
            Reach::Mesh if of_mesh(policies).is_none() => {
                ("the whole mesh".to_owned(), namespaces.join(", "))
            }
            Reach::Namespace(namespace) if policies.base(namespace).is_none() => {
                (format!("namespace {namespace}"), "parts of it".to_owned())
            }
            _ => return None,
        };
        let (place, title) = (&tls.place, &rule.title);
        let does = format!("makes callers of {all} speak mutual TLS");
        let then = "services that no policy is for are refused";
        Some(format!(
            "{place}: {title} {does}, and policies take it in {some} alone: {then}"
        ))
    };
    policies.rules.iter().filter_map(note).collect()
}

/// Namespaces with a policy, of all or of some, that takes mutual TLS.
fn takers(policies: &Policies) -> BTreeSet<&str> {
    let all = policies.authentications.iter();
    all.filter(|policy| modes(policy).any(Mode::takes_mtls))
        .filter_map(|policy| policy.scope.namespace())
        .collect()
}

impl Policies {
    /// `rule` has callers of `service`, or of all of `namespace`, speak mutual TLS, and no policy makes it take that.
    pub(super) fn unmet(
        &self,
        rule: &DestinationRule,
        (port, tls): Word<'_>,
        namespace: &str,
        service: Option<&str>,
    ) -> Option<Refusal> {
        let base = self.base(namespace);
        let is_for = |scope: &Scope| match (scope, service) {
            (Scope::Service { service, .. }, Some(asked)) => service == asked,
            _ => true,
        };
        let takes =
            |policy: &Authentication| is_for(&policy.scope) && modes(policy).any(Mode::takes_mtls);
        // Where all have a policy and some another one, a rule for all is wrong for the former.
        let may_be_some = base.is_none() || port.is_some() || service.is_some();
        if base.is_some_and(|(_, mode)| mode.takes_mtls())
            || (may_be_some && within(self, namespace).any(takes))
        {
            return None;
        }
        let whom = service.map_or_else(
            || format!("namespace {namespace}"),
            |service| format!("{service} in {namespace}"),
        );
        let seen = base.map_or_else(
            || format!("no policy makes {whom} take it"),
            |(policy, mode)| format!("{} ({}) has {mode}", policy.title, policy.place),
        );
        Some(unpaired(rule, tls, &seen))
    }
}

/// The refusal of a rule with which nothing is paired.
pub(super) fn unpaired(rule: &DestinationRule, tls: &ClientTls, seen: &str) -> Refusal {
    let (title, mode) = (&rule.title, tls.mode.as_str());
    let fix = "add a PeerAuthentication with STRICT or PERMISSIVE";
    Refusal {
        at: tls.place.clone(),
        rule: RefusalRule::MtlsWithoutPolicy,
        reason: format!("{title} makes callers speak mutual TLS ({mode}), and {seen}: {fix}"),
    }
}

fn of_mesh(policies: &Policies) -> Option<(Mode, String)> {
    let mut all = policies.authentications.iter();
    let policy = all.find(|policy| policy.scope == Scope::Mesh && policy.mode.is_some())?;
    Some((policy.mode?, format!("{} ({})", policy.title, policy.place)))
}

/// A service demands mutual TLS, and its callers' rule forbids it (Kiali's KIA0207 and KIA0208).
fn against_strict(
    policies: &Policies,
    rule: &DestinationRule,
    (port, tls): Word<'_>,
) -> Option<Refusal> {
    let all = || policies.authentications.iter();
    let relaxes = |policy: &Authentication| {
        let mut levels = policy.ports.iter().filter_map(|level| level.mode);
        levels.any(|mode| mode != Mode::Strict)
    };
    if tls.mode.is_mutual() || (port.is_some() && all().any(relaxes)) {
        return None;
    }
    let mut strict = all().filter(|policy| policy.mode == Some(Mode::Strict));
    let policy = strict.find(|policy| meets(policies, rule, &policy.scope))?;
    let (title, mode) = (&rule.title, tls.mode.as_str());
    let seen = format!("{} ({}) has STRICT", policy.title, policy.place);
    let fix = "make the one ISTIO_MUTUAL or the other PERMISSIVE";
    Some(Refusal {
        at: tls.place.clone(),
        rule: RefusalRule::StrictWithoutMtls,
        reason: format!(
            "{title} has {mode} for callers, and {seen}: they would be turned away; {fix}"
        ),
    })
}

/// Whether callers of those in `scope` go by `rule`, and `scope` is what holds for them.
fn meets(policies: &Policies, rule: &DestinationRule, scope: &Scope) -> bool {
    let says = |namespace: &String| {
        let wanted = Scope::Namespace(namespace.clone());
        let mut all = policies.authentications.iter();
        all.any(|policy| policy.scope == wanted && policy.mode.is_some())
    };
    let may_relax = |namespace: &str| {
        within(policies, namespace).any(|policy| modes(policy).any(|mode| mode != Mode::Strict))
    };
    match (&rule.host.reach, scope) {
        (Reach::Elsewhere, _) | (Reach::Service { .. }, Scope::Workload { .. }) => false,
        (Reach::Mesh, Scope::Mesh) => true,
        (Reach::Mesh, narrower) => !has_nearer(policies, rule, narrower),
        (Reach::Namespace(namespace), Scope::Mesh) => !says(namespace),
        (Reach::Namespace(namespace), narrower) => {
            narrower.namespace() == Some(namespace) && !has_nearer(policies, rule, narrower)
        }
        (Reach::Service { namespace, .. }, Scope::Mesh) => {
            !says(namespace) && !may_relax(namespace)
        }
        (Reach::Service { namespace, .. }, Scope::Namespace(other)) => {
            namespace == other && !may_relax(namespace)
        }
        (
            Reach::Service { namespace, service },
            Scope::Service {
                namespace: other_namespace,
                service: other,
            },
        ) => namespace == other_namespace && service == other,
    }
}

/// Whether another rule may come before `rule` for callers of those in `scope`.
fn has_nearer(policies: &Policies, rule: &DestinationRule, scope: &Scope) -> bool {
    let Some(namespace) = scope.namespace() else {
        return false;
    };
    let mut others = policies
        .rules
        .iter()
        .filter(|other| other.has_traffic_policy);
    others.any(|other| match (&other.host.reach, scope) {
        (Reach::Namespace(own), _) => own == namespace && rule.host.reach == Reach::Mesh,
        (Reach::Service { namespace: own, .. }, Scope::Workload { .. }) => own == namespace,
        (
            Reach::Service {
                namespace: own,
                service: its,
            },
            Scope::Service { service, .. },
        ) => own == namespace && its == service,
        _ => false,
    })
}

/// Policies for some of a namespace.
fn within<'a>(policies: &'a Policies, namespace: &str) -> impl Iterator<Item = &'a Authentication> {
    policies.authentications.iter().filter(move |policy| {
        policy.scope.is_within_namespace() && policy.scope.namespace() == Some(namespace)
    })
}

fn modes(policy: &Authentication) -> impl Iterator<Item = Mode> {
    let levels = policy.ports.iter().filter_map(|level| level.mode);
    policy.mode.into_iter().chain(levels)
}
