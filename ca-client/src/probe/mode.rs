//! Which modes can a port be in, as seen from outside? With the lock and the grade of each.
//!
//! Istio's three have its words; the others are what a port can be beside them.

use std::fmt;

/// Who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// Only who shows a certificate.
    Strict,
    /// Who shows a certificate, and plain text too.
    Permissive,
    /// Who shows a certificate; whether others too could not be seen.
    Unproven,
    /// Everybody over TLS, with or without a certificate; no plain text.
    Optional,
    /// Everybody over TLS, and no certificate is ever asked for; no plain text.
    Tls,
    /// Plain text, and no mTLS that could be seen.
    Disabled,
    /// There is TLS, but a peer that verifies would not use it, or it would not let us.
    Broken,
    /// There is TLS that asks for a certificate, and hangs up without saying why.
    Undecided,
    /// Neither plain text nor TLS is answered.
    Unknown,
    /// Nobody accepts a connection.
    Unreachable,
}

impl Mode {
    /// Its name in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Permissive => "permissive",
            Self::Unproven => "unproven",
            Self::Optional => "optional",
            Self::Tls => "tls",
            Self::Disabled => "disabled",
            Self::Broken => "broken",
            Self::Undecided => "undecided",
            Self::Unknown => "unknown",
            Self::Unreachable => "unreachable",
        }
    }

    /// How it looks to people.
    #[must_use]
    pub fn lock(self) -> Lock {
        match self {
            Self::Strict => Lock::Closed,
            Self::Permissive | Self::Unproven | Self::Optional => Lock::Half,
            Self::Tls | Self::Disabled => Lock::Open,
            Self::Broken => Lock::Broken,
            Self::Undecided | Self::Unknown | Self::Unreachable => Lock::None,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A mode, or many of them, at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lock {
    /// Nobody gets in without a certificate.
    Closed,
    /// mTLS works, and something else works too or cannot be excluded.
    Half,
    /// Everybody gets in.
    Open,
    /// What should be mTLS does not work.
    Broken,
    /// Nothing is known.
    None,
}

impl Lock {
    /// Its name in tables and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Half => "half",
            Self::Open => "open",
            Self::Broken => "broken",
            Self::None => "none",
        }
    }

    /// What it weighs.
    #[must_use]
    pub fn grade(self) -> Grade {
        match self {
            Self::Closed => Grade::Good,
            Self::Half => Grade::Warning,
            Self::None => Grade::CouldNot,
            Self::Open | Self::Broken => Grade::Error,
        }
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the whole check says, the gravest last: of many targets, the gravest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Every target lets nobody in without a certificate.
    Good,
    /// Some let others in too.
    Warning,
    /// Some could not be judged.
    CouldNot,
    /// Some let everybody in, or are broken.
    Error,
}
