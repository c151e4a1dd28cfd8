//! Where does an operator's bundle live once it was taken? A private copy for each issuing certificate.
//!
//! `<data-dir>/signers/<SHA-256 of the issuing certificate>/`, in the bundle's own shape. Whoever replaces the
//! operator's files takes no key away that leaves still depend on: it goes when its root is retired.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use proto::certificate::Fingerprint;

use super::Source;
use super::bundle;
use super::bundle::BundleError;
use super::bundle::Content;
use super::bundle::Loaded;
use super::replace_file::sync_dir;

/// The copies in one data directory.
#[derive(Clone, Debug)]
pub struct Vault {
    dir: PathBuf,
}

impl Vault {
    /// Those of `data_dir`.
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self {
            dir: data_dir.join("signers"),
        }
    }

    /// Copies `content`, the bundle whose issuing certificate is `issuer`. An earlier copy of it gives way as a whole.
    ///
    /// # Errors
    /// When it cannot be written, or does not work. An earlier copy is as it was.
    pub fn keep(
        &self,
        content: &Content,
        issuer: &Fingerprint,
        now: SystemTime,
    ) -> Result<(), VaultError> {
        self.recover(issuer, now);
        let to = self.path(issuer);
        let kept = self.hash(issuer);
        if kept.is_some() && kept == content.hash() {
            return Ok(());
        }
        let new = self.new_path(issuer);
        let written = remove(&new).and_then(|()| content.write(&new));
        written.map_err(failed(&new))?;
        if let Err(error) = open(&new, issuer, now) {
            remove(&new).map_err(failed(&new))?;
            return Err(error);
        }
        self.put_in_place(issuer).map_err(failed(&to))
    }

    /// The signer of `issuer`; `None` where there is no copy of it.
    ///
    /// # Errors
    /// When the copy does not work.
    pub fn load(
        &self,
        issuer: &Fingerprint,
        now: SystemTime,
    ) -> Result<Option<Loaded>, VaultError> {
        self.recover(issuer, now);
        let dir = self.path(issuer);
        if !dir.exists() {
            return Ok(None);
        }
        let loaded = open(&dir, issuer, now)?;
        Ok(Some(Loaded {
            generation: loaded.generation.with_source(Source::PluggedIn { dir }),
            ..loaded
        }))
    }

    /// The hash of the files that the copy of `issuer` was made of; `None` where there is none, or it cannot be read.
    #[must_use]
    pub fn hash(&self, issuer: &Fingerprint) -> Option<Fingerprint> {
        let kept = Content::read(&self.path(issuer)).ok()?;
        kept.hash()
    }

    /// Removes the copy of `issuer`, with its key. Fine where there is none.
    ///
    /// # Errors
    /// Some files may be left.
    pub fn destroy(&self, issuer: &Fingerprint) -> Result<(), VaultError> {
        for path in [
            self.new_path(issuer),
            self.old_path(issuer),
            self.path(issuer),
        ] {
            remove(&path).map_err(failed(&path))?;
        }
        match self.dir.exists() {
            true => sync_dir(&self.dir).map_err(failed(&self.dir)),
            false => Ok(()),
        }
    }

    /// Removes the copies of all others than `held`: a crash left them, and nobody else would know of their keys.
    /// Answers how many there were.
    ///
    /// # Errors
    /// Some may be left.
    pub fn destroy_others(&self, held: &[Fingerprint]) -> Result<u32, VaultError> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries.map_err(failed(&self.dir))?,
        };
        let mut kept: Vec<PathBuf> = held.iter().map(|issuer| self.path(issuer)).collect();
        // A copy that could not be put in place yet.
        let waiting = held.iter().filter(|issuer| !self.path(issuer).exists());
        kept.extend(waiting.map(|issuer| self.new_path(issuer)));
        let mut gone = 0;
        for entry in entries {
            let path = entry.map_err(failed(&self.dir))?.path();
            if is_copy(&path) && !kept.contains(&path) {
                remove(&path).map_err(failed(&path))?;
                gone += 1;
            }
        }
        if gone > 0 {
            sync_dir(&self.dir).map_err(failed(&self.dir))?;
        }
        Ok(gone)
    }

    fn put_in_place(&self, issuer: &Fingerprint) -> io::Result<()> {
        let (to, old) = (self.path(issuer), self.old_path(issuer));
        remove(&old)?;
        if to.exists() {
            fs::rename(&to, &old)?;
        }
        fs::rename(self.new_path(issuer), &to)?;
        sync_dir(&self.dir)?;
        self.dir.parent().map_or(Ok(()), sync_dir)?;
        remove(&old)
    }

    /// A crash between two renames leaves the new copy under its first name. One that is not whole lacks its key.
    fn recover(&self, issuer: &Fingerprint, now: SystemTime) {
        let (to, new) = (self.path(issuer), self.new_path(issuer));
        if !to.exists() && open(&new, issuer, now).is_ok() {
            // On a disk that cannot be written it stays, and counts as gone.
            let _tried_again = fs::rename(new, to);
        }
    }

    fn path(&self, issuer: &Fingerprint) -> PathBuf {
        self.dir.join(issuer.to_string())
    }

    fn new_path(&self, issuer: &Fingerprint) -> PathBuf {
        self.dir.join(format!("{issuer}.new"))
    }

    fn old_path(&self, issuer: &Fingerprint) -> PathBuf {
        self.dir.join(format!("{issuer}.old"))
    }
}

fn open(dir: &Path, issuer: &Fingerprint, now: SystemTime) -> Result<Loaded, VaultError> {
    let loaded = bundle::load(dir, now)?;
    let found = loaded.generation.issuer().fingerprint();
    match found == *issuer {
        true => Ok(loaded),
        false => Err(VaultError::Other {
            dir: dir.to_owned(),
            found,
        }),
    }
}

/// Other things may be there too, where this is a file system of its own.
fn is_copy(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    name.len() == SHA_256 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> VaultError {
    let path = path.to_owned();
    |source| VaultError::Io { path, source }
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The copy does not make a signer.
    #[error("the kept copy of a CA bundle does not work")]
    Bundle(#[from] BundleError),
    /// The system refused.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The copy.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The copy is another issuer's.
    #[error("{} holds the copy of another issuing certificate, {found}", dir.display())]
    Other {
        /// The copy.
        dir: PathBuf,
        /// SHA-256 of the certificate that is there.
        found: Fingerprint,
    },
}

/// Length of a fingerprint in hex.
const SHA_256: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::test_bundle::TestBundle;

    #[test]
    fn a_bundle_outlives_the_operators_files_until_it_is_destroyed() {
        let (made, data_dir) = (TestBundle::good(), tempfile::tempdir().unwrap());
        let now = made.time_of("issuer");
        let vault = Vault::of(data_dir.path());
        let issuer = made.certificate("issuer").fingerprint();
        assert!(vault.load(&issuer, now).unwrap().is_none());
        let content = Content::read(&made.bundle()).unwrap();
        vault.keep(&content, &issuer, now).unwrap();
        fs::remove_dir_all(made.bundle()).unwrap();
        let loaded = vault.load(&issuer, now).unwrap().unwrap();
        assert_eq!(loaded.generation.issuer().fingerprint(), issuer);
        vault.destroy(&issuer).unwrap();
        vault.destroy(&issuer).unwrap();
        assert!(vault.load(&issuer, now).unwrap().is_none());
    }

    #[test]
    fn files_of_another_issuer_are_not_kept_under_its_name() {
        let (made, data_dir) = (TestBundle::good(), tempfile::tempdir().unwrap());
        let now = made.time_of("issuer");
        let vault = Vault::of(data_dir.path());
        let other = Fingerprint::of(b"another");
        let content = Content::read(&made.bundle()).unwrap();
        let refusal = vault.keep(&content, &other, now).unwrap_err();
        assert!(matches!(refusal, VaultError::Other { .. }), "{refusal}");
        assert!(vault.load(&other, now).unwrap().is_none());
        assert_eq!(vault.destroy_others(&[]).unwrap(), 0, "nothing is left");
    }

    /// As far as the second copy may have come when the power went.
    #[test]
    fn a_copy_that_is_replaced_is_there_whenever_the_power_goes() {
        let (made, data_dir) = (TestBundle::good(), tempfile::tempdir().unwrap());
        let now = made.time_of("issuer");
        let vault = Vault::of(data_dir.path());
        let issuer = made.certificate("issuer").fingerprint();
        let content = Content::read(&made.bundle()).unwrap();
        vault.keep(&content, &issuer, now).unwrap();
        let is_there = || vault.load(&issuer, now).unwrap().is_some();
        let (to, new) = (vault.path(&issuer), vault.new_path(&issuer));
        content.write(&new).unwrap();
        fs::remove_file(new.join("ca-key.pem")).unwrap();
        assert!(is_there(), "half of the new one is written");
        content.write(&new).unwrap();
        fs::rename(&to, vault.old_path(&issuer)).unwrap();
        assert!(is_there(), "the old one is out of the way");
        assert_eq!(vault.destroy_others(&[issuer]).unwrap(), 1, "the old one");
        assert!(is_there());
    }

    #[test]
    fn copies_of_nobody_who_is_held_are_destroyed() {
        let (made, data_dir) = (TestBundle::good(), tempfile::tempdir().unwrap());
        let vault = Vault::of(data_dir.path());
        assert_eq!(vault.destroy_others(&[]).unwrap(), 0);
        let issuer = made.certificate("issuer").fingerprint();
        let content = Content::read(&made.bundle()).unwrap();
        let now = made.time_of("issuer");
        vault.keep(&content, &issuer, now).unwrap();
        fs::create_dir(data_dir.path().join("signers/lost+found")).unwrap();
        assert_eq!(vault.destroy_others(&[issuer]).unwrap(), 0);
        assert_eq!(vault.destroy_others(&[]).unwrap(), 1);
        assert!(vault.load(&issuer, now).unwrap().is_none());
    }
}
