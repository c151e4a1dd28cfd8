//! Whose JWTs are believed? The file behind `--issuers`: a YAML list of token issuers.

use std::path::PathBuf;

use serde::Deserialize;

/// One entry of the file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// The `iss` claim, compared byte for byte.
    pub issuer: String,
    /// Accepted values of the `aud` claim; a token must have one of them.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The file with the issuer's public keys (JWK Set, RFC 7517). Re-read when it changes.
    pub jwks_file: PathBuf,
}

/// Reads the text of an issuers file. Entries without audiences get `default_audiences`.
///
/// # Errors
/// The first entry that is not complete, or the key that is not known.
pub fn parse(
    text: &str,
    default_audiences: &[String],
) -> Result<Vec<IssuerSettings>, IssuersError> {
    let mut issuers: Vec<IssuerSettings> =
        serde_norway::from_str(text).map_err(|error| explain(&error))?;
    if issuers.is_empty() {
        return Err(IssuersError::NoEntries);
    }
    for entry in issuers
        .iter_mut()
        .filter(|entry| entry.audiences.is_empty())
    {
        entry.audiences = default_audiences.to_vec();
    }
    for (index, entry) in issuers.iter().enumerate() {
        let number = index + 1;
        if entry.issuer.is_empty() {
            return Err(IssuersError::Empty {
                number,
                key: "issuer",
            });
        }
        if entry.audiences.is_empty() || entry.audiences.iter().any(String::is_empty) {
            return Err(IssuersError::Empty {
                number,
                key: "audiences",
            });
        }
        if issuers
            .iter()
            .take(index)
            .any(|earlier| earlier.issuer == entry.issuer)
        {
            return Err(IssuersError::Twice {
                issuer: entry.issuer.clone(),
            });
        }
    }
    Ok(issuers)
}

/// Why an issuers file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssuersError {
    /// A value is missing where one is needed.
    #[error("entry {number} of the list: `{key}` is empty")]
    Empty {
        /// Position in the list, counting from 1.
        number: usize,
        /// Which key.
        key: &'static str,
    },
    /// The file is not a list of entries with the known keys.
    #[error(
        "expected a YAML list of entries with `issuer`, `audiences` (a list) and `jwks_file`: {reason}"
    )]
    Malformed {
        /// The reader's words, with line and column.
        reason: String,
    },
    /// The list is there, and nobody is on it.
    #[error("the list is empty; leave --issuers out to believe no JWT")]
    NoEntries,
    /// One issuer is listed twice.
    #[error("issuer {issuer} is listed twice; give one entry all its audiences")]
    Twice {
        /// Which one.
        issuer: String,
    },
}

fn explain(error: &serde_norway::Error) -> IssuersError {
    let mut reason = error.to_string();
    let unknown = reason.strip_prefix("[").unwrap_or(&reason);
    if let Some(key) = unknown
        .split('`')
        .nth(1)
        .filter(|_| reason.contains("unknown field"))
    {
        let nearest = KEYS
            .iter()
            .max_by(|a, b| strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b)));
        if let Some(nearest) = nearest {
            reason = format!("{reason}; did you mean `{nearest}`?");
        }
    }
    IssuersError::Malformed { reason }
}

const KEYS: [&str; 3] = ["issuer", "audiences", "jwks_file"];

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
- issuer: https://kubernetes.default.svc
  audiences: [istio-ca, signet]
  jwks_file: /etc/signet/jwks.json
";

    #[test]
    fn an_issuer_has_a_name_audiences_and_a_file_of_keys() {
        let issuers = parse(GOOD, &[]).unwrap();
        assert_eq!(issuers[0].issuer, "https://kubernetes.default.svc");
        assert_eq!(issuers[0].audiences, ["istio-ca", "signet"]);
    }

    #[test]
    fn an_unknown_key_names_the_nearest_one() {
        let error = parse(&GOOD.replace("jwks_file", "jwk_file"), &[])
            .unwrap_err()
            .to_string();
        assert!(error.contains("did you mean `jwks_file`"), "{error}");
    }

    #[test]
    fn an_issuer_without_audience_and_a_second_entry_for_one_issuer_are_refused() {
        let none = parse("[{issuer: a, audiences: [], jwks_file: f}]", &[]);
        assert_eq!(
            none,
            Err(IssuersError::Empty {
                number: 1,
                key: "audiences"
            })
        );
        let twice = parse(&format!("{GOOD}{GOOD}"), &[]).unwrap_err();
        assert!(matches!(twice, IssuersError::Twice { .. }), "{twice}");
        assert_eq!(parse("[]", &[]), Err(IssuersError::NoEntries));
    }
}
