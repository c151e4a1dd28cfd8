//! How does a rotation look to programs? The JSON of `--output json`; its names stay.

use proto::signet;
use serde::Serialize;

use super::output;

#[derive(Serialize)]
pub(super) struct Status {
    /// Whether a server runs; where none does, steps, plan and directory are unknown.
    running: bool,
    now: String,
    phase: String,
    since: String,
    auto: bool,
    bundle_number: u64,
    holders: u64,
    renew_since: String,
    signers: Vec<Signer>,
    steps: Vec<Step>,
    plan: Option<Plan>,
    directory: Option<Directory>,
    warnings: Vec<String>,
    journal: Vec<JournalEntry>,
}

#[derive(Serialize)]
struct Signer {
    issuer: String,
    role: String,
    origin: String,
    root: String,
    roots: Vec<String>,
    not_before: String,
    not_after: String,
    first_loaded: String,
    published: bool,
    tainted: String,
    deadline: String,
    last_leaf_gone: String,
    held_by_count: u64,
    /// The first of them.
    held_by: Vec<Obstacle>,
}

#[derive(Serialize)]
struct Step {
    step: String,
    issuer: String,
    open: bool,
    because: String,
    awaited: u64,
    opens_at: String,
    obstacle_count: u64,
    /// The first of them.
    obstacles: Vec<Obstacle>,
}

#[derive(Serialize)]
struct Obstacle {
    kind: String,
    sentence: String,
    spiffe_id: String,
    instance: String,
    bundle: u64,
    needs: u64,
    until: String,
    absolute: bool,
}

#[derive(Serialize)]
pub(super) struct Plan {
    activate_at: String,
    retire_at: String,
    issuer_ends: String,
    last_moment: String,
    longest_ttl_seconds: i64,
    warnings: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Directory {
    loaded: String,
    on_disk: String,
    failure: String,
    failures: u64,
    reloads: u64,
    looks: u64,
}

#[derive(Serialize)]
struct JournalEntry {
    at: String,
    what: String,
    forced: String,
}

impl Status {
    pub(super) fn of(status: signet::RotationStatus, running: bool) -> Self {
        Self {
            running,
            now: output::time(status.now),
            phase: status.phase,
            since: output::time(status.since),
            auto: status.auto,
            bundle_number: status.bundle_number,
            holders: status.holders,
            renew_since: output::time(status.renew_since),
            signers: status.signers.into_iter().map(Signer::from).collect(),
            steps: status.steps.into_iter().map(Step::from).collect(),
            plan: status.plan.map(Plan::from),
            directory: status.directory.map(Directory::from),
            warnings: status.warnings,
            journal: status.journal.into_iter().map(JournalEntry::from).collect(),
        }
    }
}

impl From<signet::RotationSigner> for Signer {
    fn from(signer: signet::RotationSigner) -> Self {
        Self {
            issuer: signer.issuer,
            role: signer.role,
            origin: signer.origin,
            root: signer.root,
            roots: signer.roots,
            not_before: output::time(signer.not_before),
            not_after: output::time(signer.not_after),
            first_loaded: output::time(signer.first_loaded),
            published: signer.published,
            tainted: output::time(signer.tainted),
            deadline: output::time(signer.deadline),
            last_leaf_gone: output::time(signer.last_leaf_gone),
            held_by_count: signer.held_by_count,
            held_by: signer.held_by.into_iter().map(Obstacle::from).collect(),
        }
    }
}

impl From<signet::RotationStep> for Step {
    fn from(step: signet::RotationStep) -> Self {
        Self {
            step: step.step,
            issuer: step.issuer,
            open: step.open,
            because: step.because,
            awaited: step.awaited,
            opens_at: output::time(step.opens_at),
            obstacle_count: step.obstacle_count,
            obstacles: step.obstacles.into_iter().map(Obstacle::from).collect(),
        }
    }
}

impl From<signet::Obstacle> for Obstacle {
    fn from(obstacle: signet::Obstacle) -> Self {
        Self {
            kind: obstacle.kind,
            sentence: obstacle.sentence,
            spiffe_id: obstacle.spiffe_id,
            instance: obstacle.instance,
            bundle: obstacle.bundle,
            needs: obstacle.needs,
            until: output::time(obstacle.until),
            absolute: obstacle.absolute,
        }
    }
}

impl From<signet::RotationPlan> for Plan {
    fn from(plan: signet::RotationPlan) -> Self {
        Self {
            activate_at: output::time(plan.activate_at),
            retire_at: output::time(plan.retire_at),
            issuer_ends: output::time(plan.issuer_ends),
            last_moment: output::time(plan.last_moment),
            longest_ttl_seconds: plan.longest_ttl.map_or(0, |ttl| ttl.seconds),
            warnings: plan.warnings,
        }
    }
}

impl From<signet::CaDirectory> for Directory {
    fn from(directory: signet::CaDirectory) -> Self {
        Self {
            loaded: directory.loaded,
            on_disk: directory.on_disk,
            failure: directory.failure,
            failures: directory.failures,
            reloads: directory.reloads,
            looks: directory.looks,
        }
    }
}

impl From<signet::JournalEntry> for JournalEntry {
    fn from(entry: signet::JournalEntry) -> Self {
        Self {
            at: output::time(entry.at),
            what: entry.what,
            forced: entry.forced,
        }
    }
}
