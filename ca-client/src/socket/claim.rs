//! Whose is the path of a socket? Of whoever holds the lock beside it: one process at a time, until it lets go or ends.

use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::io::ErrorKind;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::OFlags;

/// A path that is ours. The lock's file goes with it; that of a killed process is nobody's, and is taken over.
#[derive(Debug)]
pub(super) struct Claim {
    lock: File,
    path: PathBuf,
}

/// Why a path is not ours.
#[derive(Debug)]
pub(super) enum ClaimError {
    /// Another process has it.
    Held {
        /// The lock's file.
        lock: PathBuf,
        /// The process, as it wrote it down.
        holder: Option<u32>,
    },
    /// The system refuses.
    System(io::Error),
}

impl Claim {
    /// Takes the path `socket` if nobody has it.
    ///
    /// # Errors
    /// Who has it, or what the system says.
    pub(super) fn take(socket: &Path) -> Result<Self, ClaimError> {
        let path = beside(socket, ".lock").ok_or_else(no_name)?;
        for _ in 0..MOST_TRIES {
            let mut lock = open(&path)?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let holder = written(&mut lock);
                    return Err(ClaimError::Held { lock: path, holder });
                }
                Err(TryLockError::Error(source)) => return Err(source.into()),
            }
            // Who had it before takes its file away: such a lock keeps nobody out.
            if is_at(&lock, &path)? {
                write_down(&mut lock);
                return Ok(Self { lock, path });
            }
        }
        Err(ClaimError::System(ErrorKind::ResourceBusy.into()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if is_at(&self.lock, &self.path).unwrap_or(false) {
            // Who comes next takes over what is left.
            drop(fs::remove_file(&self.path));
        }
    }
}

impl From<io::Error> for ClaimError {
    fn from(source: io::Error) -> Self {
        Self::System(source)
    }
}

/// A hidden name in the same directory that no other socket's is.
pub(super) fn beside(socket: &Path, end: &str) -> Option<PathBuf> {
    let mut name = OsString::from(".");
    name.push(socket.file_name()?);
    name.push(end);
    Some(socket.with_file_name(name))
}

pub(super) fn no_name() -> io::Error {
    ErrorKind::InvalidInput.into()
}

fn open(path: &Path) -> io::Result<File> {
    // Not truncated: until the lock is ours, the number in it is another's.
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Only for people: on a full disk the lock holds all the same.
fn write_down(lock: &mut File) {
    let written = lock.set_len(0);
    drop(written.and_then(|()| writeln!(lock, "{}", std::process::id())));
}

fn written(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    let read = lock.take(LONGEST_NUMBER).read_to_string(&mut text);
    read.ok().and_then(|_| text.trim().parse().ok())
}

/// Each is lost to somebody who lets go between our opening and locking.
const MOST_TRIES: usize = 100;
const LONGEST_NUMBER: u64 = 12;
