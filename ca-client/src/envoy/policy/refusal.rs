//! What is wrong with a policy, by which rule, and where?

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: Arc<Path>,
    /// Counted from 1.
    pub(crate) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// One thing that keeps the policies from being honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) at: Place,
    pub(crate) rule: RefusalRule,
    pub(crate) reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.at, self.rule.id(), self.reason)
    }
}

/// Which rule a policy breaks. The names are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalRule {
    /// A value that the field cannot have.
    BadValue,
    /// Callers are made to speak mutual TLS, and no policy makes the service take it.
    MtlsWithoutPolicy,
    /// It means something that this sidecar cannot do.
    NotHonoured,
    /// Two for the same thing.
    SameScope,
    /// A service demands mutual TLS, and its callers' rule forbids it.
    StrictWithoutMtls,
    /// The file is not YAML, or no resource.
    Syntax,
    /// What it holds for is not known.
    Undecided,
    /// A field that the kind does not have.
    UnknownField,
}

impl RefusalRule {
    /// The name that is kept.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::BadValue => "bad-value",
            Self::MtlsWithoutPolicy => "mtls-without-policy",
            Self::NotHonoured => "not-honoured",
            Self::SameScope => "same-scope",
            Self::StrictWithoutMtls => "strict-without-mtls",
            Self::Syntax => "syntax",
            Self::Undecided => "undecided",
            Self::UnknownField => "unknown-field",
        }
    }
}
