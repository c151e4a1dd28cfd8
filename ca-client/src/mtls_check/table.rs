//! What do people get? All there is to say of one target; of many, a table with a lock per row.

use std::io::IsTerminal as _;

use ca_client::probe::Lock;
use ca_client::probe::Secured;
use ca_client::probe::Tally;

use super::Row;
use super::shown::Whole;
use crate::output::printable;
use crate::verify;

/// Everything about one target.
pub(super) fn details(row: &Row) -> String {
    let finding = &row.finding;
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        text += &format!("{label:<11}{}\n", printable(value));
    };
    let address = row.target.address();
    line(
        "target",
        &match row.target.name() {
            Some(name) => format!("{name} at {address}"),
            None => address.to_string(),
        },
    );
    line("lock", &lock(finding.mode.lock()));
    line("mode", finding.mode.as_str());
    line("because", &finding.because);
    if let Some(seen) = &row.seen {
        line("address", &seen.address.to_string());
        line("plain text", &seen.plain.to_string());
        if seen.secured().is_tls() {
            line("TLS", &agreed(seen.secured()));
        }
    }
    if let Some(namespace) = &row.namespace {
        line("namespace", namespace);
    }
    match &finding.verdict {
        Some(verdict) => text + "\nThe chain it presents:\n" + &verify::table(verdict),
        None => text,
    }
}

fn agreed(secured: &Secured) -> String {
    let version = secured.version.unwrap_or("no agreement");
    match &secured.alpn {
        Some(alpn) => format!("{version}, protocol {alpn}"),
        None => version.to_owned(),
    }
}

/// A table of many, then namespaces and the mesh.
pub(super) fn of(rows: &[Row], whole: &Whole<'_>) -> String {
    let mut targets = vec![
        [
            "LOCK",
            "MODE",
            "TARGET",
            "NAMESPACE",
            "SPIFFE ID",
            "BECAUSE",
        ]
        .map(str::to_owned),
    ];
    targets.extend(rows.iter().map(|row| {
        let id = row.finding.spiffe_id();
        [
            lock(row.finding.mode.lock()),
            row.finding.mode.to_string(),
            row.target.to_string(),
            row.namespace.clone().unwrap_or_else(|| "-".to_owned()),
            id.map_or_else(|| "-".to_owned(), ToString::to_string),
            row.finding.because.clone(),
        ]
    }));
    let mut groups = vec![["LOCK", "NAMESPACE", "MTLS", "TARGETS"].map(str::to_owned)];
    groups.extend(whole.namespaces.iter().map(|group| {
        let tally = &group.tally.tally;
        let name = group.namespace.unwrap_or("(none)").to_owned();
        [
            lock(tally.lock()),
            name,
            percent(tally.insist_percent()),
            counts(tally),
        ]
    }));
    let mesh = &whole.mesh.tally;
    format!(
        "{}\n{}\nmesh: {}; mTLS is insisted on by {} and taken by {} of the {} that could be judged\n",
        aligned(&targets),
        aligned(&groups),
        lock(mesh.lock()),
        percent(mesh.insist_percent()),
        percent(mesh.take_percent()),
        mesh.judged(),
    )
}

/// Such as `3: 2 closed, 1 open`.
fn counts(tally: &Tally) -> String {
    let parts = [
        (tally.closed, "closed"),
        (tally.half, "half"),
        (tally.open, "open"),
        (tally.broken, "broken"),
        (tally.none, "not judged"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    format!("{}: {}", tally.targets, parts.join(", "))
}

fn percent(share: Option<usize>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{share} %"))
}

/// The word, and on a terminal the picture of it.
fn lock(lock: Lock) -> String {
    let picture = match lock {
        Lock::Closed => "\u{1f512}",
        Lock::Half => "\u{1f50f}",
        Lock::Open => "\u{1f513}",
        Lock::Broken => "\u{26d4}",
        Lock::None => "\u{2754}",
    };
    match std::io::stdout().is_terminal() {
        true => format!("{picture} {lock}"),
        false => lock.to_string(),
    }
}

/// Columns as wide as their widest cell.
fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = printable(cell).chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths);
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{:<width$}", printable(cell)))
            .collect();
        text += line.join("  ").trim_end();
        text.push('\n');
    }
    text
}
