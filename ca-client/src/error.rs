//! Why was there no certificate? One enum for the public client; each variant says what to do.

use std::fmt;
use std::time::Duration;

use crate::address::CaAddress;
use crate::credential::CredentialError;
use crate::csr::CsrError;
use crate::svid::SvidError;
use crate::trust::ServerError;

/// Why [`crate::CaClient`] could not get an SVID. Nothing was written anywhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The CA answered with something that must not be used.
    #[error("the answer of the CA at {ca} is refused")]
    Answer {
        /// The CA.
        ca: CaAddress,
        /// What is wrong with it.
        source: Box<SvidError>,
    },
    /// The CA's answer is larger than any chain.
    #[error("the answer of the CA at {ca} is larger than {limit} bytes; is that really a CA?")]
    AnswerTooLarge {
        /// The CA.
        ca: CaAddress,
        /// The largest answer that is read.
        limit: usize,
    },
    /// Nobody answers at that address.
    #[error("cannot connect to the CA at {ca}; is it running, and is the address right?")]
    Connect {
        /// The CA.
        ca: CaAddress,
        /// The system's answer.
        source: std::io::Error,
    },
    /// There is no credential that can be sent.
    #[error("the credential cannot be used")]
    Credential {
        /// What is wrong with it.
        #[from]
        source: CredentialError,
    },
    /// No key could be made.
    #[error("cannot ask for a certificate")]
    Csr {
        /// What failed.
        #[from]
        source: CsrError,
    },
    /// The CA took too long.
    #[error("the CA at {ca} did not {step} within {}; is it overloaded, or does a firewall swallow packets?", humantime::format_duration(*limit))]
    Deadline {
        /// The CA.
        ca: CaAddress,
        /// What it was waited for.
        step: Step,
        /// How long it was waited.
        limit: Duration,
    },
    /// TLS could not be agreed on.
    #[error("no TLS connection with the CA at {ca}; is that its gRPC port (15012)?")]
    Handshake {
        /// The CA.
        ca: CaAddress,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The CA said no.
    #[error("the CA at {ca} refused: {code:?}: {message}; {}", advice(*code))]
    Refused {
        /// The CA.
        ca: CaAddress,
        /// The gRPC code.
        code: tonic::Code,
        /// The CA's words.
        message: String,
        /// How long it asks us to wait, where it says so.
        retry_after: Option<Duration>,
    },
    /// Who answers is not the CA.
    #[error("the server at {ca} is not trusted as the CA, nothing was sent to it")]
    Server {
        /// The address.
        ca: CaAddress,
        /// Why not.
        source: ServerError,
    },
    /// The connection ended before the answer.
    #[error("the connection to the CA at {ca} broke")]
    Transport {
        /// The CA.
        ca: CaAddress,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS cannot be set up on this side.
    #[error("TLS cannot be set up")]
    TlsSettings {
        /// The TLS library's words.
        source: rustls::Error,
    },
    /// The CA does not believe our credential.
    #[error(
        "the CA at {ca} does not accept {credential}: Unauthenticated: {message}; \
         is it unexpired, and made for this CA (issuer, audience, trust domain)?"
    )]
    Unauthenticated {
        /// The CA.
        ca: CaAddress,
        /// Where the credential came from; never what it is.
        credential: String,
        /// The CA's words.
        message: String,
    },
}

impl Error {
    /// A short, stable name of what went wrong, for metrics and scripts.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Answer { .. } | Self::AnswerTooLarge { .. } => "bad-answer",
            Self::Connect { .. } => "unreachable",
            Self::Credential { .. } => "no-credential",
            Self::Csr { .. } | Self::TlsSettings { .. } => "local",
            Self::Deadline { .. } => "deadline",
            Self::Handshake { .. } => "handshake",
            Self::Refused { .. } => "refused",
            Self::Server { .. } => "ca-not-trusted",
            Self::Transport { .. } => "connection-broke",
            Self::Unauthenticated { .. } => "unauthenticated",
        }
    }

    /// Whether it is our credential that the CA does not take, or that there is none, or that it is
    /// somebody else's.
    #[must_use]
    pub fn is_about_the_credential(&self) -> bool {
        match self {
            Self::Credential { .. } | Self::Unauthenticated { .. } => true,
            Self::Refused { code, .. } => *code == tonic::Code::PermissionDenied,
            Self::Answer { source, .. } => matches!(**source, SvidError::AnotherName { .. }),
            _ => false,
        }
    }

    /// How long the CA asks us to wait, where it does.
    pub(crate) fn pushback(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the same request may succeed a little later without anybody's doing.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Deadline { .. } | Self::Transport { .. } => true,
            Self::Handshake { source, .. } => is_broken_pipe(source),
            Self::Refused { code, .. } => matches!(
                code,
                tonic::Code::Unavailable
                    | tonic::Code::DeadlineExceeded
                    | tonic::Code::Aborted
                    | tonic::Code::ResourceExhausted
            ),
            Self::Answer { .. }
            | Self::AnswerTooLarge { .. }
            | Self::Credential { .. }
            | Self::Csr { .. }
            | Self::Server { .. }
            | Self::TlsSettings { .. }
            | Self::Unauthenticated { .. } => false,
        }
    }
}

/// What the CA was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The answer to the request.
    Answer,
    /// TCP and the TLS handshake.
    Connect,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answer => "answer",
            Self::Connect => "accept a TLS connection",
        })
    }
}

/// A peer that hangs up while it restarts, as opposed to one that speaks something else than TLS.
fn is_broken_pipe(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::ConnectionAborted
            | std::io::ErrorKind::BrokenPipe
            | std::io::ErrorKind::UnexpectedEof
    )
}

fn advice(code: tonic::Code) -> &'static str {
    match code {
        tonic::Code::PermissionDenied => "may this caller have that name? ask the CA's operator",
        tonic::Code::InvalidArgument => {
            "the request has to change; is the lifetime asked for allowed?"
        }
        tonic::Code::FailedPrecondition => "the CA cannot issue at present; ask its operator",
        tonic::Code::Unimplemented => "is that the CA's gRPC port (15012)?",
        tonic::Code::Unavailable | tonic::Code::ResourceExhausted | tonic::Code::Aborted => {
            "try again in a while"
        }
        _ => "the CA's log has the reason",
    }
}
