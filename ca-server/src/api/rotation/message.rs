//! How does a rotation look as a message? Names are bounded: there may be one for each workload.

use std::time::SystemTime;

use proto::signet;

use super::obstacle;
use crate::rotation::DirectoryReport;
use crate::rotation::Gate;
use crate::rotation::JournalEntry;
use crate::rotation::Obstacle;
use crate::rotation::Opening;
use crate::rotation::Origin;
use crate::rotation::Phase;
use crate::rotation::Plan;
use crate::rotation::Record;
use crate::rotation::Report;
use crate::rotation::Signer;
use crate::rotation::Step;
use crate::rotation::StepReport;

/// `report` as a message about the moment `now`.
#[must_use]
pub fn status_message(report: &Report, now: SystemTime) -> signet::RotationStatus {
    let record = &report.record;
    let first = record
        .active_signer()
        .into_iter()
        .chain(record.next_signer());
    let signers = first.chain(record.draining().rev());
    signet::RotationStatus {
        phase: phase(record.phase()).to_owned(),
        since: Some(record.phase_since.into()),
        auto: record.auto,
        bundle_number: report.bundle_number,
        holders: count(report.holders),
        signers: signers.map(|one| signer(one, report)).collect(),
        steps: report.steps.iter().map(|one| step(one, record)).collect(),
        plan: report.plan.as_ref().map(|one| plan(one, report)),
        directory: Some(directory(&report.directory)),
        journal: record.journal.iter().map(journal_entry).collect(),
        renew_since: record.renew_since.map(Into::into),
        renew_within: record
            .renew_within
            .and_then(|within| within.try_into().ok()),
        now: Some(now.into()),
        warnings: report.warnings.clone(),
    }
}

pub(in crate::api) fn directory(directory: &DirectoryReport) -> signet::CaDirectory {
    signet::CaDirectory {
        loaded: directory.loaded.clone(),
        on_disk: directory.on_disk.clone(),
        failure: directory.failure.clone(),
        failures: directory.failures,
        reloads: directory.reloads,
        looks: directory.looks,
    }
}

pub(in crate::api) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Steady => "steady",
        Phase::Prepare => "prepare",
        Phase::Distribute => "distribute",
        Phase::Drain => "drain",
    }
}

fn signer(signer: &Signer, report: &Report) -> signet::RotationSigner {
    let record = &report.record;
    let role = if signer.issuer == record.active {
        "active"
    } else if Some(signer.issuer) == record.next {
        "next"
    } else {
        "draining"
    };
    let leaves = report.leaves_of(&signer.issuer);
    let held_by = obstacle::one_of_each(leaves.map_or(&[][..], |leaves| &leaves.held_by));
    signet::RotationSigner {
        issuer: signer.issuer.to_string(),
        root: signer.root.to_string(),
        role: role.to_owned(),
        origin: match signer.origin {
            Origin::SelfSigned => "self-signed".to_owned(),
            Origin::PluggedIn => "plugged-in".to_owned(),
        },
        not_before: Some(signer.not_before.into()),
        not_after: Some(signer.not_after.into()),
        published: signer.published,
        tainted: signer.tainted.map(Into::into),
        deadline: signer.deadline.map(Into::into),
        held_by_count: count(held_by.len()),
        held_by: names(&held_by),
        last_leaf_gone: leaves.and_then(|leaves| leaves.last_gone).map(Into::into),
        roots: signer.roots.iter().map(ToString::to_string).collect(),
        first_loaded: Some(signer.first_loaded.into()),
    }
}

fn step(step: &StepReport, record: &Record) -> signet::RotationStep {
    let (name, issuer) = match step.step {
        Step::Retire(issuer) => ("retire", Some(issuer)),
        Step::Activate | Step::Distribute => ("activate", record.next),
    };
    let because = match &step.gate {
        Gate::Open { because } => words(*because),
        Gate::Shut { .. } => "",
    };
    let told = obstacle::one_of_each(&step.obstacles);
    signet::RotationStep {
        step: name.to_owned(),
        issuer: issuer.map_or_else(String::new, |issuer| issuer.to_string()),
        open: step.gate.is_open(),
        because: because.to_owned(),
        obstacles: names(&told),
        obstacle_count: count(told.len()),
        awaited: count(step.awaited),
        opens_at: match step.gate.is_open() {
            true => None,
            false => step.opens_at().map(Into::into),
        },
    }
}

fn names(obstacles: &[&Obstacle]) -> Vec<signet::Obstacle> {
    let told = obstacles.iter().take(NAMES);
    told.map(|one| obstacle::message(one)).collect()
}

fn words(because: Opening) -> &'static str {
    match because {
        Opening::Evidence => "nothing stands against it",
        Opening::CrossSigned => "its chain carries a cross-certificate",
        Opening::IssuerEnds => "the chain of the active signer ends, so that waiting breaks more",
        Opening::Deadline => "the deadline of a tainted signer came",
    }
}

fn plan(plan: &Plan, report: &Report) -> signet::RotationPlan {
    signet::RotationPlan {
        activate_at: plan.activation().map(Into::into),
        retire_at: plan.retire_at().map(Into::into),
        issuer_ends: Some(plan.issuer_ends.into()),
        last_moment: Some(plan.last_moment.into()),
        longest_ttl: plan.longest_ttl.try_into().ok(),
        warnings: warnings(plan, report),
    }
}

fn warnings(plan: &Plan, report: &Report) -> Vec<String> {
    let date = humantime::format_rfc3339_seconds;
    let mut warnings = Vec::new();
    if let Some(at) = plan.activate_at
        && plan.breaks()
    {
        warnings.push(format!(
            "the active signer ends at {}, before the last leaf is dead that came without the next root ({}): from {} on \
             the next one signs although some may not know it; start at once, and let agents acknowledge or renew",
            date(plan.issuer_ends),
            date(at),
            date(plan.last_moment)
        ));
    }
    if plan.issuer_ends <= plan.now {
        warnings.push(format!(
            "the active signer ended at {}: nothing is issued until another one signs",
            date(plan.issuer_ends)
        ));
    }
    let tainted = report
        .record
        .active_signer()
        .filter(|active| active.tainted.is_some());
    if let Some(active) = tainted
        && report.record.next.is_none()
    {
        warnings.push(format!(
            "{} signs and is tainted: bring in another CA: put a bundle with another key into the CA directory; until that \
             one signs, agents go on trusting this one, for nobody else signs",
            active.issuer
        ));
    }
    warnings
}

fn journal_entry(entry: &JournalEntry) -> signet::JournalEntry {
    signet::JournalEntry {
        at: Some(entry.at.into()),
        what: entry.what.clone(),
        forced: entry.forced.clone().unwrap_or_default(),
    }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// How many are named.
const NAMES: usize = 20;
