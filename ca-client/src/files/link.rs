//! How does a name come to lead somewhere else? Symbolic links, replaced by renaming.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;

use super::FilesError;
use super::kept::remove_if_there;

/// Makes `dir/name` a link to `target` in one step: whoever looks sees the old or the new.
pub(super) fn point(dir: &Path, name: &str, target: &Path) -> Result<(), FilesError> {
    remove_temporary(dir)?;
    let temporary = dir.join(TEMPORARY);
    symlink(target, &temporary).map_err(FilesError::at(&temporary, "make the link"))?;
    let path = dir.join(name);
    fs::rename(&temporary, &path).map_err(|source| {
        // What cannot be removed now is removed by the next run.
        drop(fs::remove_file(&temporary));
        FilesError::at(&path, "replace the link")(source)
    })
}

/// Makes sure that `dir/name` is a link to `target`.
pub(super) fn ensure(dir: &Path, name: &str, wanted: &Path) -> Result<(), FilesError> {
    match leads(dir, name, wanted) {
        true => Ok(()),
        false => point(dir, name, wanted),
    }
}

/// Whether `dir/name` is a link to `target`.
pub(super) fn leads(dir: &Path, name: &str, target: &Path) -> bool {
    fs::read_link(dir.join(name)).is_ok_and(|seen| seen == target)
}

/// Removes `dir/name` if it is a link to `leads_to`, and nothing else.
pub(super) fn remove(dir: &Path, name: &str, leads_to: &Path) -> Result<(), FilesError> {
    let path = dir.join(name);
    match fs::read_link(&path) {
        Ok(seen) if seen == leads_to => {
            fs::remove_file(&path).map_err(FilesError::at(&path, "remove"))
        }
        _ => Ok(()),
    }
}

/// Where the link `dir/name` leads; `None` if there is no link of that name.
pub(super) fn target(dir: &Path, name: &str) -> Result<Option<PathBuf>, FilesError> {
    let path = dir.join(name);
    match fs::read_link(&path) {
        Ok(target) => Ok(Some(target)),
        // EINVAL: it is there, but no link.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {
            Ok(None)
        }
        Err(error) => Err(FilesError::at(&path, "read the link")(error)),
    }
}

/// Refuses `dir/name` if it is there but no link to a target that is `ours`.
pub(super) fn refuse_stranger(
    dir: &Path,
    name: &str,
    ours: impl FnOnce(&Path) -> bool,
) -> Result<(), FilesError> {
    let path = dir.join(name);
    let found = match target(dir, name)? {
        Some(target) if ours(&target) => return Ok(()),
        Some(target) => format!("a link to {}", target.display()),
        None if fs::symlink_metadata(&path).is_err() => return Ok(()),
        None if path.is_dir() => return Err(FilesError::Directory { path }),
        None => "a plain file".to_owned(),
    };
    Err(FilesError::Stranger { path, found })
}

/// Refuses names that are directories: those cannot be replaced by renaming.
pub(super) fn refuse_directories<'a>(
    dir: &Path,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<(), FilesError> {
    for name in names {
        let path = dir.join(name);
        if fs::symlink_metadata(&path).is_ok_and(|seen| seen.is_dir()) {
            return Err(FilesError::Directory { path });
        }
    }
    Ok(())
}

/// Removes the link that a run left when it was killed before renaming.
pub(super) fn remove_temporary(dir: &Path) -> Result<(), FilesError> {
    remove_if_there(&dir.join(TEMPORARY))
}

const TEMPORARY: &str = "..ca-client-new";
