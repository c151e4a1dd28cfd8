//! Did anything in the directory change? One hash over all files of a bundle, and a private copy of them.
//!
//! Names, times and inode numbers say nothing: a volume may keep its times, a link may be swapped. Only bytes count.

use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::path::PathBuf;

use proto::certificate::Fingerprint;
use zeroize::Zeroizing;

use super::CRL;
use super::Layout;
use super::files::MAX_LEN;
use super::snapshot;
use crate::authority::replace_file::replace_file;
use crate::authority::replace_file::sync_dir;

/// Every name that may belong to a bundle, in the order in which they are hashed and copied: the key last, so
/// that a copy that was cut short lacks it.
fn names() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = [Layout::Istio, Layout::KubernetesTls]
        .into_iter()
        .flat_map(|layout| {
            [
                layout.roots_file(),
                layout.chain_file(),
                layout.issuer_file(),
            ]
        })
        .chain([
            CRL,
            Layout::Istio.key_file(),
            Layout::KubernetesTls.key_file(),
        ])
        .collect();
    names.dedup();
    names
}

/// SHA-256 over names and contents of all files of a bundle in `dir`, read through one look at `..data`; `None`
/// when none is there.
///
/// # Errors
/// When a file is there and cannot be read, or the directory is not there.
pub fn hash(dir: &Path) -> io::Result<Option<Fingerprint>> {
    fs::metadata(dir)?;
    let files = read(&snapshot(dir))?;
    if files.is_empty() {
        return Ok(None);
    }
    let mut all = Zeroizing::new(Vec::new());
    for (name, content) in files {
        all.extend_from_slice(name.as_bytes());
        all.extend_from_slice(&(content.len() as u64).to_be_bytes());
        all.extend_from_slice(&content);
    }
    Ok(Some(Fingerprint::of(&all)))
}

/// Copies the files of the bundle in `dir` to `to`, each with mode 0600, synced. What `to` has besides is removed.
///
/// # Errors
/// `to` may hold some of the files then, each of them whole.
pub fn copy(dir: &Path, to: &Path) -> io::Result<()> {
    let files = read(&snapshot(dir))?;
    DirBuilder::new().mode(0o700).recursive(true).create(to)?;
    for name in names() {
        match files.iter().find(|(known, _)| *known == name) {
            Some((_, content)) => replace_file(&to.join(name), content, 0o600)?,
            None => remove(&to.join(name))?,
        }
    }
    sync_dir(to)?;
    to.parent().map_or(Ok(()), sync_dir)
}

fn read(dir: &Path) -> io::Result<Vec<Named>> {
    let mut files = Vec::new();
    for name in names() {
        if let Some(content) = content(&dir.join(name))? {
            files.push((name, content));
        }
    }
    Ok(files)
}

/// A file's name and content.
type Named = (&'static str, Zeroizing<Vec<u8>>);

/// `None` when there is no such file. What is not a regular file, or too long for a bundle, counts as its beginning:
/// judging it is done elsewhere.
fn content(path: &PathBuf) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Ok(Some(Zeroizing::new(Vec::new()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut content = Zeroizing::new(Vec::new());
    File::open(path)?
        .take(MAX_LEN + 1)
        .read_to_end(&mut content)?;
    Ok(Some(content))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(dir: &Path, name: &str, content: &str) {
        fs::write(dir.join(name), content).unwrap();
    }

    #[test]
    fn every_file_of_a_bundle_counts_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(hash(dir.path()).unwrap(), None);
        let mut seen = vec![];
        for name in names() {
            for content in ["a", "b", ""] {
                write(dir.path(), name, content);
                let hash = hash(dir.path()).unwrap();
                assert!(!seen.contains(&hash), "{name} {content}");
                seen.push(hash);
            }
        }
        write(dir.path(), "README", "c");
        assert_eq!(hash(dir.path()).unwrap(), *seen.last().unwrap());
    }

    #[test]
    fn content_that_moves_from_one_file_to_the_next_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "ca-cert.pem", "ab");
        write(dir.path(), "ca-key.pem", "c");
        let before = hash(dir.path()).unwrap();
        write(dir.path(), "ca-cert.pem", "a");
        write(dir.path(), "ca-key.pem", "bc");
        assert_ne!(hash(dir.path()).unwrap(), before);
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_and_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        assert!(hash(&dir.path().join("gone")).is_err());
    }

    #[test]
    fn a_copy_is_its_owners_alone_and_loses_what_the_original_lost() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("deep/to"));
        let set = from.join("..1");
        fs::create_dir_all(&set).unwrap();
        symlink("..1", from.join("..data")).unwrap();
        for name in [
            "ca-cert.pem",
            "ca-key.pem",
            "cert-chain.pem",
            "root-cert.pem",
            CRL,
        ] {
            write(&set, name, name);
        }
        copy(&from, &to).unwrap();
        assert_eq!(hash(&to).unwrap(), hash(&from).unwrap());
        fs::remove_file(set.join(CRL)).unwrap();
        copy(&from, &to).unwrap();
        assert!(!to.join(CRL).exists());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&to), mode(&to.join("ca-key.pem"))), (0o700, 0o600));
    }
}
