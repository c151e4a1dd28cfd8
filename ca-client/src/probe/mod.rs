//! What does a port look like from outside: does it take plain text, TLS from anybody, or TLS from workloads only?
//!
//! Each question goes on a connection of its own, all to one address. Nothing is decided here: [`Finding`] is, by what
//! was seen, and no application data is ever sent over TLS.

mod callers;
mod finding;
mod mode;
mod plain;
mod secured;
mod sight;
mod tally;
mod target;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use self::finding::Expected;
pub use self::finding::Finding;
pub use self::mode::Grade;
pub use self::mode::Lock;
pub use self::mode::Mode;
pub use self::plain::Plain;
pub use self::plain::PlainProbe;
pub use self::plain::Refusal;
pub use self::secured::End;
pub use self::secured::Secured;
pub use self::tally::Tally;
pub use self::target::Target;
pub use self::target::TargetError;

use crate::address::CaAddress;
use crate::dial::first_to_answer;
use crate::svid::Svid;

/// How to look.
#[derive(Debug)]
pub struct Prober {
    /// Whose certificate is shown to servers that ask for one; without it nobody can know whether mTLS works.
    pub svid: Option<Svid>,
    /// What is said in plain text.
    pub plain: PlainProbe,
    /// How long each connection may take.
    pub limit: Duration,
}

/// What was seen at one address.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The one of the target's addresses that answered.
    pub address: SocketAddr,
    /// The answer to plain text.
    pub plain: Plain,
    /// TLS without a certificate of ours.
    pub anonymous: Secured,
    /// TLS with our certificate, if there is one and the server asks for it.
    pub with_ours: Option<Secured>,
}

impl Prober {
    /// Looks at `target`, one connection after the other: some servers take only one at a time.
    ///
    /// # Errors
    /// When nobody accepts a connection; whatever happens on it later is something seen.
    pub async fn look(&self, target: &CaAddress) -> Result<Seen, Unreachable> {
        let (stream, address) = self.reach(target).await?;
        let plain = plain::ask(stream, target, &self.plain, self.limit).await;
        let name = target.server_name();
        let anonymous = self.ask(address, name, None).await;
        let with_ours = match &self.svid {
            Some(svid) if anonymous.asked => Some(self.ask(address, name, Some(svid)).await),
            _ => None,
        };
        Ok(Seen {
            address,
            plain,
            anonymous,
            with_ours,
        })
    }

    async fn reach(&self, target: &CaAddress) -> Result<(TcpStream, SocketAddr), Unreachable> {
        let dialled = async {
            let addresses = tokio::net::lookup_host((target.host(), target.port())).await?;
            let stream = first_to_answer(addresses.collect()).await?;
            let address = stream.peer_addr()?;
            Ok((stream, address))
        };
        match timeout(self.limit, dialled).await {
            Ok(outcome) => outcome.map_err(|source| Unreachable::Connect { source }),
            Err(_elapsed) => Err(Unreachable::Deadline { limit: self.limit }),
        }
    }

    async fn ask(
        &self,
        address: SocketAddr,
        name: &ServerName<'static>,
        svid: Option<&Svid>,
    ) -> Secured {
        secured::ask(address, name, svid, self.limit).await
    }
}

impl Seen {
    /// The handshake that says most: with our certificate if there was one.
    #[must_use]
    pub fn secured(&self) -> &Secured {
        self.with_ours.as_ref().unwrap_or(&self.anonymous)
    }
}

/// Why nothing could be seen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// The name has no address, or nobody listens there.
    #[error("cannot connect: {source}")]
    Connect {
        /// The system's answer.
        source: io::Error,
    },
    /// Packets vanish.
    #[error("no connection within {}", humantime::format_duration(*limit))]
    Deadline {
        /// How long it was tried.
        limit: Duration,
    },
}

/// Bytes of a stranger as one short line; whoever prints it takes out what could steer a terminal.
fn shown(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes);
    let line = String::from_utf8_lossy(line.get(..SHOWN).unwrap_or(line)).into_owned();
    line.trim_end().to_owned()
}

/// Of a banner, as much as says what it is.
const SHOWN: usize = 60;
