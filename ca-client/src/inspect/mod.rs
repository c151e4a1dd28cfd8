//! What does `ca-client inspect` do? Reads, and prints what [`proto::inspect`] sees, block by block.

mod rows;

use std::io;
use std::io::Read;
use std::path::PathBuf;
use std::time::SystemTime;

use ca_client::Clock as _;
use ca_client::SystemClock;
use proto::inspect;
use proto::inspect::Block;
use serde::Serialize;

use self::rows::Row;
use crate::cli::InspectOptions;
use crate::input;
use crate::input::InputError;
use crate::output;
use crate::output::printable;

/// Explains a file.
pub(crate) fn run(options: &InspectOptions, stdin: impl Read) -> Result<(), InspectError> {
    let bytes = input::read(&options.file, stdin)?;
    let now = SystemClock.now();
    let blocks: Vec<Shown> = inspect::inspect(&bytes)
        .iter()
        .map(|block| Shown::of(block, now))
        .collect();
    if blocks.is_empty() {
        return Err(InspectError::Nothing {
            path: options.file.clone(),
        });
    }
    output::print(options.output, &blocks, || table(&blocks))
        .map_err(|source| InspectError::Print { source })
}

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    /// The file cannot be read.
    #[error("nothing to explain")]
    Input {
        /// Why not.
        #[from]
        source: InputError,
    },
    /// There is nothing in it that could be a block.
    #[error("{} holds neither a PEM block nor DER", input::shown(path))]
    Nothing {
        /// The file.
        path: PathBuf,
    },
    /// The result cannot be printed.
    #[error("the result cannot be printed")]
    Print {
        /// The system's answer.
        source: io::Error,
    },
}

/// One block: what it is, and what there is to say of it, in order.
#[derive(Debug, Serialize)]
struct Shown {
    block: usize,
    line: Option<usize>,
    label: String,
    kind: &'static str,
    #[serde(flatten)]
    facts: serde_json::Map<String, serde_json::Value>,
    #[serde(skip)]
    rows: Vec<Row>,
}

impl Shown {
    fn of(block: &Block, now: SystemTime) -> Self {
        let (kind, rows) = rows::describe(block.number, &block.content, now);
        let key = |label: &str| label.to_lowercase().replace([' ', '-'], "_");
        let facts = rows.iter().map(|row| (key(row.label), row.value.clone()));
        Self {
            block: block.number,
            line: block.line,
            label: block.label.clone(),
            kind,
            facts: facts.collect(),
            rows,
        }
    }
}

fn table(blocks: &[Shown]) -> String {
    let mut text = String::new();
    for block in blocks {
        let line = block
            .line
            .map_or_else(String::new, |line| format!(", line {line}"));
        let (number, label) = (block.block, printable(&block.label));
        text += &format!("block {number}{line}: {label}, {}\n", article(block.kind));
        for row in &block.rows {
            text += &format!("  {:<12}{}\n", row.label, printable(&row.text));
        }
    }
    text
}

fn article(kind: &'static str) -> String {
    match kind {
        "known" | "unknown" | "broken" => kind.to_owned(),
        kind => format!("a {kind}"),
    }
}
