//! Where is the socket, and whose is it? Claimed, bound out of sight, given its mode and group, and only then moved to
//! where it is looked for, so that whoever finds it is answered.

use std::fs;
use std::fs::DirBuilder;
use std::fs::Permissions;
use std::io;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::net::UnixListener;
use tokio::net::UnixSocket;
use tokio::net::UnixStream;

use super::claim::Claim;
use super::claim::ClaimError;
use super::hidden::Hidden;

/// A path for the socket that the system takes, and who may connect.
#[derive(Clone, Debug)]
pub struct LocalSocket {
    path: PathBuf,
    mode: u32,
    gid: Option<u32>,
    /// From [`LocalSocket::claim`] until it is bound.
    claimed: Arc<Mutex<Option<Claim>>>,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum LocalSocketError {
    /// Another agent has it, or is about to.
    #[error(
        "{} is another agent's{}: it holds {}; stop that, or choose another path",
        path.display(), process(*holder), lock.display()
    )]
    Held {
        /// The socket's path.
        path: PathBuf,
        /// What it holds.
        lock: PathBuf,
        /// Its process, as it says.
        holder: Option<u32>,
    },
    /// Another program answers there.
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
        let claimed = Arc::default();
        Ok(Self {
            path,
            mode,
            gid,
            claimed,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether we may have the path: no other agent has it, and nothing is there, or a socket that nobody answers on.
    /// From now on no other agent gets it. What time may cure is left to the opening of the socket.
    ///
    /// # Errors
    /// Why not; nothing has changed.
    pub async fn claim(&self) -> Result<(), LocalSocketError> {
        match Claim::take(&self.path) {
            Ok(claim) => {
                self.look().await?;
                self.keep(Some(claim));
                Ok(())
            }
            Err(ClaimError::System(_)) => self.look().await,
            Err(held @ ClaimError::Held { .. }) => Err(self.refused(held)),
        }
    }

    async fn look(&self) -> Result<(), LocalSocketError> {
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
        let claim = match self.keep(None) {
            Some(claim) => claim,
            None => self.take()?,
        };
        self.look().await?;
        let hidden = Hidden::beside(&self.path).map_err(|source| self.failed("hide", source))?;
        // What a run left that was killed; if it cannot be removed, binding says why.
        hidden.remove();
        match self.open(&hidden) {
            Ok((listener, inode)) => Ok(Bound {
                listener,
                path: self.path.clone(),
                inode,
                _claim: claim,
            }),
            Err(error) => {
                hidden.remove();
                drop(claim);
                Err(error)
            }
        }
    }

    fn take(&self) -> Result<Claim, LocalSocketError> {
        if let Some(dir) = self.path.parent().filter(|it| !it.as_os_str().is_empty()) {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(DIRECTORY_MODE).create(dir);
            made.map_err(|source| self.failed("make the directory of", source))?;
        }
        Claim::take(&self.path).map_err(|error| self.refused(error))
    }

    /// Answers what was kept before.
    fn keep(&self, claim: Option<Claim>) -> Option<Claim> {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *claimed, claim)
    }

    fn open(&self, hidden: &Hidden) -> Result<(UnixListener, Inode), LocalSocketError> {
        let unseen = hidden.path();
        let socket = UnixSocket::new_stream().map_err(|source| self.failed("open", source))?;
        socket
            .bind(hidden.address())
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
        Ok((listener, inode))
    }

    fn refused(&self, error: ClaimError) -> LocalSocketError {
        match error {
            ClaimError::Held { lock, holder } => LocalSocketError::Held {
                path: self.path.clone(),
                lock,
                holder,
            },
            ClaimError::System(source) => self.failed("lock", source),
        }
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
    inode: Inode,
    /// Let go after the file is taken away.
    _claim: Claim,
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

/// File system and number.
type Inode = (u64, u64);

fn inode(path: &Path) -> Option<Inode> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Whether `path` is a socket that nobody listens on. What cannot be told is somebody's.
async fn is_stale(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
    let refused = UnixStream::connect(path).await;
    is_socket && refused.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn process(holder: Option<u32>) -> String {
    holder.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

/// `sun_path` without its end (`unix(7)`).
pub(super) const LONGEST_PATH: usize = 107;
/// As Istio's agent makes it.
const DIRECTORY_MODE: u32 = 0o750;
const BACKLOG: u32 = 1024;
