//! How is a rotation told to people? What it is at, what it waits for, who holds it up, and what a step would break.

mod breaks;

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use proto::signet::CaDirectory;
use proto::signet::Obstacle;
use proto::signet::RotationPlan;
use proto::signet::RotationSigner;
use proto::signet::RotationStatus;
use proto::signet::RotationStep;

use super::output;
use super::time;

pub(super) use self::breaks::breaks_by_deadline;
pub(super) use self::breaks::breaks_by_step;

/// `rotate status`
pub(super) fn status_lines(status: &RotationStatus, is_running: bool) -> Vec<String> {
    let now = now_of(status);
    let mut lines = Vec::new();
    if !is_running {
        lines.push(
            "no server runs: this is what the files say; nothing goes on until one does".to_owned(),
        );
    }
    lines.extend(head(status, now));
    lines.push(String::new());
    lines.extend(signer_table(&status.signers));
    for step in &status.steps {
        lines.push(String::new());
        lines.extend(step_lines(step, status, now));
    }
    for signer in status.signers.iter().filter(|one| one.tainted.is_some()) {
        lines.push(String::new());
        lines.extend(tainted_lines(signer));
    }
    if let Some(directory) = &status.directory {
        lines.push(String::new());
        lines.extend(directory_lines(directory));
    }
    lines.extend(warning_lines(&status.warnings));
    lines.extend(warnings(status.plan.as_ref()));
    lines.extend(journal(status));
    lines
}

fn head(status: &RotationStatus, now: SystemTime) -> Vec<String> {
    let by = match (status.phase.as_str(), status.auto) {
        ("steady", _) => "",
        (_, true) => ", each step by itself",
        (_, false) => ", by hand",
    };
    let since = time(status.since).map_or_else(String::new, |since| {
        let ago = in_words(now.duration_since(since).unwrap_or_default());
        format!(", since {} ({ago} ago)", date(since))
    });
    let mut lines = vec![
        format!("phase         {}{since}{by}", status.phase),
        format!("trust bundle  {}", status.bundle_number),
    ];
    if let Some(since) = time(status.renew_since) {
        let within = status
            .renew_within
            .and_then(|within| within.try_into().ok());
        let within = within.map_or_else(String::new, |within: Duration| {
            format!(" within {}", in_words(within))
        });
        lines.push(format!(
            "renewal       agents renew{within} since {}",
            date(since)
        ));
    }
    lines
}

fn signer_table(signers: &[RotationSigner]) -> Vec<String> {
    let rows = signers.iter().map(|signer| {
        let role = match (&signer.tainted, signer.published) {
            (Some(_), _) => format!("{}, tainted", signer.role),
            (None, false) => format!("{}, not trusted yet", signer.role),
            (None, true) => signer.role.clone(),
        };
        vec![
            signer.issuer.clone(),
            role,
            signer.origin.clone(),
            output::time(signer.not_after),
            output::time(signer.last_leaf_gone),
        ]
    });
    let header = ["SIGNER", "ROLE", "ORIGIN", "VALID UNTIL", "LAST LEAF DIES"];
    output::table_lines(&header, rows.collect())
}

fn step_lines(step: &RotationStep, status: &RotationStatus, now: SystemTime) -> Vec<String> {
    let mut lines = Vec::new();
    if step.open {
        let how = match status.auto || step.step == "retire" && is_automatic(step, status) {
            true => "it follows by itself".to_owned(),
            false => format!("do it with `ca-server rotate {}`", step.step),
        };
        lines.push(format!(
            "{} {}: open, {}; {how}",
            step.step, step.issuer, step.because
        ));
    } else {
        lines.push(format!(
            "{} {}: not yet{}",
            step.step,
            step.issuer,
            opens(step, now)
        ));
    }
    if step.awaited > 0 {
        lines.push(format!("  {}", waiting(step, status)));
    }
    lines.extend(obstacles(&step.obstacles, step.obstacle_count));
    let broken = match step.awaited {
        0 => "nobody whose leaf is known".to_owned(),
        holders => format!("{holders} of {} who hold leaves", status.holders),
    };
    let verb = match step.step.as_str() {
        "retire" => "retiring it",
        _ => "activating it",
    };
    lines.push(format!("  {verb} now would break {broken}"));
    lines
}

fn is_automatic(step: &RotationStep, status: &RotationStatus) -> bool {
    let signer = status.signers.iter().find(|one| one.issuer == step.issuer);
    signer.is_some_and(|signer| signer.tainted.is_some())
}

fn opens(step: &RotationStep, now: SystemTime) -> String {
    match time(step.opens_at) {
        None => ", somebody has to do something first".to_owned(),
        Some(at) => {
            let left = in_words(at.duration_since(now).unwrap_or_default());
            format!(", at the latest at {} (in {left})", date(at))
        }
    }
}

fn waiting(step: &RotationStep, status: &RotationStatus) -> String {
    let (awaited, holders) = (step.awaited, status.holders);
    match step.obstacles.iter().find(|one| one.kind == "behind") {
        Some(behind) => format!(
            "{awaited} of {holders} who hold leaves are not yet on trust bundle {}",
            behind.needs
        ),
        None => format!("{awaited} of {holders} who hold leaves have one that needs its root"),
    }
}

fn obstacles(told: &[Obstacle], count: u64) -> Vec<String> {
    let mut lines: Vec<String> = told
        .iter()
        .map(|obstacle| format!("  - {}", obstacle.sentence))
        .collect();
    let more = count.saturating_sub(u64::try_from(told.len()).unwrap_or(u64::MAX));
    if more > 0 {
        lines.push(format!("  - and {more} more"));
    }
    lines
}

fn tainted_lines(signer: &RotationSigner) -> Vec<String> {
    let deadline = time(signer.deadline).map_or_else(String::new, |deadline| {
        format!(", dropped at {} whoever needs it then", date(deadline))
    });
    let mut lines = vec![format!(
        "{} is tainted since {}{deadline}; leaves of it are held by {}",
        signer.issuer,
        output::time(signer.tainted),
        match signer.held_by_count {
            0 => "nobody".to_owned(),
            count => format!("{count}:"),
        }
    )];
    lines.extend(obstacles(&signer.held_by, signer.held_by_count));
    lines
}

/// What is loaded of the operator's directory, and why not what is there.
pub(in crate::app::operator) fn directory_lines(directory: &CaDirectory) -> Vec<String> {
    let or_none = |hash: &str| match hash {
        "" => "none".to_owned(),
        hash => hash.to_owned(),
    };
    let mut lines = vec![
        format!("files loaded  {}", or_none(&directory.loaded)),
        format!("files there   {}", or_none(&directory.on_disk)),
    ];
    if !directory.failure.is_empty() {
        lines.push(format!("not loaded    {}", directory.failure));
    }
    lines
}

fn warnings(plan: Option<&RotationPlan>) -> Vec<String> {
    plan.map_or_else(Vec::new, |plan| warning_lines(&plan.warnings))
}

/// What somebody has to do something about.
pub(in crate::app::operator) fn warning_lines(warnings: &[String]) -> Vec<String> {
    let lines = warnings.iter();
    lines.map(|warning| format!("warning: {warning}")).collect()
}

fn journal(status: &RotationStatus) -> Vec<String> {
    let entries = status.journal.iter().rev().take(JOURNAL).rev();
    let lines = entries.map(|entry| {
        let forced = match entry.forced.as_str() {
            "" => String::new(),
            reason => format!(" ({reason})"),
        };
        format!("{}  {}{forced}", output::time(entry.at), entry.what)
    });
    let lines: Vec<String> = lines.collect();
    match lines.is_empty() {
        true => lines,
        false => [vec![String::new()], lines].concat(),
    }
}

/// `rotate plan`
pub(super) fn plan_lines(status: &RotationStatus) -> Vec<String> {
    let now = now_of(status);
    let plan = status.plan.clone().unwrap_or_default();
    let at = |timestamp| match time(timestamp) {
        None => "when somebody has done something: see `rotate status`".to_owned(),
        Some(at) if at <= now => "at once".to_owned(),
        Some(at) => {
            let left = in_words(at.duration_since(now).unwrap_or_default());
            format!("at the latest {} (in {left})", date(at))
        }
    };
    let ttl: Option<Duration> = plan.longest_ttl.and_then(|ttl| ttl.try_into().ok());
    let ttl = in_words(ttl.unwrap_or_default());
    let activate = match (plan.activate_at, status.phase.as_str()) {
        (None, "drain") => "done".to_owned(),
        (activate, _) if time(activate).is_some_and(|at| at <= now) => at(activate),
        (activate, _) => format!("{}, or as soon as every agent acknowledged", at(activate)),
    };
    let mut lines = vec![
        format!("phase       {}", status.phase),
        format!(
            "holders     {} hold leaves that may be alive",
            status.holders
        ),
        format!("activate    {activate}"),
        format!(
            "retire      {}, when the last old leaf is dead; meanwhile leaves live {ttl} at most",
            at(plan.retire_at)
        ),
        format!("signer ends {}", output::time(plan.issuer_ends)),
    ];
    lines.extend(warnings(Some(&plan)));
    lines
}

fn now_of(status: &RotationStatus) -> SystemTime {
    time(status.now).unwrap_or(UNIX_EPOCH)
}

fn in_words(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

fn date(time: SystemTime) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_seconds(time)
}

/// How much of the journal is shown.
const JOURNAL: usize = 5;

#[cfg(test)]
mod tests;
