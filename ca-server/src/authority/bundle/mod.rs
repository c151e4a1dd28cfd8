//! Would this operator's bundle work, and what is in it?
//!
//! One code path for starting, reloading and checking: [`load`] and [`check`] see the same findings.

use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use super::Generation;
use super::Material;
use super::Source;
use super::compatibility;
use super::trial;
use super::trial::TrialError;
use crate::x509::SystemEntropy;

mod certificates;
mod content;
mod cross;
mod extensions;
mod files;
mod key_match;
mod layout;
mod path;
mod published_keys;
mod report;
mod revocation;
mod revocation_lists;
mod rules;
mod surplus;

pub use content::copy;
pub use content::hash;
pub use layout::Layout;
pub use layout::Presence;
pub use layout::detect;
pub use report::Finding;
pub use report::Grade;
pub use report::Report;
pub use report::Severity;
pub use report::Summary;

use files::Files;
use path::Path as CertificatePath;

/// A bundle that can sign, although perhaps not any more.
#[derive(Debug)]
pub struct Loaded {
    /// The signer.
    pub generation: Generation,
    /// Everything that was found out.
    pub report: Report,
    /// The last second of the chain, when that is over: nothing can be issued then.
    pub expired: Option<SystemTime>,
}

/// Reads the bundle in `dir` and makes a signer of it. An expired chain and an old
/// revocation list are the errors that are let through: both come with time.
///
/// # Errors
/// When any other rule is broken; the report names all of them.
pub fn load(dir: &Path, now: SystemTime) -> Result<Loaded, BundleError> {
    let (report, generation) = examine(dir, now);
    match generation {
        Some(generation) => {
            let window = generation.window().filter(|window| window.is_over_at(now));
            Ok(Loaded {
                expired: window.map(|window| window.not_after()),
                generation,
                report,
            })
        }
        None => Err(BundleError::Refused {
            report: Box::new(report),
        }),
    }
}

/// Says everything there is to say about the bundle in `dir`.
#[must_use]
pub fn check(dir: &Path, now: SystemTime) -> Report {
    examine(dir, now).0
}

/// Why a bundle does not make a signer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// At least one rule is broken.
    #[error("the CA bundle in {} does not work: {}", report.dir.display(), errors_of(report))]
    Refused {
        /// All findings.
        report: Box<Report>,
    },
    /// It cannot be told whether there is a bundle.
    #[error("cannot look for a CA bundle in {}", dir.display())]
    Unreadable {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

fn errors_of(report: &Report) -> String {
    let errors: Vec<String> = report
        .errors()
        .map(|finding| match finding.file.is_empty() {
            true => format!("{} ({})", finding.seen, finding.fix),
            false => format!("{}: {} ({})", finding.file, finding.seen, finding.fix),
        })
        .collect();
    errors.join("; ")
}

fn examine(dir: &Path, now: SystemTime) -> (Report, Option<Generation>) {
    let mut report = Report {
        dir: dir.to_owned(),
        layout: None,
        findings: Vec::new(),
        issuer: None,
        chain: Vec::new(),
        root: None,
        other_roots: Vec::new(),
    };
    let snapshot = snapshot(dir);
    let generation = layout::find(&snapshot, &mut report)
        .and_then(|layout| examine_files(&snapshot, layout, now, &mut report))
        .map(|generation| {
            generation.with_source(Source::PluggedIn {
                dir: dir.to_owned(),
            })
        });
    report.sort();
    (report, generation)
}

/// Kubernetes keeps a volume's files behind the link `..data` and renames that on a change: one look at the
/// link, and all files are of the same moment.
fn snapshot(dir: &Path) -> PathBuf {
    dir.join("..data")
        .canonicalize()
        .ok()
        .filter(|data| matches!(detect(data), Ok(Presence::Complete(_))))
        .unwrap_or_else(|| dir.to_owned())
}

fn examine_files(
    dir: &Path,
    layout: Layout,
    now: SystemTime,
    report: &mut Report,
) -> Option<Generation> {
    let files = files::read(dir, layout, &mut report.findings);
    let signer = key_match::signer(&files, &mut report.findings)?;
    let path = CertificatePath::from(&signer.issuer, &files, now);
    describe(&path, &files, report);
    report.findings.extend(path.broken_link());
    report.findings.extend(rules::judge(&path, &files, now));
    let cross = cross::certificates(&path, &files, now);
    report.findings.extend(cross::remarks(&cross, &files));
    report
        .findings
        .extend(surplus::judge(&path, &files, &cross, now));
    report
        .findings
        .extend(revocation::judge(&path, &files, now));
    let root = path.root.clone()?;
    let material = Material {
        key: signer.key?,
        source: Source::PluggedIn {
            dir: dir.to_owned(),
        },
        issuer: path.issuer.clone(),
        intermediates: path.intermediates.clone(),
        cross,
        crls: files.crls.clone(),
        other_roots: files
            .roots
            .iter()
            .filter(|root| path::is_self_signed(root))
            .cloned()
            .collect(),
        root,
    };
    let only_expired = report
        .errors()
        .all(|finding| [rules::EXPIRED, rules::CRL_CURRENT].contains(&finding.rule));
    match only_expired {
        true => tried(Generation::new(material), &path, now, report),
        false => None,
    }
}

fn describe(path: &CertificatePath, files: &Files, report: &mut Report) {
    let others = files.roots.iter();
    let others = others.filter(|root| Some(*root) != path.root.as_ref());
    let others = others.filter(|root| path::is_self_signed(root));
    report.issuer = Some(Summary::of(&path.issuer));
    report.root = path.root.as_ref().map(Summary::of);
    report.chain = path.below_root().map(Summary::of).collect();
    report.other_roots = others.map(Summary::of).collect();
}

/// Signs a leaf on trial. What only verifiers built on rustls refuse stays a warning.
fn tried(
    generation: Generation,
    path: &CertificatePath,
    now: SystemTime,
    report: &mut Report,
) -> Option<Generation> {
    let error = match trial::sign_and_verify(&generation, now, &SystemEntropy) {
        Ok(()) => return together(generation, now, report),
        Err(error) => error,
    };
    let seen = format!("a leaf signed on trial is refused: {error}");
    match error {
        TrialError::Refused(reason) if rules::only_rustls_refuses(path) => {
            report.findings.push(Finding::warning(
                "",
                rules::TRIAL_LEAF,
                seen,
                "OpenSSL-based peers may accept this chain, rustls-based ones (ztunnel, ca-client) will not",
            ));
            Some(generation.refused_by_rustls(reason.to_string()))
        }
        _ => {
            let fix =
                "no peer could use what this bundle signs: have the CA certificates issued anew";
            report
                .findings
                .push(Finding::error("", rules::TRIAL_LEAF, seen, fix));
            None
        }
    }
}

/// All roots of the bundle go out together.
fn together(generation: Generation, now: SystemTime, report: &mut Report) -> Option<Generation> {
    let roots = generation.own_roots();
    let checked = compatibility::check(&[&generation], roots, now, &SystemEntropy);
    let Err(incompatible) = checked else {
        return Some(generation);
    };
    report.findings.push(Finding::error(
        "",
        "roots-live-together",
        incompatible.to_string(),
        "remove the root that is not needed",
    ));
    None
}

/// The optional revocation list of Istio's layout.
const CRL: &str = "ca-crl.pem";

#[cfg(test)]
mod tests;
