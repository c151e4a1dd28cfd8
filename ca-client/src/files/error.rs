//! Why could files not be written or read?

use std::io;
use std::path::Path;
use std::path::PathBuf;

use proto::certificate::CertificateError;

use crate::svid::SvidError;

/// Why the output directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// Another process holds the directory.
    #[error("{} is in use by another ca-client; wait for it to end, or give each its own directory", dir.display())]
    Busy {
        /// The directory.
        dir: PathBuf,
    },
    /// A file has no certificates in it.
    #[error("{} does not hold certificates; remove it if it is not needed", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CertificateError,
    },
    /// A directory has one of our names.
    #[error("{} is a directory, expected a link of ca-client; move it away", path.display())]
    Directory {
        /// Where.
        path: PathBuf,
    },
    /// Somebody took our files away.
    #[error("{} was removed or replaced by somebody else while ca-client ran; it is written again as soon as possible", missing.display())]
    Gone {
        /// What is not there any more.
        missing: PathBuf,
    },
    /// The system refuses something.
    #[error("cannot {action} {}; check permissions and free space", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// No name for a new generation could be made.
    #[error("the system gives no randomness")]
    NoRandomness,
    /// Something that ca-client did not make has one of its names.
    #[error(
        "{} exists and was not made by ca-client ({found}); move it away, choose another directory, or give --replace",
        path.display()
    )]
    Stranger {
        /// Where.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// The files of a generation do not fit together.
    #[error("the certificate and key in {} cannot be used; remove them to start anew", dir.display())]
    Stored {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with them.
        source: Box<SvidError>,
    },
    /// The combined file would take the place of one of the files in the output directory.
    #[error("{} is what ca-client itself makes in the output directory; give the combined file another name", path.display())]
    Taken {
        /// Where.
        path: PathBuf,
    },
    /// Permissions or an owner for a file that is not written.
    #[error("'{name}' is no file that is written; expected one of {}", known.join(", "))]
    Unknown {
        /// What was named.
        name: String,
        /// What could have been.
        known: Vec<&'static str>,
    },
}

impl FilesError {
    /// Whether other settings, not another try, would help.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    /// Whether nobody can write there now: it is a matter of the file system.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem)
    }

    /// For `map_err`: the system's answer to `action` at `path`.
    pub(super) fn at(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
