//! Which certificates of the chain file are cross-certificates: by another CA, for a name and key of the chain?
//!
//! They are sent, so that who trusts the other CA accepts the chain too.

use std::time::SystemTime;

use proto::certificate::Certificate;

use super::Finding;
use super::Severity;
use super::files::Files;
use super::path::Path;

/// Those that are valid now, in file order.
pub(super) fn certificates(path: &Path, files: &Files, now: SystemTime) -> Vec<Certificate> {
    let mut found: Vec<Certificate> = Vec::new();
    for held in files.issuer.iter().chain(&files.chain) {
        let is_in_place = path.all().any(|one| one == held) || files.roots.contains(held);
        if !is_in_place && !found.contains(held) && is_cross(held, path) && held.is_valid_at(now) {
            found.push(held.clone());
        }
    }
    found
}

fn is_cross(held: &Certificate, path: &Path) -> bool {
    let facts = held.facts();
    let may_sign = facts.key_usage.is_none_or(|usage| usage.key_cert_sign);
    let is_certified_here = |one: &Certificate| {
        let one = one.facts();
        one.subject_der == facts.subject_der && one.spki_der == facts.spki_der
    };
    held.is_ca() && may_sign && !held.is_self_issued() && path.all().any(is_certified_here)
}

/// What there is to know of `cross`.
pub(super) fn remarks(cross: &[Certificate], files: &Files) -> Vec<Finding> {
    let remark = |one: &Certificate| {
        Finding::new(
            Severity::Info,
            files.file_of(one),
            "cross-certificate",
            format!(
                "{} is certified by {} as well",
                one.facts().subject,
                one.facts().issuer
            ),
            "nothing to do: it is sent after the chain, before the root",
        )
    };
    cross.iter().map(remark).collect()
}
