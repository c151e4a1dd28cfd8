//! Where are the self-signed CA's files, and how does one set of them replace another?
//!
//! Knows names, links and syncing, nothing of certificates but their fingerprints.

use std::fs;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;
use zeroize::Zeroizing;

use super::SelfSignedError;
use super::make::Made;
use crate::authority::key::PrivateKey;
use crate::authority::replace_file::sync_dir;
use crate::authority::replace_file::write_new;

/// The sets of one data directory: `ca.1`, `ca.2` and so on, and the link `ca` to the one in force.
#[derive(Debug)]
pub(super) struct Sets {
    data_dir: PathBuf,
}

impl Sets {
    pub(super) fn of(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
        }
    }

    /// The name under which the set in force is found.
    pub(super) fn link(&self) -> PathBuf {
        self.data_dir.join(LINK)
    }

    /// Removes what was left of a set that never got its number, and of a link that was never renamed.
    pub(super) fn remove_unfinished(&self) -> Result<(), SelfSignedError> {
        for name in self.names()? {
            let path = self.data_dir.join(&name);
            let removed = match name.as_str() {
                NEW_LINK => fs::remove_file(&path),
                NEW_SET | OLD_SET => fs::remove_dir_all(&path),
                _ => Ok(()),
            };
            removed.map_err(at(&path))?;
        }
        Ok(())
    }

    /// Removes what was left of a set whose removal a crash cut short.
    pub(super) fn remove_half_removed(&self) -> Result<(), SelfSignedError> {
        let old = self.data_dir.join(OLD_SET);
        match fs::remove_dir_all(&old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&old)(error)),
            _ => Ok(()),
        }
    }

    /// Links the newest whole set, if its root is `expected` (or any, where none is expected): a crash
    /// came between its number and its link. Answers whether there was one.
    pub(super) fn adopt(&self, expected: Option<Fingerprint>) -> Result<bool, SelfSignedError> {
        let mut numbers = self.numbers()?;
        numbers.sort_unstable();
        let fits = |number: &&u64| {
            let root = first_in(&self.set(**number).join("root-cert.pem"));
            root.is_some() && (expected.is_none() || root == expected)
        };
        match numbers.iter().rev().find(fits) {
            Some(number) => self.point_link_to(*number).map(|()| true),
            None => Ok(false),
        }
    }

    /// Writes `made` beside the sets, without a number, and answers where.
    pub(super) fn write(&self, made: &Made) -> Result<PathBuf, SelfSignedError> {
        let unfinished = self.data_dir.join(NEW_SET);
        DirBuilder::new()
            .mode(0o700)
            .create(&unfinished)
            .map_err(at(&unfinished))?;
        let chain = format!("{}{}{}", made.issuer_pem, made.cross_pem, made.root_pem);
        for (name, content, mode) in [
            ("ca-cert.pem", made.issuer_pem.as_str(), 0o644),
            ("ca-key.pem", made.issuer_key_pem.as_str(), 0o600),
            ("cert-chain.pem", chain.as_str(), 0o644),
            ("root-cert.pem", made.root_pem.as_str(), 0o644),
            (ROOT_KEY, made.root_key_pem.as_str(), 0o600),
        ] {
            let path = unfinished.join(name);
            write_new(&path, content.as_bytes(), mode).map_err(at(&path))?;
        }
        sync_dir(&unfinished).map_err(at(&unfinished))?;
        Ok(unfinished)
    }

    /// Marks what was written as made for a rotation that nobody put down yet.
    pub(super) fn mark_pending(unfinished: &Path) -> Result<(), SelfSignedError> {
        let path = unfinished.join(PENDING);
        write_new(&path, PENDING_SAYS, 0o644).map_err(at(&path))?;
        sync_dir(unfinished).map_err(at(unfinished))
    }

    /// Takes the mark from the sets of `held`, whose rotation was put down; fine where there is none.
    pub(super) fn settle(&self, held: &[Fingerprint]) -> Result<(), SelfSignedError> {
        for (set, issuer) in self.pending()? {
            if held.contains(&issuer) {
                let path = set.join(PENDING);
                fs::remove_file(&path).map_err(at(&path))?;
            }
        }
        Ok(())
    }

    /// The sets with the mark, and their issuing certificates.
    pub(super) fn pending(&self) -> Result<Vec<(PathBuf, Fingerprint)>, SelfSignedError> {
        let sets = self.numbers()?.into_iter().map(|number| self.set(number));
        let marked = sets.filter(|set| set.join(PENDING).exists());
        let named = marked.filter_map(|set| {
            let issuer = first_in(&set.join("ca-cert.pem"))?;
            Some((set, issuer))
        });
        Ok(named.collect())
    }

    /// Gives what was written a number, and answers where it is now.
    pub(super) fn number(&self, unfinished: &Path) -> Result<PathBuf, SelfSignedError> {
        let number = self.numbers()?.into_iter().max().unwrap_or(0) + 1;
        let set = self.set(number);
        fs::rename(unfinished, &set).map_err(at(&set))?;
        sync_dir(&self.data_dir).map_err(at(&self.data_dir))?;
        Ok(set)
    }

    /// The set whose issuing certificate is `issuer`: the newest, where a backup made several of one.
    pub(super) fn of_issuer(
        &self,
        issuer: &Fingerprint,
    ) -> Result<Option<PathBuf>, SelfSignedError> {
        let mut numbers = self.numbers()?;
        numbers.sort_unstable();
        let numbered = numbers.iter().rev().map(|number| self.set(*number));
        // A backup may have made a directory of the link.
        let mut all = numbered.chain([self.link()]);
        Ok(all.find(|set| first_in(&set.join("ca-cert.pem")) == Some(*issuer)))
    }

    /// Issuing certificate and root of every set.
    pub(super) fn signers(&self) -> Result<Vec<(Fingerprint, Fingerprint)>, SelfSignedError> {
        let numbered = self.numbers()?.into_iter().map(|number| self.set(number));
        // A backup may have made a directory of the link.
        let restored = Some(self.link()).filter(|link| link.is_dir() && !link.is_symlink());
        let sets = numbered.chain(restored);
        let both = |set: PathBuf| {
            let issuer = first_in(&set.join("ca-cert.pem"))?;
            Some((issuer, first_in(&set.join("root-cert.pem"))?))
        };
        Ok(sets.filter_map(both).collect())
    }

    /// Whether the link leads to the set of `issuer`.
    pub(super) fn is_in_force(&self, issuer: &Fingerprint) -> bool {
        first_in(&self.link().join("ca-cert.pem")) == Some(*issuer)
    }

    /// Takes the link away, so that no set is in force.
    pub(super) fn unlink(&self) -> Result<(), SelfSignedError> {
        self.number_restored_directory()?;
        let link = self.link();
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&link)(error)),
            _ => sync_dir(&self.data_dir).map_err(at(&self.data_dir)),
        }
    }

    /// Removes the sets of `issuer` that are not in force.
    pub(super) fn remove(&self, issuer: &Fingerprint) -> Result<(), SelfSignedError> {
        let in_force = fs::canonicalize(self.link()).ok();
        for number in self.numbers()? {
            let set = self.set(number);
            let is_in_force = fs::canonicalize(&set).ok() == in_force;
            if !is_in_force && first_in(&set.join("ca-cert.pem")) == Some(*issuer) {
                // A crash in between must not leave a key in a set that nobody recognises any more.
                self.remove_half_removed()?;
                let old = self.data_dir.join(OLD_SET);
                fs::rename(&set, &old).map_err(at(&set))?;
                fs::remove_dir_all(&old).map_err(at(&old))?;
                sync_dir(&self.data_dir).map_err(at(&self.data_dir))?;
            }
        }
        Ok(())
    }

    /// Lets the link point to `set`, which may be the link's own directory.
    pub(super) fn point_link_to_set(&self, set: &Path) -> Result<(), SelfSignedError> {
        let number = set
            .file_name()
            .and_then(|name| name.to_str()?.strip_prefix("ca.")?.parse().ok());
        match number {
            Some(number) => self.point_link_to(number),
            None => Ok(()),
        }
    }

    /// The PEM of the root's key.
    pub(super) fn root_key(&self) -> Result<Zeroizing<String>, SelfSignedError> {
        let path = self.link().join(ROOT_KEY);
        let pem = Zeroizing::new(fs::read_to_string(&path).map_err(at(&path))?);
        match PrivateKey::from_pem(pem.as_bytes()) {
            Ok(_) => Ok(pem),
            Err(source) => Err(SelfSignedError::RootKey { path, source }),
        }
    }

    fn point_link_to(&self, number: u64) -> Result<(), SelfSignedError> {
        let link = self.link();
        self.number_restored_directory()?;
        let new = self.data_dir.join(NEW_LINK);
        // A crash may have left one that was never renamed.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&new)(error)),
            _ => {}
        }
        symlink(format!("{LINK}.{number}"), &new).map_err(at(&new))?;
        fs::rename(&new, &link).map_err(at(&link))?;
        sync_dir(&self.data_dir).map_err(at(&self.data_dir))
    }

    /// A link cannot be renamed over a directory, which is what a backup may have made of the link. With
    /// a number, the directory is a set like others; a crash right after it is healed by [`Self::adopt`].
    fn number_restored_directory(&self) -> Result<(), SelfSignedError> {
        let link = self.link();
        match fs::symlink_metadata(&link) {
            Ok(metadata) if metadata.is_dir() => {
                let free = self.numbers()?.into_iter().max().unwrap_or(0) + 1;
                fs::rename(&link, self.set(free)).map_err(at(&link))
            }
            _ => Ok(()),
        }
    }

    fn set(&self, number: u64) -> PathBuf {
        self.data_dir.join(format!("{LINK}.{number}"))
    }

    fn numbers(&self) -> Result<Vec<u64>, SelfSignedError> {
        let names = self.names()?;
        let numbers = names.iter().filter_map(|name| name.strip_prefix("ca."));
        Ok(numbers.filter_map(|number| number.parse().ok()).collect())
    }

    fn names(&self) -> Result<Vec<String>, SelfSignedError> {
        fs::read_dir(&self.data_dir)
            .and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                    .collect()
            })
            .map_err(at(&self.data_dir))
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> SelfSignedError {
    let path = path.to_owned();
    |source| SelfSignedError::Io { path, source }
}

/// SHA-256 of the first certificate in a file.
fn first_in(path: &Path) -> Option<Fingerprint> {
    let pem = fs::read(path).ok()?;
    let certificates = Certificate::all_from_pem(&pem).ok()?;
    certificates.first().map(Certificate::fingerprint)
}

const LINK: &str = "ca";
const NEW_LINK: &str = "ca.new-link";
const NEW_SET: &str = "ca.new";
const OLD_SET: &str = "ca.old";
const PENDING: &str = "pending";
const PENDING_SAYS: &[u8] = b"made for a rotation that had not begun: goes at the next start, unless rotation.json names it\n";
const ROOT_KEY: &str = "root-key.pem";
