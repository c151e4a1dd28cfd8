//! Are callers of the workload told otherwise? Here its labels and its service are known, so more is certain.

use super::Decision;
use super::Policies;
use super::contradiction::unpaired;
use super::destination_rule::ClientMode;
use super::destination_rule::ClientTls;
use super::destination_rule::DestinationRule;
use super::host::names_of;
use super::inbound::Workload;
use super::port_level::Answer;
use super::refusal::Refusal;
use super::refusal::RefusalRule;
use crate::envoy::sidecar::Mode;

impl Policies {
    /// Whether callers of `workload`, which has `decided`, are told otherwise.
    ///
    /// # Errors
    /// The rule that callers of its namespace go by, if it contradicts, or does for some ports of the service.
    pub(crate) fn check_callers(
        &self,
        workload: &Workload,
        decided: &Decision<Mode>,
    ) -> Result<(), Vec<Refusal>> {
        let Some(service) = &workload.service else {
            return Ok(());
        };
        let names = names_of(service, &workload.namespace, &self.mesh.cluster_domain);
        let caller = Workload {
            namespace: workload.namespace.clone(),
            ..Workload::default()
        };
        let Some(rule) = self.governing(&caller, &names, None)? else {
            return Ok(());
        };
        let is_said = self.said(workload)?.is_some();
        let judge = |answer: Answer<'_>| {
            let tls = answer.tls?;
            match is_said || tls.mode != ClientMode::IstioMutual {
                true => contradiction(rule, tls, decided),
                false => {
                    let whom = format!("{service} in {}", workload.namespace);
                    let seen = format!("no policy makes {whom} take it");
                    Some(unpaired(rule, tls, &seen))
                }
            }
        };
        let answers = rule.answers(workload.service_port).into_iter();
        let found: Vec<Option<Refusal>> = answers.map(judge).collect();
        let is_certain = found.iter().all(Option::is_some);
        match found.into_iter().flatten().next() {
            None => Ok(()),
            Some(refusal) if is_certain => Err(vec![refusal]),
            Some(refusal) => Err(vec![Refusal {
                rule: RefusalRule::Undecided,
                reason: format!(
                    "for one port of the service, {}: say which it is with --service-port",
                    refusal.reason
                ),
                ..refusal
            }]),
        }
    }
}

fn contradiction(
    rule: &DestinationRule,
    tls: &ClientTls,
    decided: &Decision<Mode>,
) -> Option<Refusal> {
    let id = match (decided.value, tls.mode) {
        (Mode::Strict, ClientMode::Disable | ClientMode::Simple) => RefusalRule::StrictWithoutMtls,
        (Mode::Disable, ClientMode::IstioMutual) => RefusalRule::MtlsWithoutPolicy,
        _ => return None,
    };
    let (title, mode) = (&rule.title, tls.mode.as_str());
    let (mine, because) = (decided.value, &decided.because);
    Some(Refusal {
        at: tls.place.clone(),
        rule: id,
        reason: format!(
            "{title} has {mode} for callers, and this workload has {mine} by {because}"
        ),
    })
}
