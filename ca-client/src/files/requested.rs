//! Which key waits for its certificate? One file in the output directory, there while nothing valid is:
//! a one-time token whose answer was lost is good for that key alone, after a restart too.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::FilesError;
use super::kept::remove_if_there;
use crate::key::PrivateKey;

/// Writes `key`, on disk when this returns; nobody but us may read it.
pub(crate) fn keep(dir: &Path, key: &PrivateKey) -> Result<(), FilesError> {
    forget(dir)?;
    let path = dir.join(NAME);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| {
            file.write_all(key.to_pem().as_bytes())?;
            file.sync_all()
        });
    written.map_err(FilesError::at(&path, "write"))?;
    File::open(dir)
        .and_then(|handle| handle.sync_all())
        .map_err(FilesError::at(dir, "sync"))
}

/// The key that an earlier run asked for; one that was not written to its end was never used.
pub(crate) fn kept(dir: &Path) -> Option<PrivateKey> {
    let pem = Zeroizing::new(fs::read(dir.join(NAME)).ok()?);
    PrivateKey::from_pkcs8_pem(&pem)
}

/// Removes it, if it is there.
pub(crate) fn forget(dir: &Path) -> Result<(), FilesError> {
    remove_if_there(&dir.join(NAME))
}

const NAME: &str = "..requested-key.pem";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_kept_for_us_alone_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let key = PrivateKey::from_pkcs8_der(vec![7; 100]);
        keep(dir.path(), &PrivateKey::from_pkcs8_der(vec![8; 100])).unwrap();
        keep(dir.path(), &key).unwrap();
        assert_eq!(kept(dir.path()).unwrap().der(), key.der());
        let mode = fs::metadata(dir.path().join(NAME)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        fs::write(dir.path().join(NAME), "-----BEGIN PRIV").unwrap();
        assert!(kept(dir.path()).is_none(), "torn");
        forget(dir.path()).unwrap();
        forget(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
