//! Which strings are SPIFFE IDs and trust domains? (SPIFFE-ID section 2)
//!
//! Bad forms are refused, never repaired, and two IDs are equal only byte for byte.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

/// The longest SPIFFE ID that is issued, in bytes (SPIFFE-ID section 2.3).
pub const MAX_ID_LEN: usize = 2048;
/// The longest trust domain name, in bytes (RFC 3986 section 3.2.2).
pub const MAX_TRUST_DOMAIN_LEN: usize = 255;

/// A parsed SPIFFE ID: `spiffe://trust-domain/path`, or `spiffe://trust-domain` for the domain itself.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpiffeId {
    uri: String,
    /// Length of the trust domain, which starts after `spiffe://`.
    trust_domain_len: usize,
}

impl SpiffeId {
    /// Puts `path` (which starts with `/`, or is empty) under `trust_domain`.
    ///
    /// # Errors
    /// The rule of SPIFFE-ID section 2.2 that `path` breaks.
    pub fn new(trust_domain: &TrustDomain, path: &str) -> Result<Self, SpiffeIdError> {
        if !path.is_empty() && !path.starts_with('/') {
            return Err(SpiffeIdError::PathCharacter {
                found: path.chars().next().unwrap_or('/'),
            });
        }
        format!("{SCHEME}{trust_domain}{path}").parse()
    }

    /// The ID of a Kubernetes service account, in Istio's form `/ns/NAMESPACE/sa/SERVICE-ACCOUNT`.
    ///
    /// # Errors
    /// The rule of SPIFFE-ID section 2.2 that one of the names breaks.
    pub fn service_account(
        trust_domain: &TrustDomain,
        namespace: &str,
        service_account: &str,
    ) -> Result<Self, SpiffeIdError> {
        for segment in [namespace, service_account] {
            if let Some(found) = segment.chars().find(|c| !is_segment_char(*c)) {
                return Err(SpiffeIdError::PathCharacter { found });
            }
        }
        Self::new(
            trust_domain,
            &format!("/ns/{namespace}/sa/{service_account}"),
        )
    }

    /// The whole ID as a URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.uri
    }

    /// The trust domain that the ID belongs to.
    #[must_use]
    pub fn trust_domain(&self) -> TrustDomain {
        TrustDomain(
            self.after_scheme()
                .chars()
                .take(self.trust_domain_len)
                .collect(),
        )
    }

    /// The path with its leading slash; empty for the trust domain's own ID.
    #[must_use]
    pub fn path(&self) -> &str {
        self.after_scheme()
            .get(self.trust_domain_len..)
            .unwrap_or("")
    }

    /// Whether this ID is under `trust_domain`.
    #[must_use]
    pub fn is_member_of(&self, trust_domain: &TrustDomain) -> bool {
        self.after_scheme().get(..self.trust_domain_len) == Some(trust_domain.as_str())
    }

    fn after_scheme(&self) -> &str {
        self.uri.get(SCHEME.len()..).unwrap_or("")
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_ID_LEN {
            return Err(SpiffeIdError::TooLong { len: text.len() });
        }
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
        let (domain, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        domain.parse::<TrustDomain>()?;
        check_path(path)?;
        Ok(Self {
            uri: text.to_owned(),
            trust_domain_len: domain.len(),
        })
    }
}

impl TryFrom<String> for SpiffeId {
    type Error = SpiffeIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SpiffeId> for String {
    fn from(id: SpiffeId) -> Self {
        id.uri
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpiffeId({})", self.uri)
    }
}

/// A trust domain's name, such as `cluster.local`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustDomain(String);

impl TrustDomain {
    /// The bare name, without scheme.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(SpiffeIdError::EmptyTrustDomain);
        }
        if text.len() > MAX_TRUST_DOMAIN_LEN {
            return Err(SpiffeIdError::TrustDomainTooLong { len: text.len() });
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        match text.chars().find(|c| !allowed(*c)) {
            Some(found) => Err(SpiffeIdError::TrustDomainCharacter { found }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for TrustDomain {
    type Error = SpiffeIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TrustDomain> for String {
    fn from(domain: TrustDomain) -> Self {
        domain.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rule of the SPIFFE-ID standard that a string breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpiffeIdError {
    /// A path has `//`, or ends in `/` (section 2.2).
    #[error("a path segment is empty: no double and no trailing slash")]
    EmptySegment,
    /// Nothing stands between `spiffe://` and the path (section 2.1).
    #[error("the trust domain is empty")]
    EmptyTrustDomain,
    /// A path character outside the set (section 2.2).
    #[error("a path takes letters, digits, '.', '_' and '-', not {found:?}")]
    PathCharacter {
        /// The first character that is not allowed.
        found: char,
    },
    /// `.` or `..` as a segment (section 2.2).
    #[error("a path segment is '.' or '..'")]
    RelativeSegment,
    /// The string does not start with `spiffe://` (section 2).
    #[error("a SPIFFE ID starts with spiffe://")]
    Scheme,
    /// Longer than [`MAX_ID_LEN`] (section 2.3).
    #[error("a SPIFFE ID has at most {MAX_ID_LEN} bytes, this one {len}")]
    TooLong {
        /// Bytes seen.
        len: usize,
    },
    /// A trust domain character outside the set (section 2.1).
    #[error("a trust domain takes lower-case letters, digits, '.', '_' and '-', not {found:?}")]
    TrustDomainCharacter {
        /// The first character that is not allowed.
        found: char,
    },
    /// Longer than [`MAX_TRUST_DOMAIN_LEN`].
    #[error("a trust domain has at most {MAX_TRUST_DOMAIN_LEN} bytes, this one {len}")]
    TrustDomainTooLong {
        /// Bytes seen.
        len: usize,
    },
}

fn check_path(path: &str) -> Result<(), SpiffeIdError> {
    for segment in path.split('/').skip(1) {
        match segment {
            "" => return Err(SpiffeIdError::EmptySegment),
            "." | ".." => return Err(SpiffeIdError::RelativeSegment),
            _ => {}
        }
        if let Some(found) = segment.chars().find(|c| !is_segment_char(*c)) {
            return Err(SpiffeIdError::PathCharacter { found });
        }
    }
    Ok(())
}

fn is_segment_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

const SCHEME: &str = "spiffe://";

#[cfg(test)]
mod tests {
    use super::*;

    /// Items 1 to 8 of the conformance checklist.
    #[test]
    fn every_form_the_standard_allows_is_accepted() {
        let longest_domain = "d".repeat(MAX_TRUST_DOMAIN_LEN);
        let longest_id = format!(
            "spiffe://td/{}",
            "p".repeat(MAX_ID_LEN - "spiffe://td/".len())
        );
        for text in [
            "spiffe://td/a",
            "spiffe://td/ns/shop/sa/cart/deep",
            "spiffe://td",
            "spiffe://1.2.3.4/x",
            "spiffe://.-_td_-./x",
            "spiffe://12345/x",
            "spiffe://td/...",
            "spiffe://td/a..b",
            &longest_id,
            &format!("spiffe://{longest_domain}/x"),
        ] {
            let id = text.parse::<SpiffeId>();
            assert_eq!(id.as_ref().map(SpiffeId::as_str), Ok(text));
        }
    }

    /// Items 9 to 25 of the conformance checklist.
    #[test]
    fn every_form_the_standard_forbids_is_refused_by_its_rule() {
        use SpiffeIdError as E;
        let long_domain = format!("spiffe://{}/x", "d".repeat(MAX_TRUST_DOMAIN_LEN + 1));
        let long_id = format!("spiffe://td/{}", "p".repeat(MAX_ID_LEN));
        let table = [
            ("", E::Scheme),
            ("http://td/a", E::Scheme),
            ("spiffe:/td", E::Scheme),
            ("spiffe:td", E::Scheme),
            ("SPIFFE://td/a", E::Scheme),
            ("spiffe:///x", E::EmptyTrustDomain),
            ("spiffe://user@td/x", E::TrustDomainCharacter { found: '@' }),
            ("spiffe://td:/x", E::TrustDomainCharacter { found: ':' }),
            ("spiffe://td:80/x", E::TrustDomainCharacter { found: ':' }),
            ("spiffe://TD/x", E::TrustDomainCharacter { found: 'T' }),
            ("spiffe://t%64/x", E::TrustDomainCharacter { found: '%' }),
            ("spiffe://[::1]/x", E::TrustDomainCharacter { found: '[' }),
            ("spiffe://tdé/x", E::TrustDomainCharacter { found: 'é' }),
            ("spiffe://td?q", E::TrustDomainCharacter { found: '?' }),
            ("spiffe://td/a%20b", E::PathCharacter { found: '%' }),
            ("spiffe://td/é", E::PathCharacter { found: 'é' }),
            ("spiffe://td/a?", E::PathCharacter { found: '?' }),
            ("spiffe://td/a#", E::PathCharacter { found: '#' }),
            ("spiffe://td/a~", E::PathCharacter { found: '~' }),
            ("spiffe://td/a:b", E::PathCharacter { found: ':' }),
            ("spiffe://td/a@b", E::PathCharacter { found: '@' }),
            ("spiffe://td/a+b", E::PathCharacter { found: '+' }),
            ("spiffe://td/a b", E::PathCharacter { found: ' ' }),
            ("spiffe://td/a\\b", E::PathCharacter { found: '\\' }),
            ("spiffe://td/", E::EmptySegment),
            ("spiffe://td/a/", E::EmptySegment),
            ("spiffe://td//a", E::EmptySegment),
            ("spiffe://td/./a", E::RelativeSegment),
            ("spiffe://td/../a", E::RelativeSegment),
            ("spiffe://td/a/.", E::RelativeSegment),
            ("spiffe://td/a/..", E::RelativeSegment),
            (
                long_domain.as_str(),
                E::TrustDomainTooLong {
                    len: MAX_TRUST_DOMAIN_LEN + 1,
                },
            ),
            (long_id.as_str(), E::TooLong { len: long_id.len() }),
        ];
        for (text, rule) in table {
            assert_eq!(text.parse::<SpiffeId>(), Err(rule), "{text:?}");
        }
    }

    #[test]
    fn two_ids_that_differ_in_case_are_two_ids() {
        let lower: SpiffeId = "spiffe://td/a".parse().unwrap();
        let upper: SpiffeId = "spiffe://td/A".parse().unwrap();
        assert_ne!(lower, upper);
    }

    #[test]
    fn the_parts_of_an_id_are_what_was_put_in() {
        let domain: TrustDomain = "cluster.local".parse().unwrap();
        let id = SpiffeId::service_account(&domain, "shop", "cart").unwrap();
        assert_eq!(id.as_str(), "spiffe://cluster.local/ns/shop/sa/cart");
        assert_eq!(id.trust_domain(), domain);
        assert_eq!(id.path(), "/ns/shop/sa/cart");
        assert!(id.is_member_of(&domain));
        assert!(!id.is_member_of(&"cluster".parse().unwrap()));
    }

    #[test]
    fn a_service_account_cannot_smuggle_a_path() {
        let domain: TrustDomain = "cluster.local".parse().unwrap();
        for (namespace, account) in [
            ("a/sa/b", "c"),
            ("a", "b/c"),
            ("", "b"),
            ("a", ""),
            ("..", "b"),
        ] {
            assert!(SpiffeId::service_account(&domain, namespace, account).is_err());
        }
    }
}
