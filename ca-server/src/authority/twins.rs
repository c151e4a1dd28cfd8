//! Which roots are one root? The same name, key and key identifier, certified more than once.
//!
//! Whatever chains to one of them chains to all (RFC 5280 section 6.1.1 (d): an anchor is a name and a key); what
//! differs is how long verifiers that look at an anchor's dates accept it.

use std::cmp::Reverse;
use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Certificate;

/// Whether `one` and `other` are one root, perhaps certified again.
pub(super) fn is_same_root(one: &Certificate, other: &Certificate) -> bool {
    let (one, other) = (one.facts(), other.facts());
    one.subject_der == other.subject_der
        && one.spki_der == other.spki_der
        && one.subject_key_id == other.subject_key_id
}

/// The same roots, none twice, in their order, but each that was certified again behind the one that lives longer:
/// some verifiers take the first that fits.
pub(super) fn longest_lived_first(roots: &[Certificate]) -> Vec<Certificate> {
    let mut ordered: Vec<Certificate> = Vec::new();
    for root in roots {
        let mut family: Vec<&Certificate> =
            roots.iter().filter(|one| is_same_root(one, root)).collect();
        family.sort_by_key(|one| Reverse(one.facts().not_after));
        for one in family {
            if !ordered.contains(one) {
                ordered.push(one.clone());
            }
        }
    }
    ordered
}

/// Whether `root` is about to expire, and one of `roots` is the same root, valid by now and for longer.
pub(super) fn is_outlived(root: &Certificate, roots: &[Certificate], now: SystemTime) -> bool {
    let ends = root.facts().not_after;
    let soon = now.checked_add(BEFORE_ITS_END).unwrap_or(now);
    let outlives = |other: &Certificate| {
        is_same_root(root, other) && other.is_valid_at(now) && other.facts().not_after > ends
    };
    ends <= soon && roots.iter().any(outlives)
}

/// A root that was certified again leaves so long before its end: not every clock is right.
const BEFORE_ITS_END: Duration = Duration::from_secs(24 * 60 * 60);
