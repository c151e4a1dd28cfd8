//! What is in the bundle that the chain does not need, and what do others expect that is not there?

use std::collections::HashSet;
use std::time::SystemTime;

use proto::certificate::Certificate;

use super::Finding;
use super::Severity;
use super::files::Files;
use super::path;
use super::path::Path;
use super::report::date;

/// Judges what is beside `path` and its `cross`-certificates.
pub(super) fn judge(
    path: &Path,
    files: &Files,
    cross: &[Certificate],
    now: SystemTime,
) -> Vec<Finding> {
    let layout = files.layout;
    let mut findings = Vec::new();
    for (file, certificates) in [
        (layout.issuer_file(), &files.issuer),
        (layout.chain_file(), &files.chain),
        (layout.roots_file(), &files.roots),
    ] {
        findings.extend(repeated(file, certificates));
    }
    if path.root.is_some() {
        findings.extend(unneeded(path, files, cross));
        findings.extend(not_in_chain_file(path, files));
    }
    let others = files.roots.iter();
    let others = others.filter(|root| path.root.as_ref().is_some_and(|anchor| anchor != *root));
    findings.extend(others.map(|root| other_root(layout.roots_file(), root, now)));
    findings
}

fn repeated(file: &'static str, certificates: &[Certificate]) -> Option<Finding> {
    let mut seen = HashSet::new();
    let again = certificates
        .iter()
        .find(|certificate| !seen.insert(certificate.fingerprint()))?;
    Some(Finding::new(
        Severity::Info,
        file,
        "none-twice",
        format!("{} is there more than once", again.facts().subject),
        "nothing to do: it is sent once",
    ))
}

fn unneeded(path: &Path, files: &Files, cross: &[Certificate]) -> Vec<Finding> {
    let mut seen = HashSet::new();
    let held = files.issuer.iter().chain(&files.chain);
    held.filter(|certificate| !path.all().any(|needed| needed == *certificate))
        .filter(|certificate| !files.roots.contains(certificate) && !cross.contains(certificate))
        .filter(|certificate| seen.insert(certificate.fingerprint()))
        .map(|certificate| {
            Finding::warning(
                files.file_of(certificate),
                "needed-for-the-chain",
                format!(
                    "{} is not part of the chain to the root",
                    certificate.facts().subject
                ),
                "remove it; it is not sent",
            )
        })
        .collect()
}

/// Istio sends `cert-chain.pem` as it is, Signet the chain that it found.
fn not_in_chain_file(path: &Path, files: &Files) -> Option<Finding> {
    let separate = files.layout.chain_file() != files.layout.issuer_file();
    let missing = path
        .below_root()
        .find(|certificate| !files.chain.contains(certificate));
    let missing = missing.filter(|_| separate)?;
    Some(Finding::warning(
        files.layout.chain_file(),
        "chain-file-complete",
        format!("{} is not in it", missing.facts().subject),
        "add it: Signet sends the whole chain anyway, Istio's own CA would not",
    ))
}

fn other_root(file: &'static str, root: &Certificate, now: SystemTime) -> Finding {
    let subject = &root.facts().subject;
    if !root.is_ca() {
        return Finding::error(
            file,
            "is-ca",
            format!("{subject} is not a CA: its basicConstraints do not say CA:TRUE"),
            "remove it: only roots belong there",
        );
    }
    if !path::is_self_signed(root) {
        return Finding::warning(
            file,
            "only-roots-among-roots",
            format!("{subject} is not a root: {} issued it", root.facts().issuer),
            "remove it; it is not given out as a root",
        );
    }
    let (seen, fix) = match root.is_valid_at(now) {
        true => (
            "anchors nothing that is signed here, and is trusted nevertheless".to_owned(),
            "remove it, unless a root is being replaced or another CA's leaves are to be trusted",
        ),
        false => (
            format!(
                "anchors nothing, and is not valid now (until {})",
                date(root.facts().not_after)
            ),
            "remove it",
        ),
    };
    Finding::warning(file, "unused-root", format!("{subject} {seen}"), fix)
}
