//! What do programs get? One JSON document, the same for one target and for many.

use std::collections::BTreeMap;
use std::time::SystemTime;

use ca_client::probe::End;
use ca_client::probe::Plain;
use ca_client::probe::Secured;
use ca_client::probe::Tally;
use serde::Serialize;

use super::Row;
use crate::output;
use crate::verify;

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(super) struct Whole<'a> {
    at: String,
    targets: Vec<ShownTarget<'a>>,
    /// By name; those without one come first.
    pub(super) namespaces: Vec<ShownGroup<'a>>,
    pub(super) mesh: ShownTally,
}

impl<'a> Whole<'a> {
    pub(super) fn of(rows: &'a [Row], at: SystemTime) -> Self {
        let mut groups: BTreeMap<Option<&str>, Tally> = BTreeMap::new();
        for row in rows {
            let group = groups.entry(row.namespace.as_deref()).or_default();
            group.add(row.finding.mode);
        }
        let group = |(namespace, tally)| ShownGroup {
            namespace,
            tally: ShownTally::of(tally),
        };
        Self {
            at: output::utc(at),
            targets: rows.iter().map(ShownTarget::of).collect(),
            namespaces: groups.into_iter().map(group).collect(),
            mesh: ShownTally::of(rows.iter().map(|row| row.finding.mode).collect()),
        }
    }
}

/// One namespace.
#[derive(Debug, Serialize)]
pub(super) struct ShownGroup<'a> {
    pub(super) namespace: Option<&'a str>,
    #[serde(flatten)]
    pub(super) tally: ShownTally,
}

/// Many targets, counted by their locks.
#[derive(Debug, Serialize)]
pub(super) struct ShownTally {
    lock: &'static str,
    targets: usize,
    closed: usize,
    half: usize,
    open: usize,
    broken: usize,
    none: usize,
    insist_on_mtls_percent: Option<usize>,
    take_mtls_percent: Option<usize>,
    #[serde(skip)]
    pub(super) tally: Tally,
}

impl ShownTally {
    fn of(tally: Tally) -> Self {
        Self {
            lock: tally.lock().as_str(),
            targets: tally.targets,
            closed: tally.closed,
            half: tally.half,
            open: tally.open,
            broken: tally.broken,
            none: tally.none,
            insist_on_mtls_percent: tally.insist_percent(),
            take_mtls_percent: tally.take_percent(),
            tally,
        }
    }
}

#[derive(Debug, Serialize)]
struct ShownTarget<'a> {
    target: String,
    name: Option<&'a str>,
    namespace: Option<&'a str>,
    address: Option<String>,
    mode: &'static str,
    lock: &'static str,
    because: &'a str,
    spiffe_id: Option<&'a str>,
    proved: bool,
    plain: Option<ShownPlain<'a>>,
    tls: Option<ShownTls<'a>>,
    chain: Option<verify::Shown<'a>>,
}

impl<'a> ShownTarget<'a> {
    fn of(row: &'a Row) -> Self {
        let (finding, seen) = (&row.finding, row.seen.as_ref());
        Self {
            target: row.target.address().to_string(),
            name: row.target.name(),
            namespace: row.namespace.as_deref(),
            address: seen.map(|seen| seen.address.to_string()),
            mode: finding.mode.as_str(),
            lock: finding.mode.lock().as_str(),
            because: &finding.because,
            spiffe_id: finding.spiffe_id().map(|id| id.as_str()),
            proved: finding.proved,
            plain: seen.map(|seen| ShownPlain::of(&seen.plain)),
            tls: seen.map(|seen| ShownTls {
                version: seen.secured().version,
                alpn: seen.secured().alpn.as_deref(),
                asks_for_certificate: seen.anonymous.asked,
                without_certificate: ShownEnd::of(&seen.anonymous),
                with_certificate: seen.with_ours.as_ref().map(ShownEnd::of),
            }),
            chain: finding.verdict.as_ref().map(verify::Shown::of),
        }
    }
}

#[derive(Debug, Serialize)]
struct ShownPlain<'a> {
    outcome: &'static str,
    how: Option<&'a str>,
}

impl<'a> ShownPlain<'a> {
    fn of(plain: &'a Plain) -> Self {
        let (outcome, how) = match plain {
            Plain::Taken { answer } => ("taken", Some(answer.as_str())),
            Plain::Refused { how } => ("refused", Some(how.as_str())),
            Plain::Unanswered { .. } => ("unanswered", None),
            Plain::Failed { error } => ("failed", Some(error.as_str())),
            Plain::NotTried => ("not-tried", None),
        };
        Self { outcome, how }
    }
}

#[derive(Debug, Serialize)]
struct ShownTls<'a> {
    version: Option<&'static str>,
    alpn: Option<&'a str>,
    asks_for_certificate: bool,
    without_certificate: ShownEnd<'a>,
    with_certificate: Option<ShownEnd<'a>>,
}

#[derive(Debug, Serialize)]
struct ShownEnd<'a> {
    outcome: &'static str,
    how: Option<&'a str>,
}

impl<'a> ShownEnd<'a> {
    fn of(secured: &'a Secured) -> Self {
        let (outcome, how) = match &secured.end {
            End::Admitted => ("admitted", secured.hung_up.then_some("then hung up")),
            End::Alert(name) => ("alert", Some(name.as_str())),
            End::Closed => ("closed", None),
            End::Reset => ("reset", None),
            End::NotTls => ("not-tls", None),
            End::Silent => ("unanswered", None),
            End::Failed(reason) => ("failed", Some(reason.as_str())),
            End::Incompatible(reason) => ("incompatible", Some(reason.as_str())),
        };
        Self { outcome, how }
    }
}
