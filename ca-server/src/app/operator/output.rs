//! How do answers look? Tables for people, JSON for programs.

use std::io;
use std::io::Write as _;
use std::time::SystemTime;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use prost_types::Timestamp;
use serde::Serialize;

/// Prints `rows` under `header`, aligned.
pub(in crate::app) fn table(header: &[&str], rows: Vec<Vec<String>>) -> io::Result<()> {
    lines(&table_lines(header, rows))
}

/// `rows` under `header`, aligned.
pub(in crate::app) fn table_lines(header: &[&str], rows: Vec<Vec<String>>) -> Vec<String> {
    let mut table = Table::new();
    table
        .load_preset(NOTHING)
        .set_header(header.iter().copied());
    table.add_rows(rows);
    table.lines().map(|line| line.trim().to_owned()).collect()
}

/// Prints each of them as a line.
pub(in crate::app) fn lines(lines: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// Prints `value` as one JSON document.
pub(in crate::app) fn json(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)
}

/// Prints one line.
pub(in crate::app) fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// RFC 3339 in UTC, or a dash.
pub(in crate::app) fn time(timestamp: Option<Timestamp>) -> String {
    let time = timestamp.and_then(|timestamp| SystemTime::try_from(timestamp).ok());
    time.map_or_else(
        || "-".to_owned(),
        |time| humantime::format_rfc3339_seconds(time).to_string(),
    )
}
