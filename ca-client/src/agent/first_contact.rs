//! Whom do we take for the CA before there is a trust bundle of our own? Read anew for each attempt.

use std::io;
use std::path::PathBuf;

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;

use super::aside::Aside;
use crate::trust::Trust;
use crate::trust::TrustError;

/// What authenticates the CA until the first certificate brings the trust bundle.
#[derive(Clone, Debug)]
pub struct FirstContact(Source);

#[derive(Clone, Debug)]
enum Source {
    Given(Trust),
    RootsFile(PathBuf),
}

impl FirstContact {
    /// The roots in a PEM file, which may change, or appear, while we wait for the CA.
    #[must_use]
    pub fn roots_file(path: impl Into<PathBuf>) -> Self {
        Self(Source::RootsFile(path.into()))
    }

    /// The root with this SHA-256.
    #[must_use]
    pub fn fingerprint(fingerprint: Fingerprint) -> Self {
        Self(Source::Given(Trust::fingerprint(fingerprint)))
    }

    /// What is at hand already.
    #[must_use]
    pub fn trust(trust: Trust) -> Self {
        Self(Source::Given(trust))
    }

    pub(super) fn file(&self) -> Option<&PathBuf> {
        match &self.0 {
            Source::RootsFile(path) => Some(path),
            Source::Given(_) => None,
        }
    }

    pub(super) async fn read(
        &self,
        aside: &mut Aside<io::Result<Vec<u8>>>,
    ) -> Result<Trust, FirstContactError> {
        match &self.0 {
            Source::Given(trust) => Ok(trust.clone()),
            Source::RootsFile(path) => {
                let file = path.clone();
                let pem = aside.read(move || std::fs::read(file)).await;
                let pem = pem.map_err(|source| FirstContactError::Read {
                    path: path.clone(),
                    source,
                })?;
                Trust::roots_pem(&pem).map_err(|source| FirstContactError::Roots {
                    path: path.clone(),
                    source,
                })
            }
        }
    }

    /// Whether this would trust none of `bundle`.
    pub(super) async fn differs_from(
        &self,
        bundle: &[Certificate],
        aside: &mut Aside<io::Result<Vec<u8>>>,
    ) -> bool {
        self.read(aside).await.is_ok_and(|trust| {
            let given = trust.fingerprints();
            !bundle
                .iter()
                .any(|root| given.contains(&root.fingerprint()))
        })
    }
}

/// Why nobody can be trusted yet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FirstContactError {
    /// There is no bundle of an earlier run, and nothing else was given.
    #[error("nothing authenticates the CA: give its roots or the fingerprint of its root")]
    Nothing,
    /// The file cannot be read.
    #[error("cannot read the CA's roots in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file does not hold roots.
    #[error("{} does not hold the CA's roots", path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TrustError,
    },
    /// The bundle of an earlier run cannot be used.
    #[error("the trust bundle of an earlier run cannot be used")]
    Bundle {
        /// What is wrong with it.
        #[from]
        source: TrustError,
    },
}
