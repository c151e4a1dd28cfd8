//! Where is the socket, and whose is it? Bound out of sight, given its mode and group, and only then moved to where
//! it is looked for, so that whoever finds it is answered.

use std::ffi::OsString;
use std::fs;
use std::fs::DirBuilder;
use std::fs::Permissions;
use std::io;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use tokio::net::UnixListener;
use tokio::net::UnixSocket;
use tokio::net::UnixStream;

/// A path for the socket that the system takes, and who may connect.
#[derive(Clone, Debug)]
pub struct LocalSocket {
    path: PathBuf,
    mode: u32,
    gid: Option<u32>,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum LocalSocketError {
    /// Another agent, or another program, answers there.
    #[error("{} is another program's: it takes connections; stop that, or choose another path", path.display())]
    InUse {
        /// The socket's path.
        path: PathBuf,
    },
    /// Something else has that name.
    #[error("{} is there and is not a socket; move it away, or choose another path", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// There is no file name in it.
    #[error("'{}' does not name a file, so no socket can be there", path.display())]
    NoName {
        /// The path.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot {what} {}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The system's limit.
    #[error(
        "the path of the socket {} has {length} bytes, and the system takes at most {LONGEST_PATH}; choose a shorter one",
        path.display()
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its bytes.
        length: usize,
    },
}

impl LocalSocket {
    /// Nothing is opened yet. `mode` and `gid` are what the socket gets; without a group it keeps the process's.
    ///
    /// # Errors
    /// When no socket can have that path.
    pub fn new(
        path: impl Into<PathBuf>,
        mode: u32,
        gid: Option<u32>,
    ) -> Result<Self, LocalSocketError> {
        let path = path.into();
        let length = path.as_os_str().len();
        if length > LONGEST_PATH {
            return Err(LocalSocketError::TooLong { path, length });
        }
        let ends_in_a_name = !path.as_os_str().as_bytes().ends_with(b"/");
        if path.file_name().is_none() || !ends_in_a_name {
            return Err(LocalSocketError::NoName { path });
        }
        Ok(Self { path, mode, gid })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether we may have the path: nothing is there, or a socket that nobody answers on.
    ///
    /// # Errors
    /// Why not; nothing has changed.
    pub async fn check(&self) -> Result<(), LocalSocketError> {
        let path = self.path.clone();
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(source) => Err(self.failed("look at", source)),
            Ok(found) if !found.file_type().is_socket() => {
                Err(LocalSocketError::NotASocket { path })
            }
            Ok(_) if is_stale(&path).await => Ok(()),
            Ok(_) => Err(LocalSocketError::InUse { path }),
        }
    }

    /// Opens it, in place of one that an earlier run left.
    pub(super) async fn bind(&self) -> Result<Bound, LocalSocketError> {
        self.check().await?;
        if let Some(dir) = self.path.parent().filter(|it| !it.as_os_str().is_empty()) {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(DIRECTORY_MODE).create(dir);
            made.map_err(|source| self.failed("make the directory of", source))?;
        }
        let unseen = self.unseen();
        if is_stale(&unseen).await {
            // What a run left that was killed; if it cannot be removed, binding says why.
            drop(fs::remove_file(&unseen));
        }
        let opened = self.open(&unseen);
        if opened.is_err() {
            drop(fs::remove_file(&unseen));
        }
        opened
    }

    fn open(&self, unseen: &Path) -> Result<Bound, LocalSocketError> {
        let socket = UnixSocket::new_stream().map_err(|source| self.failed("open", source))?;
        socket
            .bind(unseen)
            .map_err(|source| self.failed("bind", source))?;
        // Nobody can connect before it listens.
        std::os::unix::fs::chown(unseen, None, self.gid)
            .map_err(|source| self.failed("give its group to", source))?;
        fs::set_permissions(unseen, Permissions::from_mode(self.mode))
            .map_err(|source| self.failed("set the mode of", source))?;
        let listener = socket
            .listen(BACKLOG)
            .map_err(|source| self.failed("listen on", source))?;
        let inode =
            inode(unseen).ok_or_else(|| self.failed("look at", ErrorKind::NotFound.into()))?;
        fs::rename(unseen, &self.path).map_err(|source| self.failed("put in place", source))?;
        Ok(Bound {
            listener,
            path: self.path.clone(),
            inode,
        })
    }

    /// A name beside it that is as long, and so within the limit.
    fn unseen(&self) -> PathBuf {
        let mut bytes = self.path.as_os_str().as_bytes().to_vec();
        if let Some(last) = bytes.last_mut() {
            *last = if *last == b'~' { b'-' } else { b'~' };
        }
        PathBuf::from(OsString::from_vec(bytes))
    }

    fn failed(&self, what: &'static str, source: io::Error) -> LocalSocketError {
        LocalSocketError::System {
            what,
            path: self.path.clone(),
            source,
        }
    }
}

/// An open socket, whose file goes with it.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) listener: UnixListener,
    path: PathBuf,
    inode: (u64, u64),
}

impl Bound {
    /// Whether the file is still ours.
    pub(super) fn is_there(&self) -> bool {
        inode(&self.path) == Some(self.inode)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if self.is_there() {
            // Who comes next finds it stale.
            drop(fs::remove_file(&self.path));
        }
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Whether `path` is a socket that nobody listens on. What cannot be told is somebody's.
async fn is_stale(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
    let refused = UnixStream::connect(path).await;
    is_socket && refused.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// `sun_path` without its end (`unix(7)`).
const LONGEST_PATH: usize = 107;
/// As Istio's agent makes it.
const DIRECTORY_MODE: u32 = 0o750;
const BACKLOG: u32 = 1024;
