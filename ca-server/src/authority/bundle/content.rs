//! What is in the directory of a bundle at one moment? All its files are read at once, and judged, hashed and copied from
//! memory: nobody can replace them in between.
//!
//! Names, times and inode numbers say nothing: a volume may keep its times, a link may be swapped. Only bytes count.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use proto::certificate::Fingerprint;
use zeroize::Zeroizing;

use super::CRL;
use super::Layout;
use super::files::MAX_LEN;
use crate::authority::replace_file::replace_file;
use crate::authority::replace_file::sync_dir;

/// The files of a bundle, as they were together.
pub struct Content {
    dir: PathBuf,
    files: Vec<(&'static str, Entry)>,
}

/// What is under one of the names.
#[derive(PartialEq, Eq)]
pub(super) enum Entry {
    /// A file, up to one byte more than a bundle's file may have.
    File {
        bytes: Zeroizing<Vec<u8>>,
        mode: u32,
    },
    /// A directory, a pipe, or the like.
    NotAFile,
    /// What the system said.
    Unreadable { reason: String },
}

impl Content {
    /// Reads the files of a bundle in `dir`, through one look at the links on the way, until two readings agree.
    ///
    /// # Errors
    /// When the directory is not there or cannot be searched; [`io::ErrorKind::ResourceBusy`] when its files change
    /// faster than they can be read.
    pub fn read(dir: &Path) -> io::Result<Self> {
        let mut before = read(dir)?;
        for _ in 0..MOST_READINGS {
            let files = read(dir)?;
            if files == before {
                let dir = dir.to_owned();
                return Ok(Self { dir, files });
            }
            before = files;
        }
        Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "the files change faster than they can be read",
        ))
    }

    /// A directory with none of the files.
    pub(super) fn none(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            files: Vec::new(),
        }
    }

    /// SHA-256 over names and contents; `None` when none of the files is there.
    #[must_use]
    pub fn hash(&self) -> Option<Fingerprint> {
        let mut all = Zeroizing::new(Vec::new());
        for (name, entry) in &self.files {
            all.extend_from_slice(name.as_bytes());
            match entry {
                Entry::File { bytes, .. } => {
                    all.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
                    all.extend_from_slice(bytes);
                }
                // Longer than any file can be.
                Entry::NotAFile => all.extend_from_slice(&u64::MAX.to_be_bytes()),
                Entry::Unreadable { .. } => all.extend_from_slice(&(u64::MAX - 1).to_be_bytes()),
            }
        }
        (!self.files.is_empty()).then(|| Fingerprint::of(&all))
    }

    /// Writes the files to `to`, each with mode 0600, and syncs them. The key comes last.
    ///
    /// # Errors
    /// `to` may hold some of the files then, each of them whole.
    pub fn write(&self, to: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).recursive(true).create(to)?;
        for (name, entry) in &self.files {
            if let Entry::File { bytes, .. } = entry {
                replace_file(&to.join(name), bytes, 0o600)?;
            }
        }
        sync_dir(to)
    }

    /// Where it was read.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn get(&self, name: &str) -> Option<&Entry> {
        let mut files = self.files.iter();
        files
            .find(|(known, _)| *known == name)
            .map(|(_, entry)| entry)
    }
}

/// The names alone: one of the files is a key.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.files.iter().map(|(name, _)| name);
        f.debug_set().entries(names).finish()
    }
}

/// Where the files of the bundle in `dir` really are, and the ways there: whoever waits for changes looks at these.
#[must_use]
pub fn places(dir: &Path) -> BTreeSet<PathBuf> {
    let files = names().into_iter().map(|name| dir.join(name));
    let links = files.chain([dir.to_owned(), dir.join("..data")]);
    let mut places: BTreeSet<PathBuf> = links.filter_map(|it| it.canonicalize().ok()).collect();
    places.insert(dir.to_owned());
    places
}

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

/// Kubernetes keeps a volume's files behind the link `..data` and renames that on a change, others swap a link to the
/// whole directory: one look at the links, and all files are of the same moment.
fn read(dir: &Path) -> io::Result<Vec<(&'static str, Entry)>> {
    if let Ok(data) = dir.join("..data").canonicalize() {
        let files = read_all(&data)?;
        if !files.is_empty() {
            return Ok(files);
        }
    }
    read_all(&dir.canonicalize()?)
}

fn read_all(dir: &Path) -> io::Result<Vec<(&'static str, Entry)>> {
    let mut files = Vec::new();
    for name in names() {
        if let Some(entry) = entry(&dir.join(name))? {
            files.push((name, entry));
        }
    }
    Ok(files)
}

/// `None` when there is no such file.
fn entry(path: &Path) -> io::Result<Option<Entry>> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A name that leads nowhere is no absent name: nobody meant to remove the bundle.
            return Ok(path.is_symlink().then(|| Entry::Unreadable {
                reason: "the link leads nowhere".to_owned(),
            }));
        }
        Err(error) => return Err(error),
    };
    // A pipe would keep the reader waiting for ever.
    if !metadata.is_file() {
        return Ok(Some(Entry::NotAFile));
    }
    let mode = metadata.permissions().mode() & 0o777;
    let mut bytes = Zeroizing::new(Vec::new());
    let opened = File::open(path);
    let read = opened.and_then(|file| file.take(MAX_LEN + 1).read_to_end(&mut bytes));
    Ok(match read {
        Ok(_) => Some(Entry::File { bytes, mode }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(Entry::Unreadable {
            reason: error.to_string(),
        }),
    })
}

/// Two that agree are enough, and all but a file that is written without pause agrees long before that.
const MOST_READINGS: u32 = 10;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::fs::symlink;

    use super::*;

    fn hash(dir: &Path) -> io::Result<Option<Fingerprint>> {
        Content::read(dir).map(|content| content.hash())
    }

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
    fn a_link_that_leads_nowhere_is_no_absent_file() {
        let dir = tempfile::tempdir().unwrap();
        symlink("..data/ca-key.pem", dir.path().join("ca-key.pem")).unwrap();
        assert!(hash(dir.path()).unwrap().is_some());
    }

    #[test]
    fn a_pipe_or_a_directory_under_one_of_the_names_is_no_file_and_keeps_nobody_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("ca-cert.pem");
        let made = std::process::Command::new("mkfifo").arg(pipe).status();
        assert!(made.unwrap().success());
        fs::create_dir(dir.path().join("ca-key.pem")).unwrap();
        let content = Content::read(dir.path()).unwrap();
        for name in ["ca-cert.pem", "ca-key.pem"] {
            assert!(matches!(content.get(name), Some(Entry::NotAFile)), "{name}");
        }
    }

    #[test]
    fn a_copy_is_its_owners_alone_and_holds_what_was_read_whatever_came_later() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("deep/to"));
        let set = from.join("..1");
        fs::create_dir_all(&set).unwrap();
        symlink("..1", from.join("..data")).unwrap();
        for name in names() {
            write(&set, name, name);
        }
        let content = Content::read(&from).unwrap();
        write(&set, "ca-cert.pem", "later");
        content.write(&to).unwrap();
        assert_eq!(hash(&to).unwrap(), content.hash());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&to), mode(&to.join("ca-key.pem"))), (0o700, 0o600));
    }

    /// Two sets whose link is swapped as fast as it can be; every file of a set says which it is.
    #[test]
    fn what_is_read_is_of_one_set_however_fast_links_are_swapped() {
        for link in ["..data", "."] {
            let dir = tempfile::tempdir().unwrap();
            for set in ["1", "2"] {
                fs::create_dir(dir.path().join(set)).unwrap();
                for name in names() {
                    write(&dir.path().join(set), name, set);
                }
            }
            let (looked_at, swapped) = match link {
                "." => (dir.path().join("whole"), dir.path().join("whole")),
                link => (dir.path().to_owned(), dir.path().join(link)),
            };
            let swap = |set: &str| {
                symlink(dir.path().join(set), dir.path().join("new")).unwrap();
                fs::rename(dir.path().join("new"), &swapped).unwrap();
            };
            swap("1");
            let stop = std::sync::atomic::AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                        swap("2");
                        swap("1");
                    }
                });
                let read = (0..500).filter_map(|_| Content::read(&looked_at).ok());
                let torn = |content: &Content| {
                    let mut files = content.files.iter();
                    let first = content.files.first().map(|(_, entry)| entry);
                    content.files.len() != names().len()
                        || files.any(|(_, entry)| Some(entry) != first)
                };
                let torn: Vec<Content> = read.filter(torn).collect();
                stop.store(true, std::sync::atomic::Ordering::SeqCst);
                assert!(torn.is_empty(), "{link}: {torn:?}");
            });
        }
    }
}
