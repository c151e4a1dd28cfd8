//! How do other processes get the SVID? A few files in a directory, replaced all at once.
//!
//! The Kubernetes layout: `cert-chain.pem`, `key.pem` and `root-cert.pem` are links through `..data`,
//! which is a link to one generation directory, and so is whatever else is asked for. Replacing `..data`
//! replaces all of them, so that a reader never sees a key of one generation beside the certificate of another.

mod access;
mod combined;
mod error;
mod generation;
pub(crate) mod kept;
mod link;
mod names;
mod options;
mod owner;
mod part;
mod pkcs12;
mod read;
pub(crate) mod requested;
mod trust;

use std::fs;
use std::fs::File;
use std::fs::TryLockError;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use ring::rand::SystemRandom;

use access::Access;
pub use combined::Combined;
pub use error::FilesError;
use generation::Generation;
pub use names::FileNames;
pub use options::Existing;
pub use options::FileAccess;
pub use options::OutputOptions;
pub use owner::Owner;
pub use owner::OwnerError;
use part::Part;
pub use pkcs12::KEY_ALIAS;
pub use pkcs12::PasswordError;
pub use pkcs12::StorePassword;
pub use read::stored;
pub use read::stored_roots;
pub use read::stored_since;
pub(crate) use trust::stored_bundle;

use crate::bundle::Bundle;
use crate::svid::Svid;

/// The leaf, the certificates above it, and the root that anchors them, in this order.
pub const CERT_CHAIN: &str = "cert-chain.pem";
/// The private key, PKCS#8.
pub const KEY: &str = "key.pem";
/// Every root of the trust bundle, the one that anchors the chain first.
pub const ROOT_CERT: &str = "root-cert.pem";
/// The leaf and the certificates above it, but for the root.
pub const CHAIN_WITHOUT_ROOT: &str = "chain-without-root.pem";
/// PKCS#12 with private key, leaf and the certificates above it, but for the root.
pub const KEY_STORE: &str = "keystore.p12";
/// PKCS#12 with every root of the trust bundle.
pub const TRUST_STORE: &str = "truststore.p12";

/// A directory that this process alone writes SVIDs into, as long as the value lives.
#[derive(Debug)]
pub struct OutputDir {
    dir: PathBuf,
    options: OutputOptions,
    /// Holds the lock, and is what is synced after renames.
    handle: File,
}

impl OutputDir {
    /// Takes the directory into possession: makes it if it is missing (mode 0755), locks it, makes
    /// sure that it can be written to and holds no strangers, and removes what crashed runs left.
    ///
    /// # Errors
    /// When any of that is impossible; the current set of files is as it was.
    pub fn open(dir: impl Into<PathBuf>, options: OutputOptions) -> Result<Self, FilesError> {
        let dir = dir.into();
        options.refuse_unknown()?;
        make_dir(&dir)?;
        let handle = File::open(&dir).map_err(FilesError::at(&dir, "open the output directory"))?;
        handle.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => FilesError::Busy { dir: dir.clone() },
            TryLockError::Error(source) => {
                FilesError::at(&dir, "lock the output directory")(source)
            }
        })?;
        let output = Self {
            dir,
            options,
            handle,
        };
        output.refuse_strangers()?;
        output.remove_leftovers()?;
        let wanted = output.options.parts();
        let wanted = wanted.map(|part| output.options.access(part));
        Generation::probe(&output.dir, wanted)?;
        Ok(output)
    }

    /// Replaces all files by those of `svid`, on disk when this returns. The previous
    /// generation stays until the next call, for readers that are in the middle of it.
    ///
    /// # Errors
    /// When something could not be written; the files are the previous ones then. What is old and
    /// cannot be removed is no failure: the log has it, and the next call tries again.
    pub fn write(&self, svid: &Svid, now: SystemTime) -> Result<(), FilesError> {
        self.write_with(svid, None, now)
    }

    pub(crate) fn write_with(
        &self,
        svid: &Svid,
        bundle: Option<&Bundle>,
        now: SystemTime,
    ) -> Result<(), FilesError> {
        let previous = self.current()?;
        let generation = Generation::create(&self.dir, now)?;
        self.fill(&generation, svid)?;
        self.number(&generation, bundle)?;
        generation.sync()?;
        link::point(&self.dir, DATA, Path::new(generation.name()))?;
        let kept = generation.keep();
        self.sync()?;
        for name in self.options.wanted() {
            link::ensure(&self.dir, name, &Path::new(DATA).join(name))?;
        }
        for name in self.options.unwanted() {
            link::remove(&self.dir, name, &Path::new(DATA).join(name))?;
        }
        self.sync()?;
        requested::forget(&self.dir)?;
        let keep = [Some(kept), previous];
        generation::remove_all_but(&self.dir, keep.iter().flatten());
        Ok(())
    }

    /// Makes sure that the path still leads to the directory that we hold, and that it has all the files.
    ///
    /// # Errors
    /// When somebody removed or replaced something; open the directory anew and write again.
    pub fn check(&self) -> Result<(), FilesError> {
        let gone = |missing: PathBuf| FilesError::Gone { missing };
        if self.is_lost() {
            return Err(gone(self.dir.clone()));
        }
        for name in self.options.wanted() {
            let path = self.dir.join(name);
            let leads = fs::read_link(&path).is_ok_and(|seen| seen == Path::new(DATA).join(name));
            if !leads || !path.is_file() {
                return Err(gone(path));
            }
        }
        Ok(())
    }

    /// Whether the path leads somewhere else than to the directory that we hold.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        let (Ok(held), Ok(seen)) = (self.handle.metadata(), fs::metadata(&self.dir)) else {
            return true;
        };
        (seen.dev(), seen.ino()) != (held.dev(), held.ino())
    }

    /// Writes the files of one generation.
    fn fill(&self, generation: &Generation, svid: &Svid) -> Result<(), FilesError> {
        let (options, random) = (&self.options, SystemRandom::new());
        for part in options.parts() {
            let content = part.content(svid, options.stores.as_ref(), &random)?;
            generation.put(part.name(options.names), &content, options.access(part))?;
        }
        Ok(())
    }

    /// Whether the files are those that would be written now, with names, permissions, owners and password.
    #[must_use]
    pub fn is_as_asked(&self) -> bool {
        let leads = |name| link::leads(&self.dir, name, &Path::new(DATA).join(name));
        self.options.are_in(&self.dir)
            && self.options.parts().all(|part| {
                let file = fs::metadata(self.dir.join(part.name(self.options.names)));
                file.is_ok_and(|file| self.options.access(part).is_of(&file))
            })
            && !self.options.unwanted().any(leads)
    }

    /// How it was opened.
    #[must_use]
    pub fn options(&self) -> &OutputOptions {
        &self.options
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The generation that `..data` leads to.
    pub(crate) fn current(&self) -> Result<Option<String>, FilesError> {
        let target = link::target(&self.dir, DATA)?;
        Ok(target.and_then(|target| generation::own_name(&target)))
    }

    fn refuse_strangers(&self) -> Result<(), FilesError> {
        let names = self.options.wanted();
        if self.options.existing == Existing::Replace {
            return link::refuse_directories(&self.dir, names.chain([DATA]));
        }
        for name in names {
            link::refuse_stranger(&self.dir, name, |target| {
                target == Path::new(DATA).join(name)
            })?;
        }
        link::refuse_stranger(&self.dir, DATA, |target| {
            generation::own_name(target).is_some()
        })
    }

    fn remove_leftovers(&self) -> Result<(), FilesError> {
        link::remove_temporary(&self.dir)?;
        let current = self.current()?;
        let previous = generation::newest_before(&self.dir, current.as_deref())?;
        generation::remove_all_but(&self.dir, [current, previous].iter().flatten());
        Ok(())
    }

    fn sync(&self) -> Result<(), FilesError> {
        self.handle
            .sync_all()
            .map_err(FilesError::at(&self.dir, "sync"))
    }
}

/// Makes the directory if it is missing, and makes that durable.
fn make_dir(dir: &Path) -> Result<(), FilesError> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(dir)
        .map_err(FilesError::at(dir, "make the output directory"))?;
    // Where a path has no parent it is "." or "/", and those were there.
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)
            .and_then(|handle| handle.sync_all())
            .map_err(FilesError::at(parent, "sync")),
        _ => Ok(()),
    }
}

pub(crate) const DATA: &str = "..data";
