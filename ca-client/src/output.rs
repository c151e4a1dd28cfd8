//! How do results get to standard output?

use std::io;
use std::io::Write as _;
use std::time::Duration;
use std::time::SystemTime;

use serde::Serialize;

use crate::cli::OutputFormat;

/// Prints `table` or, as one JSON document, `value`. A reader that went away is no failure.
pub(crate) fn print(
    format: OutputFormat,
    value: &impl Serialize,
    table: impl FnOnce() -> String,
) -> io::Result<()> {
    let text = match format {
        OutputFormat::Table => table(),
        OutputFormat::Json => serde_json::to_string_pretty(value).map_err(io::Error::from)? + "\n",
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// RFC 3339 in UTC.
pub(crate) fn utc(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// A duration for people: its two largest units.
pub(crate) fn about(seconds: u64) -> String {
    let whole = humantime::format_duration(Duration::from_secs(seconds)).to_string();
    let mut units = whole.split(' ');
    let first = units.next().unwrap_or_default().to_owned();
    units
        .next()
        .map_or_else(|| first.clone(), |second| format!("{first} {second}"))
}

/// `text` without what could steer a terminal: names in certificates are written by strangers.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_default().collect::<String>(),
        false => c.to_string(),
    };
    text.chars().map(shown).collect()
}
