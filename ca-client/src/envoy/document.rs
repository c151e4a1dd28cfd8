//! How is a tree of settings written for people? As YAML in which names come first.

use serde_json::Value;
use serde_norway::Mapping;
use serde_norway::Value as Yaml;

/// `value` as YAML, with what names a thing before what it is made of.
///
/// # Errors
/// Never for a tree of plain values.
pub(crate) fn yaml(value: &Value) -> Result<String, serde_norway::Error> {
    serde_norway::to_string(&ordered(value)?)
}

fn ordered(value: &Value) -> Result<Yaml, serde_norway::Error> {
    match value {
        Value::Object(fields) => {
            let rank = |key: &str| FIRST.iter().position(|first| *first == key);
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort_by_key(|key| rank(key).unwrap_or(FIRST.len()));
            let mut mapping = Mapping::new();
            for key in keys {
                let value = fields.get(key).map_or(Ok(Yaml::Null), ordered)?;
                mapping.insert(key.clone().into(), value);
            }
            Ok(Yaml::Mapping(mapping))
        }
        Value::Array(items) => items
            .iter()
            .map(ordered)
            .collect::<Result<_, _>>()
            .map(Yaml::Sequence),
        scalar => serde_norway::to_value(scalar),
    }
}

const FIRST: [&str; 8] = [
    "@type",
    "node",
    "admin",
    "name",
    "type",
    "traffic_direction",
    "address",
    "stat_prefix",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_reads_back_the_same_with_names_first() {
        let value = json!({"address": "0.0.0.0", "aaa": ["0s", "no", "1e3", true, 7], "name": "in: bound|1"});
        let text = yaml(&value).unwrap();
        assert!(text.starts_with("name:"), "{text}");
        assert_eq!(serde_norway::from_str::<Value>(&text).unwrap(), value);
    }
}
