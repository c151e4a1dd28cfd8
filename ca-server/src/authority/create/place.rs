//! How does a directory come to be with all of its files, or not at all?
//!
//! Written beside its place and renamed there; whatever goes wrong before, nothing stays.

use std::ffi::OsString;
use std::fs;
use std::fs::Permissions;
use std::io;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use tempfile::TempDir;

use super::CreateError;
use super::error::writing;
use crate::authority::replace_file::replace_file;
use crate::authority::replace_file::sync_dir;

/// A directory that is not in its place yet. Dropped, it is gone, and so are the folders that were made for it.
#[derive(Debug)]
pub(super) struct Place {
    staged: TempDir,
    target: PathBuf,
    // Dropped after what is in them.
    parents: MadeParents,
}

impl Place {
    /// Begins what is to become `out`, which is not there, or empty.
    pub(super) fn begin(out: &Path) -> Result<Self, CreateError> {
        let (target, mode) = target(out)?;
        let (parent, name) = split(&target)?;
        let parents = MadeParents::make(&parent)?;
        let mut prefix = OsString::from(".");
        prefix.push(name);
        prefix.push(".new-");
        let staged = tempfile::Builder::new()
            .prefix(&prefix)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&parent)
            .map_err(writing(&parent))?;
        fs::set_permissions(staged.path(), Permissions::from_mode(mode))
            .map_err(writing(staged.path()))?;
        Ok(Self {
            staged,
            target,
            parents,
        })
    }

    /// Where it is for now.
    pub(super) fn path(&self) -> &Path {
        self.staged.path()
    }

    /// Writes a file of it, or writes it anew.
    pub(super) fn write(
        &self,
        name: &str,
        content: impl AsRef<[u8]>,
        mode: u32,
    ) -> Result<(), CreateError> {
        let path = self.path().join(name);
        // The name that is not there yet is of no use to the reader.
        replace_file(&path, content.as_ref(), mode).map_err(writing(&self.target.join(name)))
    }

    /// Puts it in its place, durably. Whoever filled the place meanwhile keeps it.
    pub(super) fn put(self) -> Result<(), CreateError> {
        // Dropped in reverse order: first what was staged, then the folders around it.
        let Self {
            parents,
            target,
            staged,
        } = self;
        sync_dir(staged.path()).map_err(writing(&target))?;
        let occupied = |found: &str| CreateError::Occupied {
            path: target.clone(),
            found: found.to_owned(),
        };
        fs::rename(staged.path(), &target).map_err(|source| match source.kind() {
            ErrorKind::DirectoryNotEmpty | ErrorKind::NotADirectory => {
                occupied("what came there meanwhile")
            }
            ErrorKind::ResourceBusy => occupied("a mount point"),
            _ => writing(&target)(source),
        })?;
        // It has its name: from here on nothing of it is to be removed.
        let _renamed_away = staged.keep();
        let (parent, _) = split(&target)?;
        parents.keep_and_sync();
        sync_dir(&parent).map_err(writing(&parent))
    }
}

/// Where `out` leads, and the mode that the directory gets: that of an empty one which is there.
fn target(out: &Path) -> Result<(PathBuf, u32), CreateError> {
    let occupied = |found: String| CreateError::Occupied {
        path: out.to_owned(),
        found,
    };
    let metadata = match fs::symlink_metadata(out) {
        Ok(_) => fs::metadata(out).map_err(writing(out))?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok((out.to_owned(), 0o700));
        }
        Err(error) => return Err(writing(out)(error)),
    };
    if !metadata.is_dir() {
        return Err(occupied("something that is not a directory".to_owned()));
    }
    let mut names = fs::read_dir(out).map_err(writing(out))?;
    if let Some(name) = names.next() {
        let name = name.map_err(writing(out))?.file_name();
        return Err(occupied(name.to_string_lossy().into_owned()));
    }
    let target = fs::canonicalize(out).map_err(writing(out))?;
    Ok((target, metadata.permissions().mode() & 0o7777))
}

fn split(target: &Path) -> Result<(PathBuf, OsString), CreateError> {
    let Some(name) = target.file_name() else {
        let source = io::Error::new(ErrorKind::InvalidInput, "not a directory's name");
        return Err(writing(target)(source));
    };
    let parent = target.parent().filter(|path| !path.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    Ok((parent.to_owned(), name.to_owned()))
}

/// The folders above a place that had to be made, the deepest first.
#[derive(Debug)]
struct MadeParents(Vec<PathBuf>);

impl MadeParents {
    fn make(parent: &Path) -> Result<Self, CreateError> {
        let missing = parent
            .ancestors()
            .filter(|path| !path.as_os_str().is_empty())
            .take_while(|path| fs::symlink_metadata(path).is_err());
        let made = Self(missing.map(Path::to_owned).collect());
        fs::create_dir_all(parent).map_err(writing(parent))?;
        Ok(made)
    }

    fn keep_and_sync(mut self) {
        for made in std::mem::take(&mut self.0) {
            let above = made.parent().filter(|path| !path.as_os_str().is_empty());
            // The files are whole and in place; a power failure now may still take the folder with them.
            let _best_effort = sync_dir(above.unwrap_or_else(|| Path::new(".")));
        }
    }
}

impl Drop for MadeParents {
    fn drop(&mut self) {
        for made in &self.0 {
            // Only empty ones go: somebody else may have begun to use them.
            let _in_use = fs::remove_dir(made);
        }
    }
}
