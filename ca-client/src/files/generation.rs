//! What is one generation of files? A directory `..YYYY_MM_DD_HH_MM_SS.xxxxxxxx`, whole and synced
//! before anything leads to it, removed again if nothing ever does.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use ring::rand::SecureRandom as _;
use ring::rand::SystemRandom;
use time::OffsetDateTime;

use super::Access;
use super::FilesError;

/// A generation under construction. Dropped before [`Self::keep`], it disappears.
#[derive(Debug)]
pub(super) struct Generation {
    /// Where it will be found: what errors name, since they are compared and nobody knows our own name.
    parent: PathBuf,
    path: PathBuf,
    name: String,
    kept: bool,
}

impl Generation {
    /// Makes an empty directory with a name that nobody else has.
    pub(super) fn create(parent: &Path, now: SystemTime) -> Result<Self, FilesError> {
        let name = new_name(now)?;
        let path = parent.join(&name);
        fs::DirBuilder::new()
            .mode(0o755)
            .create(&path)
            .map_err(FilesError::at(parent, "make a directory in"))?;
        let generation = Self {
            parent: parent.to_owned(),
            path,
            name,
            kept: false,
        };
        // The files' own modes say who may read; a umask must not shut them in.
        fs::set_permissions(&generation.path, fs::Permissions::from_mode(0o755))
            .map_err(FilesError::at(parent, "set permissions in"))?;
        Ok(generation)
    }

    /// Finds out whether a generation could be made, its files' owners included, by making one and
    /// removing it.
    pub(super) fn probe(
        parent: &Path,
        wanted: impl IntoIterator<Item = Access>,
    ) -> Result<(), FilesError> {
        let generation = Self::create(parent, SystemTime::UNIX_EPOCH)?;
        for (number, access) in wanted.into_iter().enumerate() {
            generation.put(&format!("probe-{number}"), b"", access)?;
        }
        Ok(())
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Writes one file, on disk when this returns.
    pub(super) fn put(&self, name: &str, content: &[u8], access: Access) -> Result<(), FilesError> {
        let path = self.path.join(name);
        let failed = |source| FilesError::at(&self.parent.join(name), "write")(source);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(access.mode & 0o600)
            .open(&path)
            .map_err(failed)?;
        access
            .apply(&file)
            .map_err(FilesError::at(&path, "set owner and permissions of"))?;
        file.write_all(content).map_err(failed)?;
        file.sync_all().map_err(failed)
    }

    /// Makes the directory's entries durable.
    pub(super) fn sync(&self) -> Result<(), FilesError> {
        File::open(&self.path)
            .and_then(|handle| handle.sync_all())
            .map_err(FilesError::at(&self.parent, "sync a directory in"))
    }

    /// Something leads here now: it stays.
    pub(super) fn keep(mut self) -> String {
        self.kept = true;
        self.name.clone()
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is removed by the next run.
            drop(fs::remove_dir_all(&self.path));
        }
    }
}

/// `target` as a name of ours; nothing that has another shape is ever removed.
pub(super) fn own_name(target: &Path) -> Option<String> {
    let name = target.to_str()?;
    let (stamp, random) = name.strip_prefix("..")?.split_once('.')?;
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let random_fits = random.len() == 8 && random.chars().all(is_hex);
    let shape: String = stamp
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    (random_fits && shape == "0000_00_00_00_00_00").then(|| name.to_owned())
}

/// The newest generation that is older than `current`, by name: what readers may still be in.
pub(super) fn newest_before(
    parent: &Path,
    current: Option<&str>,
) -> Result<Option<String>, FilesError> {
    let Some(current) = current else {
        return Ok(None);
    };
    let all = all(parent)?;
    Ok(all.into_iter().filter(|name| name.as_str() < current).max())
}

/// Removes every generation but those of `keep`, as far as that goes: one that stays, because a reader on
/// a network file system is in it, must not keep the others, or stop renewal.
pub(super) fn remove_all_but<'a>(parent: &Path, keep: impl IntoIterator<Item = &'a String>) {
    let keep: Vec<&String> = keep.into_iter().collect();
    let names = all(parent).unwrap_or_else(|error| {
        tracing::warn!(%error, "old files are not removed");
        Vec::new()
    });
    for name in names.iter().filter(|name| !keep.contains(name)) {
        let path = parent.join(name);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "old files are not removed");
            }
            _ => {}
        }
    }
}

fn all(parent: &Path) -> Result<Vec<String>, FilesError> {
    let failed = |source| FilesError::at(parent, "list")(source);
    let mut names = Vec::new();
    for entry in fs::read_dir(parent).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_dir = entry.file_type().map_err(failed)?.is_dir();
        names.extend(own_name(Path::new(&entry.file_name())).filter(|_| is_dir));
    }
    Ok(names)
}

fn new_name(now: SystemTime) -> Result<String, FilesError> {
    let mut random = [0; 4];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_unspecified| FilesError::NoRandomness)?;
    let at = OffsetDateTime::from(now);
    let random = u32::from_be_bytes(random);
    Ok(format!(
        "..{:04}_{:02}_{:02}_{:02}_{:02}_{:02}.{random:08x}",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_name_is_one_of_ours_and_sorts_by_time() {
        let early = new_name(SystemTime::UNIX_EPOCH).unwrap();
        let late = new_name(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(60)).unwrap();
        assert_eq!(own_name(Path::new(&early)), Some(early.clone()));
        assert!(early < late, "{early} {late}");
    }

    #[test]
    fn names_of_others_are_not_taken_for_ours() {
        let others = [
            "..data",
            "..",
            "..2026_01_01_00_00_00.123456789",
            "..2026_01_01_00_00_00.XXXXXXXX",
            "2026_01_01_00_00_00.12345678",
            "..2026-01-01_00_00_00.12345678",
            "../..2026_01_01_00_00_00.12345678",
            "..2026_01_01_00_00_00.1234567/",
        ];
        for name in others {
            assert_eq!(own_name(Path::new(name)), None, "{name}");
        }
    }
}
