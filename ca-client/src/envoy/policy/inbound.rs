//! What may a workload's callers speak? The narrowest policy that says so: workload, namespace, mesh.

use super::Decision;
use super::Policies;
use super::authentication::Authentication;
use super::authentication::Scope;
use super::refusal::Refusal;
use super::refusal::RefusalRule;
use crate::envoy::sidecar::Mode;

/// Whom the policies are asked about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workload {
    pub(crate) namespace: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) service: Option<String>,
    /// The ports by which a `PeerAuthentication` may know it.
    pub(crate) ports: Vec<u16>,
    /// The port of its service, by which older policies and callers know it.
    pub(crate) service_port: Option<u16>,
}

impl Workload {
    /// Whether it has all of `labels`.
    pub(super) fn has(&self, labels: &[(String, String)]) -> bool {
        labels.iter().all(|label| self.labels.contains(label))
    }

    fn is_in(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Mesh => true,
            Scope::Namespace(namespace) => *namespace == self.namespace,
            Scope::Workload { namespace, labels } => {
                *namespace == self.namespace && self.has(labels)
            }
            Scope::Service { namespace, service } => {
                *namespace == self.namespace && self.service.as_ref() == Some(service)
            }
        }
    }
}

impl Policies {
    /// The mode for callers of `workload`. Where nothing says, Istio is permissive.
    ///
    /// # Errors
    /// Policies of one scope, and those of which cannot be told whether they are meant.
    pub(crate) fn inbound(&self, workload: &Workload) -> Result<Decision<Mode>, Vec<Refusal>> {
        Ok(self.said(workload)?.unwrap_or_else(|| Decision {
            value: Mode::Permissive,
            because: "no policy says, which is permissive".to_owned(),
        }))
    }

    /// The mode that a policy has for callers of `workload`, if any has one.
    pub(super) fn said(&self, workload: &Workload) -> Result<Option<Decision<Mode>>, Vec<Refusal>> {
        let undecided: Vec<Refusal> = self
            .authentications
            .iter()
            .filter_map(|policy| undecided(policy, workload))
            .collect();
        if !undecided.is_empty() {
            return Err(undecided);
        }
        let levels = [
            self.level(workload, Scope::is_within_namespace),
            self.level(workload, |scope| matches!(scope, Scope::Namespace(_))),
            self.level(workload, |scope| *scope == Scope::Mesh),
        ];
        // Of those with one scope none are left; different selectors may meet in one workload.
        let [narrowest, ..] = &levels;
        let doubles = doubles(narrowest);
        if !doubles.is_empty() {
            return Err(doubles);
        }
        if let Some(decision) = by_port(narrowest, workload)? {
            return Ok(Some(decision));
        }
        Ok(levels.iter().flatten().find_map(|policy| {
            let value = policy.mode?;
            let because = format!("{} ({})", policy.title, policy.place);
            Some(Decision { value, because })
        }))
    }

    fn level(
        &self,
        workload: &Workload,
        is_level: impl Fn(&Scope) -> bool,
    ) -> Vec<&Authentication> {
        let policies = self.authentications.iter();
        policies
            .filter(|policy| is_level(&policy.scope) && workload.is_in(&policy.scope))
            .collect()
    }
}

/// What the narrowest policies say of the workload's own port.
fn by_port(
    policies: &[&Authentication],
    workload: &Workload,
) -> Result<Option<Decision<Mode>>, Vec<Refusal>> {
    let mut found: Option<(Mode, u16, String)> = None;
    for policy in policies {
        let known: &[u16] = match policy.is_older {
            true => workload.service_port.as_slice(),
            false => &workload.ports,
        };
        for level in &policy.ports {
            let Some(mode) = level.mode.filter(|_| known.contains(&level.port)) else {
                continue;
            };
            match &found {
                Some((other, port, _)) if *other != mode => {
                    let one = format!("port {} has {mode}, port {port} has {other}", level.port);
                    return Err(vec![Refusal {
                        at: level.place.clone(),
                        rule: RefusalRule::Undecided,
                        reason: format!("{one}: say which is the workload's with --port"),
                    }]);
                }
                _ => {
                    let because =
                        format!("port {} of {} ({})", level.port, policy.title, level.place);
                    found = Some((mode, level.port, because));
                }
            }
        }
    }
    Ok(found.map(|(value, _, because)| Decision { value, because }))
}

/// A policy that may or may not be for the workload, as far as is known of it.
fn undecided(policy: &Authentication, workload: &Workload) -> Option<Refusal> {
    let is_near = policy.scope.namespace() == Some(workload.namespace.as_str());
    let flag = match &policy.scope {
        Scope::Workload { .. } if is_near && workload.labels.is_empty() => "--labels",
        Scope::Service { .. } if is_near && workload.service.is_none() => "--service",
        // Its ports are the service's, of which those of the workload tell nothing.
        Scope::Service { .. }
            if workload.is_in(&policy.scope)
                && !policy.ports.is_empty()
                && workload.service_port.is_none() =>
        {
            "--service-port"
        }
        _ => return None,
    };
    Some(Refusal {
        at: policy.place.clone(),
        rule: RefusalRule::Undecided,
        reason: format!("{} may be for this workload: say {flag}", policy.title),
    })
}

/// Policies of one scope that say something of the same.
pub(super) fn doubles(policies: &[&Authentication]) -> Vec<Refusal> {
    let mut found = Vec::new();
    for (index, policy) in policies.iter().enumerate() {
        let earlier = policies.iter().take(index);
        if let Some(first) = earlier.into_iter().find(|first| overlap(first, policy)) {
            found.push(Refusal {
                at: policy.place.clone(),
                rule: RefusalRule::SameScope,
                reason: format!(
                    "{} and {} ({}) are for the same workload; Istio takes the older one: keep one",
                    policy.title, first.title, first.place
                ),
            });
        }
    }
    found
}

/// Older policies may share a service if each has its own ports.
fn overlap(one: &Authentication, other: &Authentication) -> bool {
    let shares_port = one
        .ports
        .iter()
        .any(|level| other.ports.iter().any(|own| own.port == level.port));
    let both_older = one.is_older && other.is_older;
    !both_older || (one.is_for_all_ports && other.is_for_all_ports) || shares_port
}
