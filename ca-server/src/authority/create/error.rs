//! Why was nothing made?

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use crate::authority::bundle::Report;
use crate::authority::ca_certificate::MakeError;
use crate::authority::key::KeyError;
use crate::x509::CsrError;

/// Why nothing was made. Whatever it is, no file was left or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// A certificate in a file does not parse.
    #[error("{} has a certificate that cannot be read: block {block}: {reason}{}", path.display(), fix.map(|fix| format!("; {fix}")).unwrap_or_default())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Which block, counting from 1.
        block: usize,
        /// What is wrong with it.
        reason: String,
        /// What may help.
        fix: Option<&'static str>,
    },
    /// The request that was made does not read as one.
    #[error("the request that was made is not good")]
    Csr(#[from] CsrError),
    /// A private key cannot be used.
    #[error("the private key in {} cannot be used: {source}{}", path.display(), fix_of(source, path))]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// A CA would live too short or too long.
    #[error(
        "a CA lives at least an hour and at most 36525 days, asked was {}",
        humantime::format_duration(*asked)
    )]
    Lifetime {
        /// What was asked for.
        asked: Duration,
    },
    /// The certificates could not be made.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// A name cannot be part of a subject.
    #[error(
        "{what} {value:?} cannot be in a certificate: expected 1 to {max} printable characters, seen {seen}"
    )]
    Name {
        /// Which part of the subject.
        what: &'static str,
        /// The text.
        value: String,
        /// How many characters it may have.
        max: usize,
        /// How many it has, or what they are.
        seen: String,
    },
    /// There is no certificate in a file.
    #[error("{} has no certificate: expected PEM with CERTIFICATE blocks, or DER, found {found}; {fix}", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What to do.
        fix: &'static str,
    },
    /// Something is where a new directory was to be.
    #[error("{} is taken: found {found}; nothing is overwritten, give a directory that is empty or not there", path.display())]
    Occupied {
        /// The place.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// None of the certificates is that of the key.
    #[error(
        "{} is not the answer to the request of {}: expected a certificate for that key, found {found}; have the CA sign the request beside the key (compare openssl x509 -in {} -noout -pubkey with openssl pkey -in {} -pubout)",
        path.display(), key.display(), path.display(), key.display()
    )]
    OtherKey {
        /// The file with certificates.
        path: PathBuf,
        /// The file with the key.
        key: PathBuf,
        /// The subjects that are there.
        found: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bundle would not work.
    #[error("what was made would not work, and was not put into {}: {}", dir.display(), errors_of(report))]
    Refused {
        /// Where it was to be.
        dir: PathBuf,
        /// All findings.
        report: Box<Report>,
    },
    /// The root ends before what is under it would.
    #[error(
        "the root in {} ends at {}: an issuing CA under it cannot live until {}; give a shorter --ttl, or make a new root",
        path.display(), humantime::format_rfc3339_seconds(*root_ends), humantime::format_rfc3339_seconds(*wanted)
    )]
    RootEnds {
        /// The file.
        path: PathBuf,
        /// The root's last second.
        root_ends: SystemTime,
        /// The last second that was wanted.
        wanted: SystemTime,
    },
    /// The system refused.
    #[error("cannot write {}: {source}; nothing was made", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

pub(super) fn reading(path: &Path) -> impl FnOnce(io::Error) -> CreateError {
    let path = path.to_owned();
    |source| CreateError::Read { path, source }
}

pub(super) fn writing(path: &Path) -> impl FnOnce(io::Error) -> CreateError {
    let path = path.to_owned();
    |source| CreateError::Write { path, source }
}

pub(super) fn using_key(path: &Path) -> impl FnOnce(KeyError) -> CreateError {
    let path = path.to_owned();
    |source| CreateError::Key { path, source }
}

fn fix_of(error: &KeyError, path: &Path) -> String {
    let file = path.display();
    match error {
        KeyError::Encrypted => {
            format!("; decrypt it with: openssl pkey -in {file} -out {file}.plain")
        }
        KeyError::Mismatch => {
            "; put the key there that the certificate beside it was made for".to_owned()
        }
        _ => String::new(),
    }
}

fn errors_of(report: &Report) -> String {
    let errors = report.errors().map(|finding| match finding.file.as_str() {
        "" => format!("{} ({})", finding.seen, finding.rule),
        file => format!("{file}: {} ({})", finding.seen, finding.rule),
    });
    errors.collect::<Vec<_>>().join("; ")
}
