//! Where are the files of an agent, and are they still there? The output directory and the combined
//! file together, opened anew when somebody took them away.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::follow::Memory;
use super::follow::memory;
use super::status::one_line;
use crate::bundle::Bundle;
use crate::files;
use crate::files::Combined;
use crate::files::FilesError;
use crate::files::OutputDir;
use crate::files::OutputOptions;
use crate::instance::InstanceId;
use crate::key::PrivateKey;
use crate::svid::Svid;

/// What an agent writes to, for as long as it runs.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    options: OutputOptions,
    /// `None` while the directory is lost.
    dir: Option<OutputDir>,
    combined: Option<Combined>,
    /// What `..data` leads to, if nobody else changed it.
    generation: Option<String>,
    /// What it was made of.
    content: Option<(Arc<Svid>, Option<Arc<Bundle>>)>,
}

impl Output {
    /// Takes the directory into possession as [`OutputDir::open`] does, and makes sure that the combined
    /// file, where one is wanted, can be written.
    ///
    /// # Errors
    /// When either cannot be written to; what is there is as it was.
    pub fn open(
        dir: impl Into<PathBuf>,
        options: OutputOptions,
        combined: Option<Combined>,
    ) -> Result<Self, FilesError> {
        let path = dir.into();
        let dir = OutputDir::open(&path, options.clone())?;
        if let Some(combined) = &combined {
            combined.refuse_names_of(&dir)?;
            combined.probe()?;
        }
        Ok(Self {
            path,
            options,
            dir: Some(dir),
            combined,
            generation: None,
            content: None,
        })
    }

    /// The same for an agent that others must not wait for: a directory that cannot be used now is tried again
    /// whenever something is to be written.
    ///
    /// # Errors
    /// When no time will cure what is wrong.
    pub fn open_or_later(
        dir: impl Into<PathBuf>,
        options: OutputOptions,
    ) -> Result<Self, FilesError> {
        let path = dir.into();
        match Self::open(&path, options.clone(), None) {
            Err(error) if !error.is_usage() => {
                let out = path.display();
                tracing::error!(%out, "the directory cannot be used, trying again: {}", one_line(&error));
                Ok(Self::later(path, options))
            }
            opened => opened,
        }
    }

    /// A directory that is not looked at before something is to be read or written there.
    #[must_use]
    pub fn later(dir: impl Into<PathBuf>, options: OutputOptions) -> Self {
        Self {
            path: dir.into(),
            options,
            dir: None,
            combined: None,
            generation: None,
            content: None,
        }
    }

    /// What an earlier run left, and since when.
    pub(super) fn stored(&mut self) -> Result<Option<(Svid, Option<SystemTime>)>, FilesError> {
        self.generation = self.current();
        let stored = files::stored(&self.path)?;
        Ok(stored.map(|svid| (svid, files::stored_since(&self.path))))
    }

    pub(super) fn stored_bundle(&self) -> Result<Option<Bundle>, FilesError> {
        files::stored_bundle(&self.path)
    }

    /// What is kept beside the generations. An instance id that is damaged or missing is made anew.
    pub(super) fn memory(&self) -> Memory {
        let memory = Memory::read(&self.path);
        self.remember_instance(memory.instance.as_ref());
        memory
    }

    /// Keeps the instance id where the next run finds it.
    pub(super) fn remember_instance(&self, id: Option<&InstanceId>) {
        if let Some(id) = id
            && let Err(error) = memory::keep_instance(&self.path, id)
        {
            tracing::warn!("the instance id is not kept: {}", one_line(&error));
        }
    }

    /// Where it is kept.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether all of what an earlier run left is of `svid`, with the permissions and owners that are wanted now.
    pub(super) fn is_whole(&self, svid: &Svid) -> bool {
        self.dir.as_ref().is_some_and(OutputDir::is_as_asked)
            && self.combined.as_ref().is_none_or(Combined::is_as_asked)
            && self.check(svid).is_ok()
    }

    fn current(&self) -> Option<String> {
        self.dir.as_ref()?.current().ok().flatten()
    }

    /// The last second of the certificate that is on disk, where everything there is of one certificate; none if
    /// `error`, why ours was not written, says that it is somebody else's.
    pub(super) fn good_until(&self, error: &FilesError) -> Option<SystemTime> {
        if matches!(error, FilesError::Busy { .. }) {
            return None;
        }
        let svid = files::stored(&self.path).ok().flatten()?;
        let combined = self.combined.as_ref();
        let is_whole = self.options.are_in(&self.path)
            && combined.is_none_or(|combined| combined.holds(&svid));
        is_whole.then(|| svid.not_after())
    }

    /// The key that an earlier run asked for and that no certificate came for.
    pub(super) fn requested(&self) -> Option<PrivateKey> {
        files::requested::kept(&self.path)
    }

    /// Keeps a key across restarts until a certificate is written.
    pub(super) fn keep_requested(&self, key: &PrivateKey) -> Result<(), FilesError> {
        self.held_dir()?;
        files::requested::keep(&self.path, key)
    }

    /// Makes sure that everything is where it was written. A run that was killed between the directory
    /// and the combined file left an old one of those.
    pub(super) fn check(&self, svid: &Svid) -> Result<(), FilesError> {
        self.check_dir()?;
        match &self.combined {
            Some(combined) if !combined.holds(svid) => Err(combined.gone()),
            _ => Ok(()),
        }
    }

    fn check_dir(&self) -> Result<(), FilesError> {
        self.held_dir()?.check()?;
        match self.current() == self.generation {
            true => Ok(()),
            // Somebody put an older copy of the directory back.
            false => Err(FilesError::Gone {
                missing: self.path.join(files::DATA),
            }),
        }
    }

    /// The directory, if it is still ours.
    fn held_dir(&self) -> Result<&OutputDir, FilesError> {
        let dir = self.dir.as_ref().filter(|dir| !dir.is_lost());
        dir.ok_or_else(|| FilesError::Gone {
            missing: self.path.clone(),
        })
    }

    /// Writes everything that is not there; a directory that was lost is opened anew first.
    pub(super) fn write(
        &mut self,
        svid: &Arc<Svid>,
        bundle: Option<&Arc<Bundle>>,
        now: SystemTime,
    ) -> Result<(), FilesError> {
        let written = self.write_missing(svid, bundle, now);
        if written.as_ref().is_err_and(FilesError::is_read_only) {
            // Nobody can take the directory from us now, but a mount that is held cannot be repaired.
            self.dir = None;
        }
        written
    }

    fn write_missing(
        &mut self,
        svid: &Arc<Svid>,
        bundle: Option<&Arc<Bundle>>,
        now: SystemTime,
    ) -> Result<(), FilesError> {
        // Where only the combined file is missing, readers of the directory have no reason to look again.
        if !self.has_in_dir(svid, bundle) || self.check_dir().is_err() {
            self.content = None;
            self.write_dir(svid, bundle.map(AsRef::as_ref), now)?;
            self.content = Some((Arc::clone(svid), bundle.cloned()));
        }
        match &self.combined {
            Some(combined) => combined.write(svid),
            None => Ok(()),
        }
    }

    fn has_in_dir(&self, svid: &Arc<Svid>, bundle: Option<&Arc<Bundle>>) -> bool {
        self.content.as_ref().is_some_and(|(seen, beside)| {
            let same_bundle = match (beside, bundle) {
                (Some(one), Some(other)) => Arc::ptr_eq(one, other),
                (one, other) => one.is_none() && other.is_none(),
            };
            same_bundle && Arc::ptr_eq(seen, svid)
        })
    }

    fn write_dir(
        &mut self,
        svid: &Svid,
        bundle: Option<&Bundle>,
        now: SystemTime,
    ) -> Result<(), FilesError> {
        if self.held_dir().is_err() {
            // The lock of the old directory goes with it.
            self.dir = None;
            self.dir = Some(OutputDir::open(&self.path, self.options.clone())?);
        }
        let written = match &self.dir {
            Some(dir) => dir.write_with(svid, bundle, now),
            None => Ok(()),
        };
        self.generation = self.current();
        written
    }
}
