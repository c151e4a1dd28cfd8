//! Would this operator's bundle work, and what is in it?
//!
//! One code path for starting, reloading and checking: [`load`] and [`check`] see the same findings.

use std::io;
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

pub use content::Content;
pub use content::places;
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
    judged(examine_dir(dir, now), now)
}

/// Says everything there is to say about the bundle in `dir`.
#[must_use]
pub fn check(dir: &Path, now: SystemTime) -> Report {
    examine_dir(dir, now).0
}

impl Content {
    /// Makes a signer of it, as [`load`] does.
    ///
    /// # Errors
    /// When any rule is broken, apart from an expired chain.
    pub fn load(&self, now: SystemTime) -> Result<Loaded, BundleError> {
        judged(examine(self, now), now)
    }
}

fn judged(
    (report, generation): (Report, Option<Generation>),
    now: SystemTime,
) -> Result<Loaded, BundleError> {
    let Some(generation) = generation else {
        return Err(BundleError::Refused {
            report: Box::new(report),
        });
    };
    let window = generation.window().filter(|window| window.is_over_at(now));
    Ok(Loaded {
        expired: window.map(|window| window.not_after()),
        generation,
        report,
    })
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
        source: io::Error,
    },
}

fn errors_of(report: &Report) -> String {
    let errors = report.errors().map(|finding| {
        let Finding {
            file,
            rule,
            seen,
            fix,
            ..
        } = finding;
        let place = match file.is_empty() {
            true => String::new(),
            false => format!("{file}: "),
        };
        format!("{place}{seen} [{rule}] ({fix})")
    });
    errors.collect::<Vec<_>>().join("; ")
}

fn examine_dir(dir: &Path, now: SystemTime) -> (Report, Option<Generation>) {
    match Content::read(dir) {
        Ok(content) => examine(&content, now),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                examine(&Content::none(dir), now)
            }
            _ => (unreadable(dir, &error), None),
        },
    }
}

fn unreadable(dir: &Path, error: &io::Error) -> Report {
    let (rule, fix) = match error.kind() {
        io::ErrorKind::ResourceBusy => (
            "stable",
            "put the files into a new directory and rename a link to it",
        ),
        _ => (
            "readable",
            "give the server's user read and search permission",
        ),
    };
    let seen = format!("the directory cannot be read: {error}");
    let mut report = Report::of(dir);
    report.findings.push(Finding::error("", rule, seen, fix));
    report
}

fn examine(content: &Content, now: SystemTime) -> (Report, Option<Generation>) {
    let mut report = Report::of(content.dir());
    let generation = layout::find(content, &mut report)
        .and_then(|layout| examine_files(content, layout, now, &mut report));
    report.sort();
    (report, generation)
}

fn examine_files(
    content: &Content,
    layout: Layout,
    now: SystemTime,
    report: &mut Report,
) -> Option<Generation> {
    let files = files::read(content, layout, &mut report.findings);
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
            dir: content.dir().to_owned(),
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
