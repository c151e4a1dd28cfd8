//! From which bundle on do revocation lists let an issuer pass? Numbers for the gates, as they are stored.

use std::collections::BTreeMap;

use proto::certificate::Fingerprint;
use serde::Deserialize;
use serde::Serialize;

/// What must be remembered of the lists that went with bundles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Numbers {
    /// For each issuer, the first number from which on no bundle's lists left it out; nothing as long as no bundle
    /// ever had a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<BTreeMap<String, u64>>,
    /// The first number from which on no bundle had a list, where some had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) free_since: Option<u64>,
}

impl Numbers {
    /// What is to be remembered once bundle `number` has lists that cover `covered`; `None` where it has no list.
    pub(super) fn after(&self, covered: Option<&[Fingerprint]>, number: u64) -> Self {
        let Some(covered) = covered else {
            let ended = self.free_since.unwrap_or(number);
            return Self {
                since: self.since.clone(),
                free_since: self.since.as_ref().map(|_some_had| ended),
            };
        };
        let since = covered.iter().map(|issuer| {
            let from = self.passes_since(issuer);
            (issuer.to_string(), from.unwrap_or(number))
        });
        Self {
            since: Some(since.collect()),
            free_since: None,
        }
    }

    /// The first number from which on the lists of every bundle let `issuer` pass.
    fn passes_since(&self, issuer: &Fingerprint) -> Option<u64> {
        let Some(covered) = &self.since else {
            return Some(0);
        };
        let from = covered.get(&issuer.to_string());
        from.copied().or(self.free_since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(name: &str) -> Fingerprint {
        Fingerprint::of(name.as_bytes())
    }

    #[test]
    fn who_was_never_left_out_passes_from_the_beginning() {
        let numbers = Numbers::default().after(Some(&[issuer("a")]), 7);
        assert_eq!(numbers.passes_since(&issuer("a")), Some(0));
        assert_eq!(numbers.passes_since(&issuer("b")), None);
    }

    #[test]
    fn who_comes_later_passes_from_the_bundle_with_its_list() {
        let numbers = Numbers::default().after(Some(&[issuer("a")]), 7);
        let numbers = numbers.after(Some(&[issuer("a"), issuer("b")]), 9);
        let numbers = numbers.after(Some(&[issuer("a"), issuer("b")]), 11);
        assert_eq!(numbers.passes_since(&issuer("a")), Some(0));
        assert_eq!(numbers.passes_since(&issuer("b")), Some(9));
    }

    #[test]
    fn who_is_left_out_once_begins_anew() {
        let numbers = Numbers::default().after(Some(&[issuer("a")]), 7);
        let numbers = numbers.after(Some(&[issuer("b")]), 8);
        let numbers = numbers.after(Some(&[issuer("a")]), 9);
        assert_eq!(numbers.passes_since(&issuer("a")), Some(9));
    }

    #[test]
    fn without_lists_everybody_passes_from_the_first_bundle_without_one() {
        let none = Numbers::default().after(None, 5);
        assert_eq!(none, Numbers::default());
        let numbers = none.after(Some(&[issuer("a")]), 7);
        let numbers = numbers.after(None, 8).after(None, 9);
        assert_eq!(numbers.passes_since(&issuer("a")), Some(0));
        assert_eq!(numbers.passes_since(&issuer("b")), Some(8));
        let numbers = numbers.after(Some(&[issuer("b")]), 10);
        assert_eq!(numbers.passes_since(&issuer("b")), Some(8));
        assert_eq!(numbers.passes_since(&issuer("a")), None);
    }
}
