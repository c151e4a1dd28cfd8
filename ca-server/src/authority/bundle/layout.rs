//! Is there a bundle in this directory, and under which names?
//!
//! Looks at names only; what is in the files is judged elsewhere.

use std::convert::Infallible;
use std::io;
use std::path::Path;

use serde::Serialize;

use super::BundleError;
use super::Finding;
use super::Report;
use super::content::Content;

/// Under which names a bundle's files are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Istio's: `ca-cert.pem`, `ca-key.pem`, `cert-chain.pem`, `root-cert.pem`.
    Istio,
    /// That of a Kubernetes TLS secret: `tls.crt`, `tls.key`, `ca.crt`.
    KubernetesTls,
}

impl Layout {
    /// The file with the certificate that signs.
    #[must_use]
    pub fn issuer_file(self) -> &'static str {
        match self {
            Self::Istio => "ca-cert.pem",
            Self::KubernetesTls => "tls.crt",
        }
    }

    /// The file with the private key.
    #[must_use]
    pub fn key_file(self) -> &'static str {
        match self {
            Self::Istio => "ca-key.pem",
            Self::KubernetesTls => "tls.key",
        }
    }

    /// The file with the chain; the same as [`Self::issuer_file`] where there is no other.
    #[must_use]
    pub fn chain_file(self) -> &'static str {
        match self {
            Self::Istio => "cert-chain.pem",
            Self::KubernetesTls => "tls.crt",
        }
    }

    /// The file with the roots.
    #[must_use]
    pub fn roots_file(self) -> &'static str {
        match self {
            Self::Istio => "root-cert.pem",
            Self::KubernetesTls => "ca.crt",
        }
    }

    fn files(self) -> Vec<&'static str> {
        let mut files = vec![
            self.issuer_file(),
            self.key_file(),
            self.chain_file(),
            self.roots_file(),
        ];
        files.sort_unstable();
        files.dedup();
        files
    }
}

/// How much of a bundle is in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// None of the files, or not even the directory.
    Absent,
    /// All files under these names.
    Complete(Layout),
    /// Some files, but not all.
    Incomplete {
        /// The names that were begun with.
        layout: Layout,
        /// The files that are not there.
        missing: Vec<&'static str>,
    },
}

/// Looks which files of a bundle are in `dir`. As in Istio, `tls.crt` wins where both kinds of names are there.
///
/// # Errors
/// When the directory cannot be searched.
pub fn detect(dir: &Path) -> Result<Presence, BundleError> {
    presence(|layout| present(dir, layout)).map_err(|source| BundleError::Unreadable {
        dir: dir.to_owned(),
        source,
    })
}

/// The layout of a complete bundle; what else there is to say goes to `report`.
pub(super) fn find(content: &Content, report: &mut Report) -> Option<Layout> {
    let Ok(presence) = presence(|layout| Ok::<_, Infallible>(held(content, layout)));
    let layout = match presence {
        Presence::Complete(layout) => layout,
        Presence::Incomplete { layout, missing } => {
            report.layout = Some(layout);
            report
                .findings
                .extend(missing.into_iter().map(|file| is_missing(layout, file)));
            return None;
        }
        Presence::Absent => {
            report.findings.push(Finding::error("", "present", "there is no CA bundle in this directory", "put ca-cert.pem, ca-key.pem, cert-chain.pem and root-cert.pem there, or tls.crt, tls.key and ca.crt"));
            return None;
        }
    };
    report.layout = Some(layout);
    report.findings.extend(remarks(content, layout));
    Some(layout)
}

fn presence<E>(found_of: impl Fn(Layout) -> Result<Vec<&'static str>, E>) -> Result<Presence, E> {
    let layout = match found_of(Layout::KubernetesTls)? {
        files if files.contains(&Layout::KubernetesTls.issuer_file()) => Layout::KubernetesTls,
        files if !files.is_empty() && found_of(Layout::Istio)?.is_empty() => Layout::KubernetesTls,
        _ => Layout::Istio,
    };
    let found = found_of(layout)?;
    let mut missing = layout.files();
    missing.retain(|file| !found.contains(file));
    Ok(match (found.is_empty(), missing.is_empty()) {
        (true, _) => Presence::Absent,
        (false, true) => Presence::Complete(layout),
        (false, false) => Presence::Incomplete { layout, missing },
    })
}

fn held(content: &Content, layout: Layout) -> Vec<&'static str> {
    let mut files = layout.files();
    files.retain(|file| content.get(file).is_some());
    files
}

fn present(dir: &Path, layout: Layout) -> io::Result<Vec<&'static str>> {
    let mut found = Vec::new();
    for file in layout.files() {
        match dir.join(file).try_exists() {
            Ok(true) => found.push(file),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn is_missing(layout: Layout, file: &'static str) -> Finding {
    let content = match file {
        "ca-cert.pem" => "the certificate that signs",
        "ca-key.pem" | "tls.key" => "the private key of the certificate that signs",
        "cert-chain.pem" => {
            "the certificate that signs and its issuers (a copy of ca-cert.pem where the root issued it)"
        }
        "tls.crt" => "the certificate that signs and its issuers",
        _ => "the root certificate",
    };
    Finding::error(
        file,
        "complete",
        format!(
            "this file is missing, expected {}",
            layout.files().join(", ")
        ),
        format!("put {content} there, or remove the other files"),
    )
}

fn remarks(content: &Content, layout: Layout) -> Vec<Finding> {
    let mut remarks = Vec::new();
    let istio = held(content, Layout::Istio);
    if layout == Layout::KubernetesTls && !istio.is_empty() {
        remarks.push(Finding::warning(
            "tls.crt",
            "one-naming-scheme",
            format!(
                "{} is there too and is not read: tls.crt wins, as in Istio",
                istio.join(", ")
            ),
            "keep one set of names",
        ));
    }
    remarks
}
