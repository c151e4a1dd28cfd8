//! What lies in the data directory at one moment? Looked at before and after the copy: a copy of several moments is none.
//!
//! Leaves out the ledger, which has its own form, what only lives with the process, and files that are being written.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use proto::certificate::Fingerprint;
use zeroize::Zeroizing;

use crate::data_dir::LEDGER_DIR;

/// Everything that belongs into a backup, by its path in the data directory; a directory comes before what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    pub(super) found: BTreeMap<PathBuf, Found>,
}

/// What is under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Directory,
    Link { to: PathBuf },
    File { sha256: Fingerprint },
}

impl Survey {
    /// Looks at everything in `data_dir`, at its keys only `with_keys`.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] also when something went away meanwhile.
    pub(super) fn of(data_dir: &Path, with_keys: bool) -> io::Result<Self> {
        let mut survey = Self::default();
        survey.add(data_dir, Path::new(""), with_keys)?;
        Ok(survey)
    }

    fn add(&mut self, dir: &Path, inside: &Path, with_keys: bool) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            if is_left_out(&name, with_keys) {
                continue;
            }
            let inside = inside.join(&name);
            let kind = fs::symlink_metadata(&path)?.file_type();
            if kind.is_dir() {
                self.found.insert(inside.clone(), Found::Directory);
                self.add(&path, &inside, with_keys)?;
            } else if kind.is_symlink() {
                let to = fs::read_link(&path)?;
                self.found.insert(inside, Found::Link { to });
            } else if kind.is_file() {
                let bytes = Zeroizing::new(fs::read(&path)?);
                let sha256 = Fingerprint::of(&bytes);
                self.found.insert(inside, Found::File { sha256 });
            }
        }
        Ok(())
    }
}

fn is_left_out(name: &OsStr, with_keys: bool) -> bool {
    let name = name.to_string_lossy();
    let is_ledger = name == LEDGER_DIR || name.starts_with(&format!("{LEDGER_DIR}."));
    // Anywhere in the name: a crash may have left a file beside the one that it was to become.
    let is_key = name.contains("-key.pem") || name.contains("tls.key");
    name == "lock" || is_ledger || is_unfinished(&name) || (!with_keys && is_key)
}

/// What becomes something under another name, or goes. Whole copies of bundles that wait for their name are not among
/// these: a crash at that moment would find them.
fn is_unfinished(name: &str) -> bool {
    let is_replacement = name.starts_with('.') && name.ends_with(".new");
    let is_archive = name.starts_with(".tmp");
    is_replacement || is_archive || UNFINISHED_SETS.contains(&name)
}

const UNFINISHED_SETS: [&str; 3] = ["ca.new", "ca.new-link", "ca.old"];
