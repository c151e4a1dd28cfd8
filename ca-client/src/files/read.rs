//! What did an earlier run leave? Reads one whole generation, whatever is written meanwhile.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use proto::certificate::Certificate;
use zeroize::Zeroizing;

use super::DATA;
use super::FileNames;
use super::FilesError;
use super::ROOT_CERT;
use super::generation;
use super::link;
use crate::svid::Svid;

/// The SVID that an earlier run wrote to `dir`; `None` if there was no such run. It may have expired.
///
/// # Errors
/// When the files are there but cannot be read, or do not fit together.
pub fn stored(dir: &Path) -> Result<Option<Svid>, FilesError> {
    let read = of_current(dir, |generation| {
        let names = FileNames::of(generation);
        let chain = read(&generation.join(names.chain()))?;
        let key = Zeroizing::new(read(&generation.join(names.key()))?);
        Ok((chain, key, read(&generation.join(names.roots()))?))
    })?;
    let Some((chain, key, roots)) = read else {
        return Ok(None);
    };
    Svid::from_pem(&chain, &key, &roots)
        .map(Some)
        .map_err(|source| FilesError::Stored {
            dir: dir.to_owned(),
            source: Box::new(source),
        })
}

/// The trust bundle that an earlier run wrote to `dir`; `None` if there was no such run.
///
/// # Errors
/// When the file is there but cannot be read.
pub fn stored_roots(dir: &Path) -> Result<Option<Vec<Certificate>>, FilesError> {
    let read = of_current(dir, |generation| {
        read(&generation.join(FileNames::of(generation).roots()))
    })?;
    let Some(pem) = read else {
        return Ok(None);
    };
    Certificate::all_from_pem(&pem)
        .map(Some)
        .map_err(|source| FilesError::Certificates {
            path: dir.join(ROOT_CERT),
            source,
        })
}

/// When the SVID in `dir` was written, by the clock of then; `None` if nothing was, or nobody knows.
#[must_use]
pub fn stored_since(dir: &Path) -> Option<SystemTime> {
    let generation = current(dir).ok()??;
    let chain = generation.join(FileNames::of(&generation).chain());
    fs::metadata(chain).ok()?.modified().ok()
}

/// Reads from one generation. When a writer removed it meanwhile, reads from the one that came after.
pub(super) fn of_current<T>(
    dir: &Path,
    read: impl Fn(&Path) -> Result<T, FilesError>,
) -> Result<Option<T>, FilesError> {
    let mut seen = current(dir)?;
    while let Some(generation) = &seen {
        let outcome = read(generation);
        let now = current(dir)?;
        if outcome.is_ok() || now == seen {
            return outcome.map(Some);
        }
        seen = now;
    }
    Ok(None)
}

/// The directory of one generation, so that all files are read from the same.
fn current(dir: &Path) -> Result<Option<PathBuf>, FilesError> {
    let target = link::target(dir, DATA)?;
    Ok(target
        .and_then(|target| generation::own_name(&target))
        .map(|name| dir.join(name)))
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, FilesError> {
    fs::read(path).map_err(FilesError::at(path, "read"))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_generation_that_went_while_it_was_read_is_followed_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let [old, new] = [
            "..2020_01_01_00_00_00.0000000a",
            "..2020_01_01_00_00_01.0000000b",
        ];
        link::point(dir.path(), DATA, Path::new(old)).unwrap();
        let looks = Cell::new(0);
        let seen = of_current(dir.path(), |generation| {
            looks.set(looks.get() + 1);
            link::point(dir.path(), DATA, Path::new(new))?;
            match generation.ends_with(new) {
                true => Ok("the new one"),
                false => Err(FilesError::at(generation, "read")(
                    ErrorKind::NotFound.into(),
                )),
            }
        });
        assert_eq!((seen.unwrap(), looks.get()), (Some("the new one"), 2));
    }
}
