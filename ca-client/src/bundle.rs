//! Which trust bundle do we know? Its number, its roots, and which of those must not authenticate the CA
//! any more. Where it comes from is told in [`crate::svid`] and [`crate::agent`].

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;
use tonic::metadata::MetadataMap;

use crate::offer::BundleAge;

/// The roots that workloads get, and what the CA said of them.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    number: Option<u64>,
    roots: Vec<Certificate>,
    distrusted: Vec<Fingerprint>,
    beyond: Option<Arc<Beyond>>,
    /// The number that this came with.
    told: Option<u64>,
}

/// What the CA tells beside the roots of our own trust domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beyond {
    /// Roots of other trust domains, by name.
    pub(crate) others: BTreeMap<String, Vec<Certificate>>,
    /// Revocation lists to be used with our own roots, DER.
    pub(crate) crls: Vec<Vec<u8>>,
}

impl Bundle {
    /// `number` is what the CA calls these roots; none of a CA that does not count them.
    pub(crate) fn new(number: Option<u64>, roots: Vec<Certificate>) -> Self {
        Self {
            number,
            roots,
            distrusted: Vec::new(),
            beyond: None,
            told: None,
        }
    }

    /// With what was told beside the roots of an earlier bundle, if nothing was told with this one.
    pub(crate) fn beside_as_in(mut self, before: Option<&Self>) -> Self {
        if let (None, Some(before)) = (&self.beyond, before) {
            self.beyond = before.beyond.clone();
            self.told = before.told;
        }
        self
    }

    /// With what was told beside the roots, when these had the number `told`.
    pub(crate) fn telling(mut self, told: Option<u64>, beyond: Arc<Beyond>) -> Self {
        self.beyond = Some(beyond);
        self.told = told;
        self
    }

    /// Roots that were distrusted once stay so, also when they come back.
    pub(crate) fn distrusting<'a>(
        mut self,
        more: impl IntoIterator<Item = &'a Fingerprint>,
    ) -> Self {
        for fingerprint in more {
            if !self.distrusted.contains(fingerprint) {
                self.distrusted.push(*fingerprint);
            }
        }
        self
    }

    pub(crate) fn number(&self) -> Option<u64> {
        self.number
    }

    pub(crate) fn age(&self) -> BundleAge {
        BundleAge {
            told: self.told,
            number: self.number,
        }
    }

    /// All of them: those that are distrusted still authenticate workloads.
    pub(crate) fn roots(&self) -> &[Certificate] {
        &self.roots
    }

    /// `None` where nothing was told of it.
    pub(crate) fn beyond(&self) -> Option<&Arc<Beyond>> {
        self.beyond.as_ref()
    }

    pub(crate) fn distrusted(&self) -> &[Fingerprint] {
        &self.distrusted
    }

    /// The roots that may authenticate the CA. A key in wrong hands is, whatever certificate it has.
    pub(crate) fn of_the_ca(&self) -> Vec<Certificate> {
        let is_named = |root: &Certificate| self.distrusted.contains(&root.fingerprint());
        let keys: Vec<&[u8]> = self
            .roots
            .iter()
            .filter(|root| is_named(root))
            .map(|root| root.facts().spki_der.as_slice())
            .collect();
        let is_good = |root: &&Certificate| {
            !is_named(root) && !keys.contains(&root.facts().spki_der.as_slice())
        };
        self.roots.iter().filter(is_good).cloned().collect()
    }
}

/// The number of the roots in an answer (`trust.proto`). What is no number is none.
pub(crate) fn told_number(metadata: &MetadataMap) -> Option<u64> {
    metadata.get("signet-bundle")?.to_str().ok()?.parse().ok()
}
