//! How do things stand? The record, what each next step waits for, who holds what, and what is to be expected.

mod plan;

use std::collections::HashSet;
use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;
use proto::spiffe::SpiffeId;

use super::Evidence;
use super::Gate;
use super::Obstacle;
use super::Record;
use super::Signer;
use super::Step;
use super::gates;
use crate::ledger::Holding;
use crate::ledger::InstanceId;

pub use plan::Plan;

/// How things stand at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who signs, who is next, who drains, and what was done.
    pub record: Record,
    /// Number of the trust bundle in force.
    pub bundle_number: u64,
    /// How many hold leaves that may be alive. Callers who name no instance count once for each bundle they got.
    pub holders: usize,
    /// The steps that may come next: activation where somebody waits for it, and a retirement for each that drains.
    pub steps: Vec<StepReport>,
    /// Who holds leaves of each signer, in the record's order.
    pub leaves: Vec<LeavesOf>,
    /// What is to be expected; `None` where only the files were looked at.
    pub plan: Option<Plan>,
    /// The operator's directory.
    pub directory: DirectoryReport,
    /// What else somebody has to do something about.
    pub warnings: Vec<String>,
}

/// One step that may come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepReport {
    /// Which.
    pub step: Step,
    /// May it be taken?
    pub gate: Gate,
    /// Everything that stands against it, also where the gate is open all the same: who breaks.
    pub obstacles: Vec<Obstacle>,
    /// How many holders are among those.
    pub awaited: usize,
}

/// The leaves of one signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavesOf {
    /// Which signer.
    pub issuer: Fingerprint,
    /// When the last of them is dead; `None` when none is alive.
    pub last_gone: Option<SystemTime>,
    /// Who has one, unless it said that it serves another instead.
    pub held_by: Vec<Obstacle>,
}

/// The operator's directory, as it was seen last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryReport {
    /// SHA-256 over the files that are loaded; empty when none are.
    pub loaded: String,
    /// SHA-256 over the files that are there; empty when none are.
    pub on_disk: String,
    /// Why what is there is not loaded; empty when it is.
    pub failure: String,
    /// How often something could not be loaded.
    pub failures: u64,
    /// How often something was loaded.
    pub reloads: u64,
    /// How often it was looked at.
    pub looks: u64,
}

/// Who holds things up, as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Awaited {
    /// How many hold leaves that may be alive.
    pub holders: usize,
    /// How many of them the next activation waits for.
    pub by_activation: usize,
    /// How many of them retirements wait for.
    pub by_retirement: usize,
}

impl Report {
    /// What `evidence` says of `record`. Leaves live `longest_ttl` at most while a rotation is under way.
    #[must_use]
    pub fn of(
        record: &Record,
        evidence: &Evidence<'_>,
        longest_ttl: Duration,
        directory: DirectoryReport,
    ) -> Self {
        Self {
            record: record.clone(),
            bundle_number: evidence.bundle,
            holders: holders(evidence),
            steps: steps(record, evidence).collect(),
            leaves: record
                .signers
                .iter()
                .map(|signer| LeavesOf::of(signer, evidence))
                .collect(),
            plan: Some(Plan::of(record, evidence, longest_ttl)),
            directory,
            warnings: Vec::new(),
        }
    }

    /// What the files alone say: no gate was asked, for that takes a ledger.
    #[must_use]
    pub fn of_files(record: Record, bundle_number: u64) -> Self {
        Self {
            record,
            bundle_number,
            holders: 0,
            steps: Vec::new(),
            leaves: Vec::new(),
            plan: None,
            directory: DirectoryReport::default(),
            warnings: Vec::new(),
        }
    }

    /// Who holds leaves of `issuer`.
    #[must_use]
    pub fn leaves_of(&self, issuer: &Fingerprint) -> Option<&LeavesOf> {
        self.leaves.iter().find(|leaves| leaves.issuer == *issuer)
    }
}

impl StepReport {
    /// When the gate opens by itself at the latest; `None` when it is open, or somebody has to do something first.
    #[must_use]
    pub fn opens_at(&self) -> Option<SystemTime> {
        let dates = self.gate.obstacles().iter().map(Obstacle::until);
        let dates: Option<Vec<SystemTime>> = dates.collect();
        dates?.into_iter().max()
    }
}

impl LeavesOf {
    fn of(signer: &Signer, evidence: &Evidence<'_>) -> Self {
        let own = evidence
            .live_holdings()
            .filter(|holding| holding.issuer == signer.issuer);
        Self {
            issuer: signer.issuer,
            last_gone: own
                .map(|holding| evidence.gone_at(holding.last_second))
                .max(),
            held_by: gates::held_leaves(signer, evidence),
        }
    }
}

/// Who holds things up, for dashboards.
#[must_use]
pub fn awaited(record: &Record, evidence: &Evidence<'_>) -> Awaited {
    let mut counts = Awaited {
        holders: holders(evidence),
        ..Awaited::default()
    };
    for step in steps(record, evidence) {
        match step.step {
            Step::Retire(_) => counts.by_retirement += step.awaited,
            Step::Activate | Step::Distribute => counts.by_activation += step.awaited,
        }
    }
    counts
}

fn steps<'a>(
    record: &'a Record,
    evidence: &'a Evidence<'_>,
) -> impl Iterator<Item = StepReport> + 'a {
    let activation = record.next.map(|_next| Step::Activate);
    let retirements = record.draining().map(|signer| Step::Retire(signer.issuer));
    activation.into_iter().chain(retirements).map(|step| {
        let (gate, obstacles) = match &step {
            Step::Retire(issuer) => (
                gates::retire(record, issuer, evidence),
                gates::retirement_obstacles(record, issuer, evidence),
            ),
            Step::Activate | Step::Distribute => (
                gates::activate(record, evidence),
                gates::activation_obstacles(record, evidence),
            ),
        };
        StepReport {
            step,
            gate,
            awaited: holders_among(&obstacles),
            obstacles,
        }
    })
}

fn holders(evidence: &Evidence<'_>) -> usize {
    let name = |holding: &Holding| {
        let holder = holding.holder.as_ref();
        holder.map(|holder| (holder.instance, holder.spiffe_id.clone()))
    };
    distinct(evidence.live_holdings().map(name))
}

fn holders_among(obstacles: &[Obstacle]) -> usize {
    let names = obstacles.iter().filter_map(|obstacle| match obstacle {
        Obstacle::Behind { holder, .. } | Obstacle::Live { holder, .. } => Some(
            holder
                .as_ref()
                .map(|holder| (holder.instance, holder.spiffe_id.clone())),
        ),
        _ => None,
    });
    distinct(names)
}

/// Agents with several leaves count once; whoever has no name counts each time.
fn distinct(names: impl Iterator<Item = Option<(InstanceId, SpiffeId)>>) -> usize {
    let mut named = HashSet::new();
    let mut count = 0;
    for name in names {
        match name {
            Some(name) if !named.insert(name.clone()) => {}
            _ => count += 1,
        }
    }
    count
}

#[cfg(test)]
mod tests;
