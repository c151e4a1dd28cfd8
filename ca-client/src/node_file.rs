//! Which workloads does a node serve? A YAML list, read at the start, with everything wrong with it told before anything
//! is opened.

use std::path::Path;
use std::path::PathBuf;

use ca_client::workload_api::AllowRule;
use ca_client::workload_api::AllowRuleError;
use proto::spiffe::SpiffeId;
use serde::Deserialize;

/// One workload of the list.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) allow: AllowRule,
    pub(crate) token_file: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) spiffe_id: Option<SpiffeId>,
}

/// The same before it is judged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    allow: String,
    token_file: PathBuf,
    out: PathBuf,
    spiffe_id: Option<String>,
}

/// Reads the list.
///
/// # Errors
/// When it cannot be read, or any entry cannot be served.
pub(crate) fn read(path: &Path) -> Result<Vec<Entry>, NodeFileError> {
    let text = std::fs::read_to_string(path).map_err(|source| NodeFileError::Read { source })?;
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<Entry>, NodeFileError> {
    let raw: Vec<Raw> = serde_norway::from_str(text).map_err(|error| explain(&error))?;
    if raw.is_empty() {
        return Err(NodeFileError::NoEntries);
    }
    let entries = raw.into_iter().map(judge);
    let entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
    refuse_doubles(&entries)?;
    Ok(entries)
}

fn judge(raw: Raw) -> Result<Entry, NodeFileError> {
    let Raw {
        name,
        allow,
        token_file,
        out,
        spiffe_id,
    } = raw;
    if !is_name(&name) {
        return Err(NodeFileError::Name { name });
    }
    for (key, path) in [("token_file", &token_file), ("out", &out)] {
        if path.as_os_str().is_empty() || path == Path::new("-") {
            return Err(NodeFileError::NoPath { name, key });
        }
    }
    let allow = match allow.parse() {
        Ok(allow) => allow,
        Err(source) => return Err(NodeFileError::Allow { name, source }),
    };
    let spiffe_id = match spiffe_id.map(|id| id.parse()).transpose() {
        Ok(id) => id,
        Err(source) => return Err(NodeFileError::Id { name, source }),
    };
    Ok(Entry {
        name,
        allow,
        token_file,
        out,
        spiffe_id,
    })
}

/// Names stand in logs, labels and hints.
fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_plain)
}

/// Two that write to one directory would take it from each other for ever.
fn refuse_doubles(entries: &[Entry]) -> Result<(), NodeFileError> {
    for (index, entry) in entries.iter().enumerate() {
        for before in entries.iter().take(index) {
            if before.name == entry.name {
                let name = entry.name.clone();
                return Err(NodeFileError::Twice { name });
            }
            // Components, so that neither `/` at the end nor `/./` makes a difference.
            if before.out.components().eq(entry.out.components()) {
                return Err(NodeFileError::SameOut {
                    one: before.name.clone(),
                    other: entry.name.clone(),
                    out: entry.out.clone(),
                });
            }
        }
    }
    Ok(())
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeFileError {
    /// Nobody knows whom to serve.
    #[error("allow of workload {name}")]
    Allow {
        /// Whose.
        name: String,
        /// What is wrong with the rule.
        source: AllowRuleError,
    },
    /// It is no SPIFFE ID.
    #[error("spiffe_id of workload {name}")]
    Id {
        /// Whose.
        name: String,
        /// What is wrong with it.
        source: proto::spiffe::SpiffeIdError,
    },
    /// The file is not a list of entries with the known keys.
    #[error(
        "expected a YAML list of workloads with name, allow, token_file, out and maybe spiffe_id: {reason}"
    )]
    Malformed {
        /// The reader's words, with line and column.
        reason: String,
    },
    /// A name that would not stand in a log line.
    #[error(
        "'{}' is no name: expected 1 to {LONGEST_NAME} of a-z, A-Z, 0-9 and -_./",
        name.escape_debug()
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The list is there, and nobody is on it.
    #[error("the list is empty; a node serves at least one workload")]
    NoEntries,
    /// There is no file.
    #[error("{key} of workload {name} is not the path of a file or directory")]
    NoPath {
        /// Whose.
        name: String,
        /// Which path.
        key: &'static str,
    },
    /// The file cannot be read.
    #[error("it cannot be read")]
    Read {
        /// The system's answer.
        source: std::io::Error,
    },
    /// Two would write the same files.
    #[error("workloads {one} and {other} both have out {}; give each a directory of its own", out.display())]
    SameOut {
        /// The first.
        one: String,
        /// The second.
        other: String,
        /// The directory.
        out: PathBuf,
    },
    /// Two go by one name.
    #[error("workload {name} is listed twice; names tell workloads apart in log and metrics")]
    Twice {
        /// The name.
        name: String,
    },
}

fn explain(error: &serde_norway::Error) -> NodeFileError {
    let mut reason = error.to_string();
    let key = reason.split('`').nth(1);
    if let Some(key) = key.filter(|_| reason.contains("unknown field")) {
        let likeness = |name: &&str| strsim::damerau_levenshtein(key, name);
        if let Some(nearest) = KEYS.iter().min_by_key(|name| likeness(name)) {
            reason = format!("{reason}; did you mean `{nearest}`?");
        }
    }
    NodeFileError::Malformed { reason }
}

const KEYS: [&str; 5] = ["name", "allow", "token_file", "out", "spiffe_id"];
/// Characters.
const LONGEST_NAME: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
- {name: reviews, allow: uid=1001, token_file: /t/reviews, out: /o/reviews}
- name: bookinfo/ratings
  allow: gid=5, uid=7
  token_file: /t/ratings
  out: /o/ratings
  spiffe_id: spiffe://cluster.local/ns/bookinfo/sa/ratings
";

    fn said(text: &str) -> String {
        let error = parse(text).unwrap_err();
        let mut said = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            said += &format!(": {error}");
            cause = error.source();
        }
        said
    }

    #[test]
    fn a_list_keeps_its_order() {
        let entries = parse(GOOD).unwrap();
        let names: Vec<&str> = entries.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["reviews", "bookinfo/ratings"]);
        assert!(entries[0].spiffe_id.is_none() && entries[1].spiffe_id.is_some());
        assert_eq!(entries[1].token_file, Path::new("/t/ratings"));
    }

    #[test]
    fn what_cannot_be_served_is_refused_by_name_and_reason() {
        let table = [
            ("", "", "the list is empty"),
            ("[]", "", "the list is empty"),
            ("{}", "", "a YAML list"),
            ("- 7", "", "a YAML list"),
            (
                GOOD,
                "token_file: /t/ratings|tokenfile: /t/ratings",
                "did you mean `token_file`?",
            ),
            (GOOD, "  allow: gid=5, uid=7|", "missing field `allow`"),
            (
                GOOD,
                "gid=5, uid=7|gid=five",
                "bookinfo/ratings: expected terms such as",
            ),
            (
                GOOD,
                "name: reviews|name: bookinfo/ratings",
                "is listed twice",
            ),
            (
                GOOD,
                "name: reviews|name: \"two words\"",
                "'two words' is no name",
            ),
            (GOOD, "name: reviews|name: \"\"", "'' is no name"),
            (GOOD, "/o/reviews|/o/./ratings/", "both have out"),
            (GOOD, "/t/reviews|\"\"", "token_file of workload reviews"),
            (GOOD, "/t/reviews|\"-\"", "token_file of workload reviews"),
            (
                GOOD,
                "spiffe://|http://",
                "spiffe_id of workload bookinfo/ratings",
            ),
        ];
        for (text, change, words) in table {
            let text = match change.split_once('|') {
                Some((before, after)) => {
                    assert!(text.contains(before), "{before}");
                    text.replacen(before, after, 1)
                }
                None => text.to_owned(),
            };
            let said = said(&text);
            assert!(said.contains(words), "{words}: {said}");
        }
    }
}
