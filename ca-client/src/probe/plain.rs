//! Is plain text taken? Something is said that most services answer, and what comes back is told apart.
//!
//! Only an answer in plain text proves that it is taken, and only a hang-up or a TLS alert that it is not. A hang-up does
//! so where mTLS is not hung up on too.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::shown;
use crate::address::CaAddress;

/// What is said in plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlainProbe {
    /// A `GET /` of HTTP/1.1, and where that is hung up on, the beginning of HTTP/2.
    Http,
    /// These bytes: what a service answers that does not answer HTTP.
    Bytes(Vec<u8>),
    /// Nothing: whether plain text is taken stays open.
    Nothing,
}

/// What came of plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plain {
    /// It was answered, if only by an error.
    Taken {
        /// What was answered, for people.
        answer: String,
    },
    /// It is not taken.
    Refused {
        /// How that was told.
        how: Refusal,
    },
    /// Neither of the two: whoever took the bytes waits for more, or for somebody behind.
    Unanswered {
        /// How long it was waited.
        limit: Duration,
    },
    /// The connection failed on this side.
    Failed {
        /// The system's answer.
        error: String,
    },
    /// Nothing was said.
    NotTried,
}

impl Plain {
    /// Whether the refusal is nothing but a hang-up: so hangs up, too, who has nobody behind.
    pub(super) fn is_hang_up(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                how: Refusal::Closed | Refusal::Reset
            }
        )
    }
}

/// How a server tells that it takes no plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A TLS alert (RFC 8446 section 6).
    Alert,
    /// It hung up without a word.
    Closed,
    /// It broke the connection.
    Reset,
    /// An HTTP error that says that TLS is wanted: Go, nginx, Apache and Tomcat do so.
    WantsTls,
}

impl Refusal {
    /// Its name in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "tls-alert",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::WantsTls => "asks-for-tls",
        }
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { answer } => write!(f, "taken: {answer}"),
            Self::Refused { how } => write!(f, "refused ({})", how.as_str()),
            Self::Unanswered { limit } => {
                let limit = humantime::format_duration(*limit);
                write!(f, "neither answered nor refused within {limit}")
            }
            Self::Failed { error } => write!(f, "not known: {error}"),
            Self::NotTried => f.write_str("not tried"),
        }
    }
}

/// Says what `probe` says on `stream`, which is connected to `target`, and waits for an answer.
pub(super) async fn ask(
    stream: TcpStream,
    target: &CaAddress,
    probe: &PlainProbe,
    limit: Duration,
) -> Plain {
    match probe {
        PlainProbe::Nothing => Plain::NotTried,
        PlainProbe::Bytes(bytes) => exchange(stream, bytes, limit).await,
        PlainProbe::Http => {
            let address = stream.peer_addr();
            let first = exchange(stream, &http_request(target), limit).await;
            match (first.is_hang_up(), address) {
                (true, Ok(address)) => http2(address, limit).await.unwrap_or(first),
                _ => first,
            }
        }
    }
}

fn http_request(target: &CaAddress) -> Vec<u8> {
    format!(
        "GET / HTTP/1.1\r\nHost: {target}\r\nUser-Agent: ca-client\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    .into_bytes()
}

/// What comes of HTTP/2 unless it is hung up on too: gRPC servers hang up on HTTP/1.1, and who waits for more refuses
/// nothing.
async fn http2(address: SocketAddr, limit: Duration) -> Option<Plain> {
    let stream = timeout(limit, TcpStream::connect(address)).await.ok()?;
    let answer = exchange(stream.ok()?, HTTP2_PREFACE, limit).await;
    (!answer.is_hang_up()).then_some(answer)
}

async fn exchange(mut stream: TcpStream, said: &[u8], limit: Duration) -> Plain {
    let mut got = Vec::new();
    let ending = timeout(limit, hear(&mut stream, said, &mut got)).await;
    if let Some(known) = told_by(&got) {
        return known;
    }
    match ending {
        Err(_elapsed) => Plain::Unanswered { limit },
        Ok(Ok(())) => Plain::Refused {
            how: Refusal::Closed,
        },
        Ok(Err(error)) if is_hang_up(&error) => Plain::Refused {
            how: Refusal::Reset,
        },
        Ok(Err(error)) => Plain::Failed {
            error: error.to_string(),
        },
    }
}

/// Reads until what was heard says enough, or the other side ends.
async fn hear(stream: &mut TcpStream, said: &[u8], got: &mut Vec<u8>) -> io::Result<()> {
    // Who hangs up while we write may have said something before.
    let written = stream.write_all(said).await;
    let mut buffer = [0; 1024];
    while !says_enough(got) {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            len => got.extend_from_slice(buffer.get(..len).unwrap_or_default()),
        }
    }
    written
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

/// Whether more would not change what [`told_by`] makes of it.
fn says_enough(got: &[u8]) -> bool {
    let begins = |with: &[u8]| got.starts_with(with) || with.starts_with(got);
    if got.len() >= LONGEST_ANSWER {
        return true;
    }
    match (begins(HTTP), begins(ALERT)) {
        // The rest of an error may say that TLS is wanted.
        (true, _) => status(got).is_some_and(|status| status != "400"),
        (_, true) => got.len() >= ALERT.len(),
        _ => true,
    }
}

/// What an answer says; nothing if there is none.
fn told_by(got: &[u8]) -> Option<Plain> {
    if got.is_empty() {
        return None;
    }
    if got.starts_with(ALERT) {
        return Some(Plain::Refused {
            how: Refusal::Alert,
        });
    }
    let text = String::from_utf8_lossy(got);
    if status(got) == Some("400") && WANT_TLS.iter().any(|words| text.contains(words)) {
        return Some(Plain::Refused {
            how: Refusal::WantsTls,
        });
    }
    Some(Plain::Taken {
        answer: described(got),
    })
}

fn described(got: &[u8]) -> String {
    let printable = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\r' | b'\n');
    if status(got).is_some() {
        shown(got)
    } else if got.get(3..5) == Some(&[0x04, 0x00]) && got.starts_with(&[0, 0]) {
        "HTTP/2 settings".to_owned()
    } else if got.iter().all(printable) {
        format!("'{}'", shown(got))
    } else {
        format!("{} bytes that are not TLS", got.len())
    }
}

/// The status of an HTTP/1 answer whose first line has come as far as that.
fn status(got: &[u8]) -> Option<&str> {
    let rest = got.strip_prefix(HTTP)?;
    let (version, rest) = rest.split_at_checked(3)?;
    let (space, status) = rest.get(..4)?.split_first()?;
    let known = version.starts_with(b"1.") && *space == b' ';
    std::str::from_utf8(status).ok().filter(|_| known)
}

const HTTP: &[u8] = b"HTTP/";
/// Content type and major version of a record (RFC 8446 section 5.1).
const ALERT: &[u8] = &[0x15, 0x03];
/// RFC 9113 section 3.4: the preface, and SETTINGS without any.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// What servers say that speak TLS only, in answers with status 400.
const WANT_TLS: [&str; 4] = [
    "an HTTP request to an HTTPS server",
    "plain HTTP request was sent to HTTPS port",
    "plain HTTP to an SSL-enabled server port",
    "combination of host and port requires TLS",
];
const LONGEST_ANSWER: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_told_apart() {
        let go =
            "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
        let cases: [(&[u8], Option<&str>); 10] = [
            (b"", None),
            (&[0x15, 3, 1, 0, 2, 2, 70], Some("refused (tls-alert)")),
            (
                b"HTTP/1.1 404 Not Found\r\n\r\n",
                Some("taken: HTTP/1.1 404 Not Found"),
            ),
            (
                b"HTTP/1.1 400 Bad Request\r\n\r\n",
                Some("taken: HTTP/1.1 400 Bad Request"),
            ),
            (go.as_bytes(), Some("refused (asks-for-tls)")),
            (
                b"SSH-2.0-OpenSSH_9.2p1\r\nmore",
                Some("taken: 'SSH-2.0-OpenSSH_9.2p1'"),
            ),
            (&[0, 0, 6, 4, 0, 0, 0, 0, 0], Some("taken: HTTP/2 settings")),
            (&[1, 2, 3], Some("taken: 3 bytes that are not TLS")),
            (&[0x15], Some("taken: 1 bytes that are not TLS")),
            (b"\x1b[2J", Some("taken: 4 bytes that are not TLS")),
        ];
        for (got, expected) in cases {
            let told = told_by(got).map(|told| told.to_string());
            assert_eq!(told.as_deref(), expected, "{got:?}");
        }
    }

    #[test]
    fn reading_goes_on_while_it_could_change_the_answer() {
        let cases: [(&[u8], bool); 8] = [
            (b"", false),
            (b"HTT", false),
            (b"HTTP/1.1 40", false),
            (b"HTTP/1.1 404", true),
            (b"HTTP/1.1 400 Bad Request\r\n", false),
            (&[0x15], false),
            (&[0x15, 3], true),
            (b"x", true),
        ];
        for (got, enough) in cases {
            assert_eq!(says_enough(got), enough, "{got:?}");
        }
    }
}
