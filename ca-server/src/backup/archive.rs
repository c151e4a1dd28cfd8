//! How does a backup lie in a tar archive? `manifest.json`, `files/…`, `ledger.rows`, in this order.

use std::fs::File;
use std::io;
use std::io::BufReader;
use std::io::BufWriter;
use std::io::Read;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::io::Write as _;
use std::path::Path;

use tar::Archive;
use tar::Builder;
use tar::Header;

use super::BackupError;
use super::Summary;
use super::VERSION;
use super::survey::Found;
use super::survey::Survey;

pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const FILES: &str = "files";
pub(super) const LEDGER_ROWS: &str = "ledger.rows";

/// Writes the archive to `out`, the files of `data_dir` as they were together at one moment. Answers `false`, and `out` is
/// as it was, when something changed meanwhile.
///
/// # Errors
/// What was written to `out` is not a backup.
pub(super) fn write(
    data_dir: &Path,
    summary: &Summary,
    ledger_rows: File,
    out: &mut File,
) -> Result<bool, BackupError> {
    let failed = |source| BackupError::Io {
        path: data_dir.to_owned(),
        source,
    };
    let begin = out.stream_position().map_err(failed)?;
    match write_files(data_dir, summary, out) {
        Ok(Some(tar)) => {
            append_rows(tar, ledger_rows).map_err(failed)?;
            return Ok(true);
        }
        Ok(None) => {}
        // Something went away.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    out.set_len(begin).map_err(failed)?;
    out.seek(SeekFrom::Start(begin)).map_err(failed)?;
    Ok(false)
}

/// The archive so far; `None` when something changed meanwhile.
fn write_files(data_dir: &Path, summary: &Summary, out: &File) -> io::Result<Option<Tar>> {
    let before = Survey::of(data_dir, summary.with_keys)?;
    let mut tar = Builder::new(BufWriter::new(out.try_clone()?));
    tar.follow_symlinks(false);
    let manifest = serde_json::to_vec_pretty(summary)?;
    let mut header = Header::new_gnu();
    header.set_size(manifest.len().try_into().map_err(io::Error::other)?);
    header.set_mode(0o600);
    tar.append_data(&mut header, MANIFEST, manifest.as_slice())?;
    for (name, found) in &before.found {
        let (path, inside) = (data_dir.join(name), Path::new(FILES).join(name));
        match found {
            Found::Directory => tar.append_dir(&inside, &path)?,
            Found::File { .. } | Found::Link { .. } => tar.append_path_with_name(&path, &inside)?,
        }
    }
    let is_of_one_moment = Survey::of(data_dir, summary.with_keys)? == before;
    Ok(is_of_one_moment.then_some(tar))
}

fn append_rows(mut tar: Tar, mut ledger_rows: File) -> io::Result<()> {
    ledger_rows.rewind()?;
    tar.append_file(LEDGER_ROWS, &mut ledger_rows)?;
    tar.into_inner()?.flush()
}

type Tar = Builder<BufWriter<File>>;

/// Reads a whole archive and says what is in it.
///
/// # Errors
/// When it is not a backup, or cut.
pub fn inspect(path: &Path) -> Result<Summary, BackupError> {
    let mut summary = None;
    let mut has_ledger = false;
    for_each_entry(path, |name, entry| {
        if name == Path::new(MANIFEST) {
            summary = Some(read_manifest(path, entry)?);
            return Ok(());
        }
        has_ledger |= name == Path::new(LEDGER_ROWS);
        // The end of the file inside an entry is no error to the reader.
        let read = io::copy(entry, &mut io::sink()).map_err(|source| BackupError::Io {
            path: path.to_owned(),
            source,
        })?;
        match read == entry.size() {
            true => Ok(()),
            false => Err(BackupError::Cut {
                path: path.to_owned(),
                entry: name.to_owned(),
            }),
        }
    })?;
    match summary {
        Some(summary) if has_ledger => Ok(summary),
        _ => Err(not_a_backup(path, "its manifest or its ledger is missing")),
    }
}

/// Calls `act` with the name and content of each entry.
pub(super) fn for_each_entry(
    path: &Path,
    mut act: impl FnMut(&Path, &mut tar::Entry<'_, BufReader<File>>) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let failed = |source| BackupError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut archive = Archive::new(BufReader::new(file));
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry
            .map_err(|error| not_a_backup(path, &format!("it is cut off or damaged: {error}")))?;
        let name = entry.path().map_err(failed)?.into_owned();
        act(&name, &mut entry)?;
    }
    Ok(())
}

pub(super) fn read_manifest(path: &Path, entry: &mut impl Read) -> Result<Summary, BackupError> {
    let summary: Summary = serde_json::from_reader(entry)
        .map_err(|error| not_a_backup(path, &format!("{MANIFEST}: {error}")))?;
    if summary.version > VERSION {
        return Err(BackupError::NewerVersion {
            path: path.to_owned(),
            found: summary.version,
        });
    }
    Ok(summary)
}

pub(super) fn not_a_backup(path: &Path, reason: &str) -> BackupError {
    BackupError::NotABackup {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::PathBuf;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn summary() -> Summary {
        Summary {
            version: VERSION,
            taken_at: String::new(),
            with_keys: true,
            ledger_rows: 0,
        }
    }

    /// The files of a backup of `data_dir`, by name; `None` when they changed meanwhile.
    fn backed_up(data_dir: &Path) -> Option<BTreeMap<PathBuf, String>> {
        let mut out = tempfile::NamedTempFile::new().unwrap();
        let rows = tempfile::tempfile().unwrap();
        if !write(data_dir, &summary(), rows, out.as_file_mut()).unwrap() {
            assert_eq!(out.as_file().metadata().unwrap().len(), 0);
            return None;
        }
        assert_eq!(inspect(out.path()).unwrap(), summary());
        let mut files = BTreeMap::new();
        for_each_entry(out.path(), |name, entry| {
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            let name = name.strip_prefix(FILES).unwrap_or(name);
            files.insert(name.to_owned(), content);
            Ok(())
        })
        .unwrap();
        Some(files)
    }

    /// As files of the data directory change: written beside, renamed over, one after the other.
    fn replace(dir: &Path, name: &str, content: &str) {
        let beside = dir.join(format!(".{name}.new"));
        fs::write(&beside, content).unwrap();
        fs::rename(beside, dir.join(name)).unwrap();
    }

    /// Many more files lie between those that change than a data directory has, so that a copy takes its time.
    #[test]
    fn a_backup_holds_all_files_as_they_were_together_although_they_change_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..300 {
            fs::write(dir.path().join(format!("s-{number}")), "still").unwrap();
        }
        let step = |number: u32| {
            for name in ["rotation.json", "trust-bundle.json"] {
                replace(dir.path(), name, &number.to_string());
            }
        };
        step(0);
        let (stop, stopped) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                let still = Duration::from_millis(60);
                let mut numbers = 1..;
                while stopped.recv_timeout(still) == Err(mpsc::RecvTimeoutError::Timeout) {
                    step(numbers.next().unwrap());
                }
            });
            let taken = (0..60).filter_map(|_| backed_up(dir.path()));
            let number = |files: &BTreeMap<PathBuf, String>, name: &str| {
                files[Path::new(name)].parse::<u32>().unwrap()
            };
            let taken: Vec<(u32, u32)> = taken
                .map(|it| {
                    (
                        number(&it, "rotation.json"),
                        number(&it, "trust-bundle.json"),
                    )
                })
                .collect();
            drop(stop);
            let is_one = |(first, second): &(u32, u32)| first == second || *first == second + 1;
            assert!(taken.iter().all(is_one), "{taken:?}");
            assert!(!taken.is_empty());
        });
    }

    #[test]
    fn what_is_being_written_is_left_out_and_a_copy_that_waits_for_its_name_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let copy = "signers/0.new";
        for name in ["ca.new", "ca.old", "ca.1", copy] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("ca-key.pem"), name).unwrap();
        }
        for name in [".state.json.new", ".tmpx1y2", "lock", "state.json"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let files = backed_up(dir.path()).unwrap();
        let names: Vec<&str> = files.keys().map(|name| name.to_str().unwrap()).collect();
        let all = [
            "ca.1",
            "ca.1/ca-key.pem",
            LEDGER_ROWS,
            MANIFEST,
            "signers",
            copy,
            "signers/0.new/ca-key.pem",
            "state.json",
        ];
        assert_eq!(names, all);
    }
}
