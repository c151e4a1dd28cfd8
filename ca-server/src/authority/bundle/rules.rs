//! Which rules does each certificate of the chain keep? (RFC 5280 section 6.1, and what real verifiers ask for)
//!
//! All rules are judged, not only up to the first that is broken. Those of extensions are next door.

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Certificate;

use super::Finding;
use super::extensions;
use super::files::Files;
use super::path::Path;
use super::published_keys;
use super::report::date;
use crate::authority::algorithm;
use crate::authority::algorithm::Signature;

/// The rule that a loaded bundle may break: the server runs on and says that it cannot issue.
pub(super) const EXPIRED: &str = "expired";
/// The rule that a loaded bundle may break, too: what was current when it came may be old at the next start.
pub(super) const CRL_CURRENT: &str = "crl-current";
/// The rule that a leaf signed on trial breaks.
pub(super) const TRIAL_LEAF: &str = "trial-leaf";

/// Judges every certificate of `path`.
pub(super) fn judge(path: &Path, files: &Files, now: SystemTime) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut below = 0;
    for certificate in path.all() {
        let subject = Subject {
            certificate,
            file: files.file_of(certificate),
            is_root: Some(certificate) == path.root.as_ref(),
            cas_below: below,
        };
        findings.extend(subject.judge(now));
        // RFC 5280 section 4.2.1.9: self-issued certificates do not count.
        below += u32::from(!certificate.is_self_issued());
    }
    findings.extend(no_common_time(path));
    findings
}

/// Whether something is in `path` that OpenSSL takes and webpki does not.
pub(super) fn only_rustls_refuses(path: &Path) -> bool {
    path.all().any(|certificate| {
        certificate.facts().has_name_constraints
            || extensions::critical_policy(certificate).is_some()
    })
}

/// One certificate of the chain in its place.
pub(super) struct Subject<'a> {
    pub(super) certificate: &'a Certificate,
    pub(super) is_root: bool,
    /// How many CAs that count for a path length are below it, leaves apart.
    pub(super) cas_below: u32,
    file: &'static str,
}

impl Subject<'_> {
    fn judge(&self, now: SystemTime) -> Vec<Finding> {
        let rules = [
            self.has_subject(),
            self.validity(now),
            self.key_strength(),
            self.own_signature(),
            self.published_key(),
        ];
        let rules = rules.into_iter().flatten();
        rules.chain(self.judge_extensions()).collect()
    }

    pub(super) fn error(&self, rule: &'static str, seen: &str, fix: &str) -> Finding {
        Finding::error(self.file, rule, format!("{} {seen}", self.name()), fix)
    }

    pub(super) fn warning(&self, rule: &'static str, seen: &str, fix: &str) -> Finding {
        Finding::warning(self.file, rule, format!("{} {seen}", self.name()), fix)
    }

    fn name(&self) -> String {
        match self.certificate.facts().subject.as_str() {
            "" => format!("the certificate {}", self.certificate.fingerprint()),
            subject => subject.to_owned(),
        }
    }

    /// RFC 5280 section 4.1.2.6.
    fn has_subject(&self) -> Option<Finding> {
        // The DER of a Name without attributes.
        (self.certificate.facts().subject_der == [0x30, 0x00]).then(|| {
            self.error(
                "has-subject",
                "has an empty subject",
                "a CA needs a name that its leaves can carry as their issuer",
            )
        })
    }

    fn validity(&self, now: SystemTime) -> Option<Finding> {
        let facts = self.certificate.facts();
        let soon = now + EXPIRES_SOON;
        if now < facts.not_before {
            let seen = format!("is not valid before {}", date(facts.not_before));
            Some(self.error("not-yet-valid", &seen, "wait, or set the clock right"))
        } else if !self.certificate.is_valid_at(now) {
            let seen = format!("expired at {}", date(facts.not_after));
            Some(self.error(EXPIRED, &seen, "renew it; nothing can be issued until then"))
        } else if !self.certificate.is_valid_at(soon) {
            let seen = format!("expires at {}, in less than 30 days", date(facts.not_after));
            Some(self.warning(
                "expires-soon",
                &seen,
                "renew it now: no leaf can outlive it",
            ))
        } else {
            None
        }
    }

    fn key_strength(&self) -> Option<Finding> {
        let spki = &self.certificate.facts().spki_der;
        algorithm::is_weak_key(spki).then(|| {
            self.error(
                "weak-key",
                &format!("has a key that is too weak: {}", algorithm::key_name(spki)),
                "have it issued for RSA of at least 2048 bits, P-256 or P-384",
            )
        })
    }

    /// A root's signature proves nothing, so that a weak one harms nobody.
    fn own_signature(&self) -> Option<Finding> {
        let weak = algorithm::weak_name(&self.certificate.facts().signature_algorithm);
        match (self.is_root, weak) {
            (true, None) => self.root_signature(),
            (true, Some(name)) => Some(self.warning(
                "root-signature-algorithm",
                &format!("signs itself with {name}"),
                "some peers refuse such a root: make a new one in time",
            )),
            (false, Some(name)) => Some(self.error(
                "signature-algorithm",
                &format!("is signed with {name}"),
                "have it issued with SHA-256 or SHA-384: no peer accepts this",
            )),
            (false, None) => None,
        }
    }

    fn root_signature(&self) -> Option<Finding> {
        let root = self.certificate;
        if !root.is_self_issued() {
            return Some(self.error(
                "root-self-signed",
                "stands for the root but was issued by another CA",
                "put the self-signed root there: openssl and others stop only at such a one",
            ));
        }
        (algorithm::check_signature(root, root) == Signature::Bad).then(|| {
            self.error(
                "signature",
                "names itself as issuer, but its signature is not its own",
                "copy it from its source again",
            )
        })
    }

    fn published_key(&self) -> Option<Finding> {
        let sample = published_keys::sample_with_key_of(self.certificate)?;
        Some(self.warning(
            "published-key",
            &format!("has the key of {sample}: everybody can sign with it"),
            "use it for trying things out only",
        ))
    }
}

fn no_common_time(path: &Path) -> Option<Finding> {
    let first = path
        .all()
        .map(|certificate| certificate.facts().not_before)
        .max()?;
    let last = path
        .all()
        .map(|certificate| certificate.facts().not_after)
        .min()?;
    (last < first).then(|| {
        Finding::error(
            "",
            "common-validity",
            format!(
                "one certificate of the chain ends at {} before another begins at {}",
                date(last),
                date(first)
            ),
            "renew the one that has ended: there is no time at which the chain is valid",
        )
    })
}

const EXPIRES_SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);
