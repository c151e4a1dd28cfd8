//! Where is a socket made, before it may be found? Beside its place, under a name that follows from its own, so that who
//! has the [`Claim`](super::claim::Claim) also finds what was left there.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::hash::DefaultHasher;
use std::hash::Hash as _;
use std::hash::Hasher as _;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::OFlags;

use super::claim::beside;
use super::claim::no_name;
use super::place::LONGEST_PATH;

/// The place of a socket that is not there yet.
#[derive(Debug)]
pub(super) struct Hidden {
    path: PathBuf,
    /// The same in fewer bytes, if need be by way of the directory, which is open for that long.
    address: PathBuf,
    _dir: Option<File>,
}

impl Hidden {
    /// That of `socket`.
    ///
    /// # Errors
    /// When a long path cannot be made short.
    pub(super) fn beside(socket: &Path) -> io::Result<Self> {
        let path = beside(socket, ".new").ok_or_else(no_name)?;
        match path.as_os_str().len() <= LONGEST_PATH {
            true => Ok(Self {
                address: path.clone(),
                path,
                _dir: None,
            }),
            false => Self::by_directory(socket),
        }
    }

    fn by_directory(socket: &Path) -> io::Result<Self> {
        let parent = socket.parent().filter(|it| !it.as_os_str().is_empty());
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let dir = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(parent.unwrap_or_else(|| Path::new(".")))?;
        let mut hasher = DefaultHasher::new();
        socket.file_name().hash(&mut hasher);
        let name = format!(".{:016x}.new", hasher.finish());
        let by_number = format!("/proc/self/fd/{}", dir.as_raw_fd());
        Ok(Self {
            path: socket.with_file_name(&name),
            address: Path::new(&by_number).join(name),
            _dir: Some(dir),
        })
    }

    /// For all but binding.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// For binding: within the system's limit.
    pub(super) fn address(&self) -> &Path {
        &self.address
    }

    /// Removes what is there, if it is a socket: who has the claim has no equal who could have made it.
    pub(super) fn remove(&self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|it| it.file_type().is_socket()) {
            drop(fs::remove_file(&self.path));
        }
    }
}
