//! What must a restart remember of who we are? The trust domain, and whether there ever was a root.
//!
//! One small file in the data directory, `state.json`. Roots and keys are elsewhere.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use proto::certificate::Fingerprint;
use proto::spiffe::TrustDomain;
use serde::Deserialize;
use serde::Serialize;

use super::replace_file::replace_file;

/// The identity of a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    path: PathBuf,
    content: Content,
}

/// What to do when the data directory belongs to another trust domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustDomainChange {
    /// Take the new one from now on.
    Allow,
    /// Refuse to start.
    Refuse,
}

impl State {
    /// Reads the state of `data_dir`, or begins one for `trust_domain`.
    ///
    /// # Errors
    /// When the file cannot be read, is of a later version, or names another trust domain and that is not allowed.
    pub fn open(
        data_dir: &Path,
        trust_domain: &TrustDomain,
        change: TrustDomainChange,
    ) -> Result<Self, StateError> {
        let path = data_dir.join("state.json");
        let stored = read_versioned::<Content>(&path, VERSION)?;
        let content = stored.clone().unwrap_or_else(|| Content {
            version: VERSION,
            trust_domain: trust_domain.clone(),
            self_signed_root: None,
        });
        let mut state = Self { path, content };
        if state.content.trust_domain != *trust_domain {
            match change {
                TrustDomainChange::Allow => state.content.trust_domain = trust_domain.clone(),
                TrustDomainChange::Refuse => return Err(state.other_trust_domain(trust_domain)),
            }
        }
        if stored.as_ref() != Some(&state.content) {
            state.write()?;
        }
        Ok(state)
    }

    /// The trust domain of everything in the data directory.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.content.trust_domain
    }

    /// The self-signed root, once one was made.
    #[must_use]
    pub fn self_signed_root(&self) -> Option<Fingerprint> {
        self.content.self_signed_root.as_deref()?.parse().ok()
    }

    /// Remembers the self-signed root.
    ///
    /// # Errors
    /// When the file cannot be written; the earlier state is in force then.
    pub fn record_self_signed_root(&mut self, root: Fingerprint) -> Result<(), StateError> {
        let root = Some(root.to_string());
        if self.content.self_signed_root == root {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.content.self_signed_root, root);
        self.write()
            .inspect_err(|_not_written| self.content.self_signed_root = before)
    }

    /// Forgets the self-signed root, which is let go on purpose.
    ///
    /// # Errors
    /// As [`Self::record_self_signed_root`].
    pub fn forget_self_signed_root(&mut self) -> Result<(), StateError> {
        let before = self.content.self_signed_root.take();
        self.write()
            .inspect_err(|_not_written| self.content.self_signed_root = before)
    }

    fn other_trust_domain(&self, wanted: &TrustDomain) -> StateError {
        StateError::OtherTrustDomain {
            path: self.path.clone(),
            stored: self.content.trust_domain.clone(),
            wanted: wanted.clone(),
        }
    }

    fn write(&self) -> Result<(), StateError> {
        write_versioned(&self.path, &self.content)
    }
}

/// The trust domain of `data_dir`; `None` where no server ever ran.
///
/// # Errors
/// When the file cannot be read, is damaged or of a later version.
pub fn stored_trust_domain(data_dir: &Path) -> Result<Option<TrustDomain>, StateError> {
    let stored = read_versioned::<Content>(&data_dir.join("state.json"), VERSION)?;
    Ok(stored.map(|content| content.trust_domain))
}

/// Why a small file of the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The system refused.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The content contradicts itself.
    #[error("{} contradicts itself: {found}; restore it from a backup, or {otherwise}", path.display())]
    Contradictory {
        /// The file.
        path: PathBuf,
        /// What was seen.
        found: String,
        /// What can be done without a backup, and what that means.
        otherwise: &'static str,
    },
    /// The content is not what was written there.
    #[error("{} is damaged: restore it from a backup", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where reading stopped.
        source: serde_json::Error,
    },
    /// A later version of the program wrote it.
    #[error(
        "{} has version {found}, this program knows up to {known}: run the newer ca-server that wrote it",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version seen.
        found: u32,
        /// The latest version known here.
        known: u32,
    },
    /// The data directory belongs to another trust domain.
    #[error(
        "the data directory belongs to trust domain {stored} ({}), not {wanted}: set --trust-domain {stored}, give another --data-dir, or give --allow-trust-domain-change to go on with {wanted}",
        path.display()
    )]
    OtherTrustDomain {
        /// The file.
        path: PathBuf,
        /// The trust domain in it.
        stored: TrustDomain,
        /// The trust domain that the server is to serve.
        wanted: TrustDomain,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    version: u32,
    trust_domain: TrustDomain,
    self_signed_root: Option<String>,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Reads `path`, `None` when it is not there. Later versions than `known` are not even looked into.
pub(crate) fn read_versioned<T: for<'de> Deserialize<'de>>(
    path: &Path,
    known: u32,
) -> Result<Option<T>, StateError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(StateError::Io {
                path: path.to_owned(),
                source,
            });
        }
    };
    let malformed = |source| StateError::Malformed {
        path: path.to_owned(),
        source,
    };
    let Versioned { version } = serde_json::from_slice(&bytes).map_err(malformed)?;
    if version > known {
        return Err(StateError::Newer {
            path: path.to_owned(),
            found: version,
            known,
        });
    }
    serde_json::from_slice(&bytes).map_err(malformed).map(Some)
}

/// Replaces `path` by `content`.
pub(crate) fn write_versioned(path: &Path, content: &impl Serialize) -> Result<(), StateError> {
    let malformed = |source| StateError::Malformed {
        path: path.to_owned(),
        source,
    };
    let mut json = serde_json::to_vec_pretty(content).map_err(malformed)?;
    json.push(b'\n');
    replace_file(path, &json, 0o600).map_err(|source| StateError::Io {
        path: path.to_owned(),
        source,
    })
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, domain: &str, change: TrustDomainChange) -> Result<State, StateError> {
        State::open(dir, &domain.parse().unwrap(), change)
    }

    #[test]
    fn a_state_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let mut state = open(dir.path(), "a.example", TrustDomainChange::Refuse).unwrap();
        assert_eq!(state.self_signed_root(), None);
        let root = Fingerprint::of(b"root");
        state.record_self_signed_root(root).unwrap();
        let again = open(dir.path(), "a.example", TrustDomainChange::Refuse).unwrap();
        assert_eq!(again.self_signed_root(), Some(root));
    }

    #[test]
    fn another_trust_domain_is_refused_until_it_is_allowed() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), "a.example", TrustDomainChange::Refuse).unwrap();
        let refusal = open(dir.path(), "b.example", TrustDomainChange::Refuse).unwrap_err();
        assert!(refusal.to_string().contains("--allow-trust-domain-change"));
        open(dir.path(), "a.example", TrustDomainChange::Refuse).unwrap();
        open(dir.path(), "b.example", TrustDomainChange::Allow).unwrap();
        open(dir.path(), "b.example", TrustDomainChange::Refuse).unwrap();
    }

    #[test]
    fn damaged_and_later_states_are_left_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        for (content, told) in [
            ("{\"version\": 2, \"unheard_of\": 1}", "version 2"),
            ("", "damaged"),
            ("{\"version\": 1}", "damaged"),
            (
                "{\"version\": 1, \"trust_domain\": \"NOT ONE\", \"self_signed_root\": null}",
                "damaged",
            ),
        ] {
            fs::write(&path, content).unwrap();
            let error = open(dir.path(), "a.example", TrustDomainChange::Allow).unwrap_err();
            assert!(error.to_string().contains(told), "{content}: {error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
    }
}
