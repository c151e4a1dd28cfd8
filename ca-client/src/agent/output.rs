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
        if let Some(dir) = &self.dir {
            dir.write_with(svid, bundle, now)?;
        }
        match &self.combined {
            Some(combined) => combined.write(svid),
            None => Ok(()),
        }
    }
}
