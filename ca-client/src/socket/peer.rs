//! Who connected, by the system's word (`SO_PEERCRED`, `unix(7)`)?

use std::fmt;

use tokio::net::UnixStream;
use tokio::net::unix::UCred;

/// User, group and process as they were when it connected; of a socket that was handed on, its first owner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// `None` from outside our namespace.
    pub(crate) pid: Option<i32>,
}

impl Peer {
    /// `None` where the system does not tell.
    pub(super) fn of(stream: &UnixStream) -> Option<Self> {
        stream.peer_cred().ok().map(|cred: UCred| Self {
            uid: cred.uid(),
            gid: cred.gid(),
            pid: cred.pid().filter(|pid| *pid != 0),
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "uid {}, gid {}, pid {}",
            self.uid,
            self.gid,
            self.pid.unwrap_or(0)
        )
    }
}
