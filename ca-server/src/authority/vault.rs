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

    /// Copies the bundle in `from`, whose issuing certificate is `issuer`. An earlier copy of it is brought up to date.
    ///
    /// # Errors
    /// When it cannot be written, or the files in `from` were replaced meanwhile: what is there then is no whole copy,
    /// and [`Self::load`] refuses it.
    pub fn keep(
        &self,
        from: &Path,
        issuer: &Fingerprint,
        now: SystemTime,
    ) -> Result<(), VaultError> {
        let to = self.path(issuer);
        bundle::copy(from, &to).map_err(|source| VaultError::Io {
            path: to.clone(),
            source,
        })?;
        match self.load(issuer, now) {
            Ok(Some(_)) => Ok(()),
            Ok(None) | Err(_) => Err(VaultError::Changed {
                dir: from.to_owned(),
            }),
        }
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
        let dir = self.path(issuer);
        if !dir.exists() {
            return Ok(None);
        }
        let loaded = bundle::load(&dir, now)?;
        let found = loaded.generation.issuer().fingerprint();
        if found != *issuer {
            return Err(VaultError::Other { dir, found });
        }
        Ok(Some(Loaded {
            generation: loaded.generation.with_source(Source::PluggedIn { dir }),
            ..loaded
        }))
    }

    /// Removes the copy of `issuer`, with its key. Fine where there is none.
    ///
    /// # Errors
    /// Some files may be left.
    pub fn destroy(&self, issuer: &Fingerprint) -> Result<(), VaultError> {
        let path = self.path(issuer);
        let failed = |source| VaultError::Io {
            path: path.clone(),
            source,
        };
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(error)),
            Ok(()) => sync_dir(&self.dir).map_err(failed),
        }
    }

    fn path(&self, issuer: &Fingerprint) -> PathBuf {
        self.dir.join(issuer.to_string())
    }
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The copy does not make a signer.
    #[error("the kept copy of a CA bundle does not work")]
    Bundle(#[from] BundleError),
    /// The files are not those that were to be copied.
    #[error("the files in {} changed while they were copied; they are read again", dir.display())]
    Changed {
        /// The operator's directory.
        dir: PathBuf,
    },
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
        vault.keep(&made.bundle(), &issuer, now).unwrap();
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
        let refusal = vault.keep(&made.bundle(), &other, now).unwrap_err();
        assert!(matches!(refusal, VaultError::Changed { .. }), "{refusal}");
        assert!(vault.load(&other, now).is_err());
    }
}
