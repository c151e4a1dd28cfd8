//! What does the agent remember beside the generations? Small files of mode 0600, replaced by renaming.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::FilesError;

/// The text of `dir/name`; `None` if there is no plain file of that name, or one that cannot be ours.
pub(crate) fn read(dir: &Path, name: &str) -> Option<String> {
    let path = dir.join(name);
    // Anything else may block whoever opens it.
    fs::symlink_metadata(&path)
        .ok()
        .filter(fs::Metadata::is_file)?;
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Replaces `dir/name` by `text`, on disk when this returns.
///
/// # Errors
/// When it could not be written; the file is the previous one, or the new one if only making that durable failed.
pub(crate) fn replace(dir: &Path, name: &str, text: &str) -> Result<(), FilesError> {
    let (path, temporary) = (dir.join(name), dir.join(format!(".{name}.ca-client-new")));
    let written = write_new(&temporary, text)
        .and_then(|()| fs::rename(&temporary, &path).map_err(FilesError::at(&path, "replace")));
    if written.is_err() {
        // What cannot be removed now is removed by the next write.
        drop(fs::remove_file(&temporary));
    }
    written?;
    File::open(dir)
        .and_then(|handle| handle.sync_all())
        .map_err(FilesError::at(dir, "sync"))
}

/// Removes a file or a link, if it is there.
///
/// # Errors
/// When it is there and cannot be removed.
pub(super) fn remove_if_there(path: &Path) -> Result<(), FilesError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(FilesError::at(path, "remove")(error))
        }
        _ => Ok(()),
    }
}

fn write_new(path: &Path, text: &str) -> Result<(), FilesError> {
    let failed = |source| FilesError::at(path, "write")(source);
    remove_if_there(path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)
}

/// Nothing that we keep is longer.
const LONGEST: u64 = 4096;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_was_put_there_is_read_back_and_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path(), "it"), None);
        for text in ["one", "another"] {
            replace(dir.path(), "it", text).unwrap();
            assert_eq!(read(dir.path(), "it").as_deref(), Some(text));
        }
        let mode = fs::metadata(dir.path().join("it")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_not_followed_but_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("elsewhere"), "theirs").unwrap();
        std::os::unix::fs::symlink("elsewhere", dir.path().join("it")).unwrap();
        assert_eq!(read(dir.path(), "it"), None);
        replace(dir.path(), "it", "ours").unwrap();
        assert_eq!(read(dir.path(), "it").as_deref(), Some("ours"));
        assert_eq!(read(dir.path(), "elsewhere").as_deref(), Some("theirs"));
    }
}
