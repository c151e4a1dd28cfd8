//! What does a settings file (`--config FILE`, YAML) say? Keys are the long names of flags.
//!
//! Knows no flag by itself: the caller passes the names, and a key that is none of them is an error
//! which names the nearest one.

use std::fmt;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_norway::Value;

/// Reads `path`: a YAML mapping of flag names (`data-dir` or `data_dir`) to a scalar or a list of scalars.
///
/// Returns the entries in the order of the file, with the names spelled as in `known` and every scalar as text.
/// An empty file has no entries.
///
/// # Errors
/// Names the file and the key that is wrong; nothing is returned of a file with one bad key.
pub fn read(path: &Path, known: &[&str]) -> Result<Vec<(String, Vec<String>)>, SettingsFileError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsFileError::Read {
        path: path.to_owned(),
        source,
    })?;
    let entries: Option<Entries> =
        serde_norway::from_str(&text).map_err(|source| SettingsFileError::Syntax {
            path: path.to_owned(),
            source,
        })?;
    let mut settings: Vec<(String, Vec<String>)> = Vec::new();
    for (key, value) in entries.map_or_else(Vec::new, |entries| entries.0) {
        let name = known_name(path, &key, known)?;
        if settings.iter().any(|(earlier, _)| earlier == name) {
            return Err(SettingsFileError::DuplicateKey {
                path: path.to_owned(),
                key,
            });
        }
        settings.push((name.to_owned(), texts(path, &key, &value)?));
    }
    Ok(settings)
}

/// Why a settings file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsFileError {
    /// A key is there twice, in either spelling.
    #[error("{}: the key {key} is there twice", path.display())]
    DuplicateKey {
        /// The file.
        path: PathBuf,
        /// The second one, as it is spelled.
        key: String,
    },
    /// The file cannot be read.
    #[error("cannot read the settings file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is not a YAML mapping.
    #[error("the settings file {} is not a YAML mapping of flag names to values", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the YAML reader says, with line and column.
        source: serde_norway::Error,
    },
    /// No flag has this name.
    #[error("{}: unknown key {key}{}", path.display(), suggestion(nearest.as_deref()))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key, as it is spelled.
        key: String,
        /// The known name that is most like it.
        nearest: Option<String>,
    },
    /// The value is nothing that a flag could have.
    #[error("{}: the value of {key} must be text, a number, true, false or a list of these, not {found}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, as it is spelled.
        key: String,
        /// The kind of value that was found.
        found: &'static str,
    },
}

/// A mapping with its order and its repeats, which a map type would lose.
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of flag names to values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

fn known_name<'a>(path: &Path, key: &str, known: &[&'a str]) -> Result<&'a str, SettingsFileError> {
    let kebab = |name: &str| name.replace('_', "-");
    let wanted = kebab(key);
    if let Some(name) = known.iter().find(|name| kebab(name) == wanted) {
        return Ok(name);
    }
    let nearest = known
        .iter()
        .min_by_key(|name| strsim::damerau_levenshtein(&kebab(name), &wanted));
    Err(SettingsFileError::UnknownKey {
        path: path.to_owned(),
        key: key.to_owned(),
        nearest: nearest.map(|name| (*name).to_owned()),
    })
}

fn texts(path: &Path, key: &str, value: &Value) -> Result<Vec<String>, SettingsFileError> {
    let list = match value {
        Value::Sequence(list) => list.as_slice(),
        scalar => std::slice::from_ref(scalar),
    };
    let texts = list.iter().map(text);
    texts
        .collect::<Result<_, _>>()
        .map_err(|found| SettingsFileError::Value {
            path: path.to_owned(),
            key: key.to_owned(),
            found,
        })
}

fn text(scalar: &Value) -> Result<String, &'static str> {
    match scalar {
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(value) => Ok(value.to_string()),
        Value::String(value) => Ok(value.clone()),
        Value::Null => Err("nothing"),
        Value::Sequence(_) => Err("a list within a list"),
        Value::Mapping(_) => Err("a mapping"),
        Value::Tagged(_) => Err("a value with a tag"),
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean {name}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["data-dir", "serving-name", "max-ttl", "grpc-addr"];

    fn read_text(text: &str) -> Result<Vec<(String, Vec<String>)>, SettingsFileError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("signet.yaml");
        std::fs::write(&path, text).unwrap();
        read(&path, &KNOWN)
    }

    #[test]
    fn scalars_and_lists_come_back_as_text_in_order_under_their_known_names() {
        let text = "# ours\nmax_ttl: 24h\nserving-name:\n  - a\n  - 15012\n  - true\ndata-dir: 'no'\ngrpc_addr: []\n";
        let settings = read_text(text).unwrap();
        let expected = [
            ("max-ttl", vec!["24h"]),
            ("serving-name", vec!["a", "15012", "true"]),
            ("data-dir", vec!["no"]),
            ("grpc-addr", vec![]),
        ];
        let settings: Vec<(&str, Vec<&str>)> = settings
            .iter()
            .map(|(name, values)| (name.as_str(), values.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(settings, expected);
    }

    #[test]
    fn a_file_without_entries_has_none() {
        for text in ["", "\n\n", "# only a comment\n", "---\n", "{}"] {
            assert_eq!(read_text(text).unwrap(), [], "{text:?}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        for (key, expected) in [
            ("data_dri", "data-dir"),
            ("maxttl", "max-ttl"),
            ("serving-names", "serving-name"),
        ] {
            let error = read_text(&format!("max-ttl: 1h\n{key}: x")).unwrap_err();
            let message = error.to_string();
            let end = format!("unknown key {key}, did you mean {expected}?");
            assert!(message.ends_with(&end), "{message}");
        }
    }

    #[test]
    fn a_key_is_there_once_in_either_spelling() {
        for text in ["max-ttl: 1h\nmax-ttl: 2h", "max-ttl: 1h\nmax_ttl: 1h"] {
            let error = read_text(text).unwrap_err();
            let is_it = matches!(error, SettingsFileError::DuplicateKey { .. });
            assert!(is_it, "{error}");
        }
    }

    #[test]
    fn a_value_that_no_flag_could_have_is_refused_by_its_key() {
        for (value, expected) in [
            ("", "nothing"),
            ("~", "nothing"),
            ("[a, ~]", "nothing"),
            ("[[a]]", "a list within a list"),
            ("{a: b}", "a mapping"),
            ("!secret x", "a value with a tag"),
        ] {
            let error = read_text(&format!("max-ttl: {value}")).unwrap_err();
            let SettingsFileError::Value { key, found, .. } = error else {
                panic!("{value}: {error}");
            };
            assert_eq!((key.as_str(), found), ("max-ttl", expected));
        }
    }

    #[test]
    fn what_is_not_one_yaml_mapping_is_refused() {
        for text in [
            "- a",
            "text",
            "a: [",
            "max-ttl: 1h\n---\nmax-ttl: 1h",
            "[1]: 2",
        ] {
            let error = read_text(text).unwrap_err();
            let is_it = matches!(error, SettingsFileError::Syntax { .. });
            assert!(is_it, "{text:?}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("absent.yaml");
        let error = read(&path, &KNOWN).unwrap_err();
        assert!(error.to_string().ends_with("absent.yaml"), "{error}");
    }
}
