//! How are fields taken out of a tree? Only known ones; every other is refused where it stands.

use std::path::Path;
use std::sync::Arc;

use super::refusal::Place;
use super::refusal::Refusal;
use super::refusal::RefusalRule;
use crate::envoy::endpoint::is_name;
use crate::envoy::yaml::Content;
use crate::envoy::yaml::Entry;
use crate::envoy::yaml::Node;

/// Reads one file and keeps what is wrong with it.
pub(super) struct Reader {
    file: Arc<Path>,
    refusals: Vec<Refusal>,
}

/// The fields of one mapping, all of them known.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    entries: &'a [Entry],
}

impl<'a> Fields<'a> {
    /// The field, if it is there and not empty.
    pub(super) fn get(self, key: &str) -> Option<&'a Entry> {
        self.any(key)
            .filter(|entry| entry.value.content != Content::Null)
    }

    /// The field, if it is there.
    pub(super) fn any(self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// All of them.
    pub(super) fn all(self) -> &'a [Entry] {
        self.entries
    }
}

impl Reader {
    pub(super) fn new(file: Arc<Path>) -> Self {
        Self {
            file,
            refusals: Vec::new(),
        }
    }

    pub(super) fn refusals(self) -> Vec<Refusal> {
        self.refusals
    }

    pub(super) fn place(&self, line: usize) -> Place {
        Place {
            file: Arc::clone(&self.file),
            line,
        }
    }

    /// A refusal at `line`, to be kept for later.
    pub(super) fn refusal(&self, line: usize, rule: RefusalRule, reason: String) -> Refusal {
        let at = self.place(line);
        Refusal { at, rule, reason }
    }

    /// Refuses what is at `line`.
    pub(super) fn refuse(&mut self, line: usize, rule: RefusalRule, reason: String) {
        self.refusals.push(self.refusal(line, rule, reason));
    }

    /// The fields of `node`, which is `what`. Those not in `known` are refused.
    pub(super) fn fields<'a>(&mut self, node: &'a Node, what: &str, known: &[&str]) -> Fields<'a> {
        let fields = self.map(node, what);
        for entry in fields.entries {
            if !known.contains(&entry.key.as_str()) {
                let near = nearest(&entry.key, known)
                    .map_or_else(String::new, |name| format!("; did you mean {name}?"));
                let reason = format!("{what} has no field {}{near}", shown(&entry.key));
                self.refuse(entry.line, RefusalRule::UnknownField, reason);
            }
        }
        fields
    }

    /// The entries of `node`, whatever they are called.
    pub(super) fn map<'a>(&mut self, node: &'a Node, what: &str) -> Fields<'a> {
        let entries: &[Entry] = match &node.content {
            Content::Map(entries) => entries,
            Content::Null => &[],
            Content::Scalar(_) | Content::List(_) => {
                let reason = format!("{what} must be a mapping, not {}", node.kind());
                self.refuse(node.line, RefusalRule::BadValue, reason);
                &[]
            }
        };
        Fields { entries }
    }

    /// The elements of `node`.
    pub(super) fn list<'a>(&mut self, node: &'a Node, what: &str) -> &'a [Node] {
        match &node.content {
            Content::List(items) => items,
            Content::Null => &[],
            Content::Scalar(_) | Content::Map(_) => {
                let reason = format!("{what} must be a list, not {}", node.kind());
                self.refuse(node.line, RefusalRule::BadValue, reason);
                &[]
            }
        }
    }

    /// The text of `node`.
    pub(super) fn text<'a>(&mut self, node: &'a Node, what: &str) -> Option<&'a str> {
        match &node.content {
            Content::Scalar(text) => Some(text),
            Content::Null | Content::List(_) | Content::Map(_) => {
                let reason = format!("{what} must be text, not {}", node.kind());
                self.refuse(node.line, RefusalRule::BadValue, reason);
                None
            }
        }
    }

    /// The name of a namespace or service: what Kubernetes allows, so that no placeholder of a document slips through.
    pub(super) fn name<'a>(&mut self, entry: &'a Entry, what: &str) -> Option<&'a str> {
        let name = self.text(&entry.value, what)?;
        if is_name(name) && !name.contains('_') {
            return Some(name);
        }
        let reason = format!("{what} is {}: put a name there", shown(name));
        self.refuse(entry.value.line, RefusalRule::BadValue, reason);
        None
    }

    /// A port's number.
    pub(super) fn port(&mut self, text: &str, line: usize) -> Option<u16> {
        let port = text.parse().ok().filter(|port| *port != 0);
        if port.is_none() {
            let reason = format!("expected a port from 1 to 65535, not {}", shown(text));
            self.refuse(line, RefusalRule::BadValue, reason);
        }
        port
    }

    /// Labels to be matched; none if there is no selector, or an empty one.
    pub(super) fn selector(&mut self, selector: Option<&Entry>) -> Vec<(String, String)> {
        let Some(selector) = selector else {
            return Vec::new();
        };
        let what = selector.key.as_str();
        let fields = self.fields(&selector.value, what, &["matchLabels"]);
        let Some(labels) = fields.get("matchLabels") else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for label in self.map(&labels.value, "matchLabels").all() {
            if let Some(value) = self.text(&label.value, "a label") {
                found.push((label.key.clone(), value.to_owned()));
            }
        }
        // In whatever order they are written, they select the same.
        found.sort();
        found
    }
}

/// `text` in a message, without what could steer a terminal.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let likeness = |name: &&str| strsim::jaro_winkler(&plain(key), &plain(name));
    let best = known
        .iter()
        .max_by(|one, other| likeness(one).total_cmp(&likeness(other)))?;
    (likeness(best) > 0.85).then_some(*best)
}

const MAX_SHOWN: usize = 60;
