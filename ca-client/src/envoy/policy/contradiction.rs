//! Which policies cannot both be meant? What callers are made to speak against what services take, as Kiali looks at it.
//!
//! Which services a selector means is not known, so only what is certain is refused.

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
type Word<'a> = (Option<u16>, &'a ClientTls);

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
    // Who listens at a port of a wide rule is not known.
    let may_be_other = |namespace: Option<&str>| {
        let mut some = policies.authentications.iter().filter(|policy| {
            policy.scope.is_within_namespace()
                && namespace.is_none_or(|namespace| policy.scope.namespace() == Some(namespace))
        });
        some.any(|policy| modes(policy).any(Mode::takes_mtls))
    };
    if tls.mode != ClientMode::IstioMutual {
        return None;
    }
    let (base, whom, may_take) = match &rule.host.reach {
        Reach::Mesh => {
            let may_take = port.is_some() && may_be_other(None);
            (of_mesh(policies), "the mesh".to_owned(), may_take)
        }
        Reach::Namespace(namespace) => {
            let may_take = port.is_some() && may_be_other(Some(namespace));
            (
                of(policies, namespace),
                format!("namespace {namespace}"),
                may_take,
            )
        }
        Reach::Service { namespace, service } => {
            let may_take = may_be_other(Some(namespace));
            (
                of(policies, namespace),
                format!("{service} in {namespace}"),
                may_take,
            )
        }
        Reach::Elsewhere => return None,
    };
    let seen = match base {
        Some((mode, _)) if mode.takes_mtls() => return None,
        _ if may_take => return None,
        Some((mode, because)) => format!("{because} has {mode}"),
        None => format!("no policy makes {whom} take it"),
    };
    let (title, mode) = (&rule.title, tls.mode.as_str());
    let fix = "add a PeerAuthentication with STRICT or PERMISSIVE";
    Some(Refusal {
        at: tls.place.clone(),
        rule: RefusalRule::MtlsWithoutPolicy,
        reason: format!("{title} makes callers speak mutual TLS ({mode}), and {seen}: {fix}"),
    })
}

fn of(policies: &Policies, namespace: &str) -> Option<(Mode, String)> {
    policies
        .base(namespace)
        .map(|(policy, mode)| (mode, format!("{} ({})", policy.title, policy.place)))
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
