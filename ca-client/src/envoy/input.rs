//! Which files hold the policies? Those named, and those that lie in a directory named.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use super::EnvoyError;
use super::policy::is_yaml;
use crate::input;

/// The files of `paths` with their text, those of a directory in the order of their names.
///
/// # Errors
/// The first that cannot be read.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<(Arc<Path>, String)>, EnvoyError> {
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => files.extend(of_directory(path)?),
            false => files.push(path.clone()),
        }
    }
    // A file that is named twice would contradict itself.
    let mut seen = Vec::new();
    files.retain(|path| {
        let is_new = !seen.contains(path);
        seen.push(path.clone());
        is_new
    });
    let text = |path: PathBuf| {
        let bytes = input::read(&path, std::io::stdin().lock())?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok((Arc::from(path), text)),
            Err(source) => Err(EnvoyError::NotText { path, source }),
        }
    };
    files.into_iter().map(text).collect()
}

fn of_directory(directory: &Path) -> Result<Vec<PathBuf>, EnvoyError> {
    let failed = |source| EnvoyError::ReadDir {
        path: directory.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if is_yaml(&path) && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(EnvoyError::NoPolicies {
            path: directory.to_owned(),
        }),
        false => Ok(files),
    }
}
