//! Why does a ledger not open, and what can its operator do? Words for people, and the one remedy that is code.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use time::OffsetDateTime;
use time::macros::format_description;

use super::failure::Failure;
use super::keys;
use super::store::sync_parent;

/// Why the ledger does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerOpenError {
    /// The files are there and make no sense.
    #[error(
        "the ledger in {} is damaged: {reason}; the CA's keys are not in it: restore it from a backup with \
         `ca-server restore --ledger-only`, or set it aside and start with a new one with `ca-server serve --fresh-ledger`",
        dir.display()
    )]
    Damaged {
        /// Where it is.
        dir: PathBuf,
        /// What was seen.
        reason: String,
    },
    /// Another process has it open.
    #[error(
        "the ledger in {} is in use by another process: stop that one, or give this one a data directory of its own",
        dir.display()
    )]
    InUse {
        /// Where it is.
        dir: PathBuf,
    },
    /// The operating system refuses.
    #[error(
        "the ledger in {} cannot be opened: {source}; it has to be readable and writable, with room on its disk",
        dir.display()
    )]
    Io {
        /// Where it is.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A later version of this program wrote it.
    #[error(
        "the ledger in {} has layout {found}, and this program knows layouts up to {known}: \
         start the version that wrote it or a later one, or restore a backup from before with `ca-server restore`",
        dir.display()
    )]
    NewerLayout {
        /// Where it is.
        dir: PathBuf,
        /// The layout that it has.
        found: u32,
        /// The newest layout that this program knows.
        known: u32,
    },
}

impl LedgerOpenError {
    pub(super) fn from_failure(dir: &Path, failure: Failure) -> Self {
        let dir = dir.to_path_buf();
        match failure {
            Failure::Sled {
                source: sled::Error::Io(source),
            } if source.to_string().contains(LOCKED) => Self::InUse { dir },
            Failure::Sled {
                source: sled::Error::Io(source),
            }
            | Failure::Io { source }
                if !is_about_content(source.kind()) =>
            {
                Self::Io { dir, source }
            }
            Failure::Io { .. } | Failure::Panicked { .. } | Failure::Sled { .. } => Self::Damaged {
                dir,
                reason: failure.to_string(),
            },
        }
    }

    pub(super) fn layout(dir: &Path, found: u32) -> Self {
        let dir = dir.to_path_buf();
        if found > keys::LAYOUT {
            return Self::NewerLayout {
                dir,
                found,
                known: keys::LAYOUT,
            };
        }
        Self::Damaged {
            dir,
            reason: format!("layout {found} never existed"),
        }
    }

    pub(super) fn without_layout(dir: &Path) -> Self {
        Self::Damaged {
            dir: dir.to_path_buf(),
            reason: "there is no row that names its layout".to_owned(),
        }
    }

    pub(super) fn gone(dir: &Path) -> Self {
        Self::Damaged {
            dir: dir.to_path_buf(),
            reason: "its files are gone".to_owned(),
        }
    }
}

/// Renames the ledger's directory to `NAME.damaged-UTC` next to it, and answers where it is now. Never deletes.
///
/// # Errors
/// The directory is where it was, unless only the sync of its parent failed.
pub fn set_aside(dir: &Path, now: SystemTime) -> io::Result<PathBuf> {
    let stamp = OffsetDateTime::from(now)
        .format(format_description!(
            "[year][month][day]T[hour][minute][second]Z"
        ))
        .map_err(io::Error::other)?;
    let name = dir
        .file_name()
        .map(|name| name.to_string_lossy())
        .ok_or_else(|| io::Error::other(format!("{} has no name", dir.display())))?;
    // A second one within a second must not land in the first.
    let target = (0_u32..)
        .map(|attempt| match attempt {
            0 => dir.with_file_name(format!("{name}.damaged-{stamp}")),
            _ => dir.with_file_name(format!("{name}.damaged-{stamp}-{attempt}")),
        })
        .find(|target| !target.exists())
        .ok_or_else(|| io::Error::other("no name is free"))?;
    std::fs::rename(dir, &target)?;
    sync_parent(&target)?;
    Ok(target)
}

/// Whether an error of this kind tells of what is in the files rather than of the system.
fn is_about_content(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::Other
    )
}

/// sled says this, with an I/O error of kind `Other`, when the lock of its file is held.
const LOCKED: &str = "could not acquire lock";
