//! Where are the PEM blocks of a text, and what is in each? (RFC 7468)
//!
//! One pass, and a broken block does not hide those behind it.

use super::Block;
use super::Content;
use super::der;

/// Every block, in order.
pub(super) fn blocks(bytes: &[u8]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = Lines::of(bytes);
    let mut at = 0;
    while let Some(begin) = next_marker(bytes, at) {
        at = begin.end;
        let (true, Some(label)) = (begin.opens, begin.label) else {
            continue;
        };
        let close = next_marker(bytes, begin.end).filter(|marker| !marker.opens);
        let content = match &close {
            Some(close) => content(
                bytes.get(begin.start..close.end).unwrap_or_default(),
                &label,
            ),
            None => Content::Broken {
                reason: format!("no -----END {label}----- follows"),
            },
        };
        at = close.map_or(at, |close| close.end);
        blocks.push(Block {
            number: blocks.len() + 1,
            line: Some(lines.number_at(begin.start)),
            label,
            content,
        });
    }
    blocks
}

fn content(block: &[u8], label: &str) -> Content {
    if der::is_encrypted(block) {
        return Content::PrivateKey(super::KeyKind::Encrypted);
    }
    match pem::parse(block) {
        Ok(parsed) => der::labelled(label, parsed.contents()),
        Err(error) => Content::Broken {
            reason: error.to_string(),
        },
    }
}

/// `-----BEGIN LABEL-----` or `-----END LABEL-----`.
struct Marker {
    start: usize,
    end: usize,
    opens: bool,
    /// None if it has no end of its own.
    label: Option<String>,
}

fn next_marker(bytes: &[u8], from: usize) -> Option<Marker> {
    let rest = bytes.get(from..)?;
    let at = (0..rest.len()).find(|at| {
        let rest = rest.get(*at..).unwrap_or_default();
        rest.starts_with(BEGIN) || rest.starts_with(END)
    })?;
    let found = rest.get(at..)?;
    let opens = found.starts_with(BEGIN);
    let head = if opens { BEGIN.len() } else { END.len() };
    let line = found.get(head..)?.iter().take(LONGEST_LABEL);
    let text: Vec<u8> = line
        .copied()
        .take_while(|c| !c.is_ascii_control())
        .collect();
    let len = text.windows(DASHES.len()).position(|five| five == DASHES);
    let label = len.and_then(|len| String::from_utf8(text.get(..len)?.to_vec()).ok());
    let tail = len.map_or(0, |len| len + DASHES.len());
    Some(Marker {
        start: from + at,
        end: from + at + head + tail,
        opens,
        label,
    })
}

/// Counts lines along with a reader that only goes forward.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            number: 1,
        }
    }

    fn number_at(&mut self, at: usize) -> usize {
        let passed = self.bytes.get(self.at..at).unwrap_or_default();
        self.number += passed.iter().filter(|byte| **byte == b'\n').count();
        self.at = at;
        self.number
    }
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// Labels in use have a third of it.
const LONGEST_LABEL: usize = 100;
