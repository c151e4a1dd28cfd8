//! How does one file hold everything? Key first, then the chain, replaced by renaming: atomic for
//! whoever reads it, for programs that take a single PEM file.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::Access;
use super::FilesError;
use super::OutputDir;
use super::Owner;
use super::kept::remove_if_there;
use crate::svid::Svid;

/// A single file with private key and chain.
#[derive(Clone, Debug)]
pub struct Combined {
    path: PathBuf,
    access: Access,
}

impl Combined {
    /// The file at `path` with permission bits `mode`, which should shut out everybody else.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, mode: u32, owner: Owner) -> Self {
        Self {
            path: path.into(),
            access: Access { mode, owner },
        }
    }

    /// Refuses to take the place of what belongs to `output`: each would undo the other's work.
    ///
    /// # Errors
    /// When it would.
    pub(crate) fn refuse_names_of(&self, output: &OutputDir) -> Result<(), FilesError> {
        let same_dir = match (
            fs::canonicalize(self.parent()),
            fs::canonicalize(output.path()),
        ) {
            (Ok(ours), Ok(theirs)) => ours == theirs,
            _ => false,
        };
        let name = self.path.file_name().and_then(|name| name.to_str());
        let taken = name.is_none_or(|name| {
            name.starts_with("..") || output.options().wanted().any(|wanted| wanted == name)
        });
        match same_dir && taken {
            true => Err(FilesError::Taken {
                path: self.path.clone(),
            }),
            false => Ok(()),
        }
    }

    /// Makes sure that the file can be written, and removes what a crashed run left beside it.
    ///
    /// # Errors
    /// When its directory does not let us; an existing file is as it was.
    pub fn probe(&self) -> Result<(), FilesError> {
        if self.path.is_dir() {
            return Err(FilesError::Directory {
                path: self.path.clone(),
            });
        }
        drop(self.temporary_file()?);
        let temporary = self.temporary();
        fs::remove_file(&temporary).map_err(FilesError::at(&temporary, "remove"))
    }

    /// Replaces the file by key and chain of `svid`, on disk when this returns.
    ///
    /// # Errors
    /// When something could not be written; the file is the previous one, or the new one if only
    /// making that durable failed.
    pub fn write(&self, svid: &Svid) -> Result<(), FilesError> {
        let content = content(svid);
        let temporary = self.temporary();
        let written = self.temporary_file().and_then(|mut file| {
            file.write_all(content.as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(FilesError::at(&temporary, "write"))
        });
        let renamed = written.and_then(|()| {
            fs::rename(&temporary, &self.path).map_err(FilesError::at(&self.path, "replace"))
        });
        if renamed.is_err() {
            // What cannot be removed now is removed by the next write.
            drop(fs::remove_file(&temporary));
        }
        renamed?;
        let parent = self.parent();
        File::open(parent)
            .and_then(|handle| handle.sync_all())
            .map_err(FilesError::at(parent, "sync"))
    }

    /// Whether the file holds `svid`.
    #[must_use]
    pub fn holds(&self, svid: &Svid) -> bool {
        fs::read(&self.path)
            .map(Zeroizing::new)
            .is_ok_and(|seen| *seen == content(svid).as_bytes())
    }

    pub(crate) fn is_as_asked(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|file| self.access.is_of(&file))
    }

    pub(crate) fn gone(&self) -> FilesError {
        FilesError::Gone {
            missing: self.path.clone(),
        }
    }

    fn temporary_file(&self) -> Result<File, FilesError> {
        let path = self.temporary();
        let failed = |source| FilesError::at(&path, "write")(source);
        remove_if_there(&path)?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match self.access.apply(&file) {
            Ok(()) => Ok(file),
            Err(source) => {
                // What cannot be removed now is removed by the next write.
                drop(fs::remove_file(&path));
                Err(FilesError::at(&path, "set owner and permissions of")(
                    source,
                ))
            }
        }
    }

    fn temporary(&self) -> PathBuf {
        let mut name = std::ffi::OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(".ca-client-new");
        self.parent().join(name)
    }

    fn parent(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }
}

fn content(svid: &Svid) -> Zeroizing<String> {
    Zeroizing::new(format!("{}{}", *svid.private_key_pem(), svid.chain_pem()))
}
