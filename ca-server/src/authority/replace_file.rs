//! How does a file change so that a crash leaves the old one or the new one, whole?
//!
//! Written beside, synced, renamed over, and the directory synced. One writer at a time.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Replaces `path` by a file with `content` and `mode`. An earlier attempt's leftover is overwritten.
///
/// # Errors
/// The file is what it was before, or (when only the last sync failed) what it was to become.
pub(super) fn replace_file(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let beside = path.with_file_name(format!(".{}.new", name.to_string_lossy()));
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write_new(&beside, content, mode)?;
    fs::rename(&beside, path)?;
    sync_dir(dir)
}

/// Makes `path`, which must not be there, with `content` and `mode`, and syncs it.
///
/// # Errors
/// A file may be left that is not whole.
pub(super) fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes the names in `dir` durable.
///
/// # Errors
/// The names may be lost with a power failure.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_replaced_file_has_the_new_content_and_its_mode_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        fs::write(dir.path().join(".state.json.new"), "left by a crash").unwrap();
        replace_file(&path, b"one", 0o600).unwrap();
        replace_file(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_replacement_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        replace_file(&path, b"one", 0o600).unwrap();
        fs::create_dir(dir.path().join(".state.json.new")).unwrap();
        replace_file(&path, b"two", 0o600).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }
}
