//! How do a parser's events become a tree? With a stack of what is open, so that depth costs no stack of ours.

use saphyr_parser::Event;
use saphyr_parser::Parser;
use saphyr_parser::ScalarStyle;

use super::Content;
use super::Entry;
use super::Node;
use super::YamlError;

/// Reads all documents.
pub(super) fn documents(text: &str) -> Result<Vec<Node>, YamlError> {
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder::default();
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| YamlError {
            line: error.marker().line(),
            reason: format!("not YAML: {}", error.info()),
        })?;
        builder.take(event, span.start.line())?;
    }
    Ok(builder.documents)
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
}

/// A collection whose end has not come.
enum Open {
    List {
        line: usize,
        items: Vec<Node>,
    },
    Map {
        line: usize,
        entries: Vec<Entry>,
        key: Option<(String, usize)>,
    },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                plain(anchor, tag.is_some(), line)?;
                let is_null = style == ScalarStyle::Plain && NULLS.contains(&text.as_ref());
                let content = match is_null {
                    true => Content::Null,
                    false => Content::Scalar(text.into_owned()),
                };
                self.put(Node { line, content })
            }
            Event::SequenceStart(anchor, tag) => {
                plain(anchor, tag.is_some(), line)?;
                let items = Vec::new();
                self.open(Open::List { line, items }, line)
            }
            Event::MappingStart(anchor, tag) => {
                plain(anchor, tag.is_some(), line)?;
                let (entries, key) = (Vec::new(), None);
                self.open(Open::Map { line, entries, key }, line)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(_) => Err(refused(
                line,
                "an alias (*name) is not read here; write the value out",
            )),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, open: Open, line: usize) -> Result<(), YamlError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(refused(line, "nested too deep for any resource"));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), YamlError> {
        match self.open.pop() {
            Some(Open::List { line, items }) => self.put(Node {
                line,
                content: Content::List(items),
            }),
            Some(Open::Map { line, entries, .. }) => self.put(Node {
                line,
                content: Content::Map(entries),
            }),
            None => Ok(()),
        }
    }

    /// Puts a finished value where it belongs: into what is open, or among the documents.
    fn put(&mut self, node: Node) -> Result<(), YamlError> {
        match self.open.last_mut() {
            None if node.content == Content::Null => {}
            None => self.documents.push(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                None => *key = Some(key_of(node, entries)?),
                Some((key, line)) => entries.push(Entry {
                    key,
                    line,
                    value: node,
                }),
            },
        }
        Ok(())
    }
}

fn key_of(node: Node, earlier: &[Entry]) -> Result<(String, usize), YamlError> {
    let Content::Scalar(key) = node.content else {
        return Err(refused(node.line, "expected a name before the colon"));
    };
    match earlier.iter().find(|entry| entry.key == key) {
        Some(first) => Err(YamlError {
            line: node.line,
            reason: format!("the key {key} is there twice, first on line {}", first.line),
        }),
        None => Ok((key, node.line)),
    }
}

fn plain(anchor: usize, tagged: bool, line: usize) -> Result<(), YamlError> {
    match (anchor, tagged) {
        (0, false) => Ok(()),
        (0, true) => Err(refused(line, "a tag (!name) is not read here")),
        _ => Err(refused(
            line,
            "an anchor (&name) is not read here; write the value out",
        )),
    }
}

fn refused(line: usize, reason: &str) -> YamlError {
    YamlError {
        line,
        reason: reason.to_owned(),
    }
}

/// What YAML's core schema reads as nothing (YAML 1.2.2 section 10.3.2).
const NULLS: [&str; 5] = ["", "~", "null", "Null", "NULL"];
/// Resources have a dozen levels.
const MAX_DEPTH: usize = 64;
