//! Where are the files of an agent, and are they still there? The output directory and the combined
//! file together, opened anew when somebody took them away.

use std::path::Path;
use std::path::PathBuf;
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
        let dir = OutputDir::open(&path, options)?;
        if let Some(combined) = &combined {
            combined.refuse_names_of(&dir)?;
            combined.probe()?;
        }
        Ok(Self {
            path,
            options,
            dir: Some(dir),
            combined,
        })
    }

    /// What an earlier run left, and since when.
    pub(super) fn stored(&self) -> Result<Option<(Svid, Option<SystemTime>)>, FilesError> {
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

    /// Whether what an earlier run left has the permissions and owners that are wanted now.
    pub(super) fn is_as_asked(&self) -> bool {
        self.dir.as_ref().is_some_and(OutputDir::is_as_asked)
            && self.combined.as_ref().is_none_or(Combined::is_as_asked)
    }

    /// The last second of the certificate that is on disk, where everything there is of one certificate.
    pub(super) fn good_until(&self) -> Option<SystemTime> {
        let svid = files::stored(&self.path).ok().flatten()?;
        let combined = self.combined.as_ref();
        let is_whole = combined.is_none_or(|combined| combined.holds(&svid));
        is_whole.then(|| svid.not_after())
    }

    /// The key that an earlier run asked for and that no certificate came for.
    pub(super) fn requested(&self) -> Option<PrivateKey> {
        files::requested::kept(&self.path)
    }

    /// Keeps a key across restarts until a certificate is written.
    pub(super) fn keep_requested(&self, key: &PrivateKey) -> Result<(), FilesError> {
        files::requested::keep(&self.path, key)
    }

    /// Makes sure that everything is where it was written. A run that was killed between the directory
    /// and the combined file left an old one of those.
    pub(super) fn check(&self, svid: &Svid) -> Result<(), FilesError> {
        let lost = || FilesError::Gone {
            missing: self.path.clone(),
        };
        self.dir.as_ref().ok_or_else(lost)?.check()?;
        match &self.combined {
            Some(combined) if !combined.holds(svid) => Err(combined.gone()),
            _ => Ok(()),
        }
    }

    /// Writes everything; a directory that was lost is opened anew first.
    pub(super) fn write(
        &mut self,
        svid: &Svid,
        bundle: Option<&Bundle>,
        now: SystemTime,
    ) -> Result<(), FilesError> {
        let is_lost = self.dir.as_ref().is_none_or(OutputDir::is_lost);
        if is_lost {
            // The lock of the old directory goes with it.
            self.dir = None;
            self.dir = Some(OutputDir::open(&self.path, self.options)?);
        }
        let written = match &self.dir {
            Some(dir) => dir.write_with(svid, bundle, now),
            None => Ok(()),
        };
        if written.as_ref().is_err_and(FilesError::is_read_only) {
            // Nobody can take the directory from us now, but a mount that is held cannot be repaired.
            self.dir = None;
        }
        written?;
        match &self.combined {
            Some(combined) => combined.write(svid),
            None => Ok(()),
        }
    }
}
