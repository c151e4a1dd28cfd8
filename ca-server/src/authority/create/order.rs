//! What may an operator ask for? Names that fit into a subject, lifetimes that make sense.

use std::time::Duration;
use std::time::SystemTime;

use super::CreateError;

/// A subject of a common name and perhaps an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    organization: Option<String>,
    common_name: String,
}

impl Subject {
    /// A subject that is used as it is.
    ///
    /// # Errors
    /// When a part is empty, too long for RFC 5280 appendix A.1, or has control characters.
    pub fn exact(organization: Option<&str>, common_name: &str) -> Result<Self, CreateError> {
        Self::new(organization, common_name, MAX)
    }

    /// A subject whose common name gets a space and eight digits that make it unique.
    ///
    /// # Errors
    /// As [`Self::exact`], with room for the digits.
    pub fn unique(organization: Option<&str>, common_name: &str) -> Result<Self, CreateError> {
        Self::new(organization, common_name, MAX - " 01234567".len())
    }

    fn new(organization: Option<&str>, name: &str, max: usize) -> Result<Self, CreateError> {
        let organization = organization.map(|text| printable("the organization", text, MAX));
        Ok(Self {
            organization: organization.transpose()?,
            common_name: printable("the common name", name, max)?,
        })
    }

    pub(super) fn organization(&self) -> Option<&str> {
        self.organization.as_deref()
    }

    pub(super) fn common_name(&self) -> &str {
        &self.common_name
    }
}

/// How long a CA lives: an hour to a hundred years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifetime(Duration);

impl Lifetime {
    /// Checks the bounds.
    ///
    /// # Errors
    /// When it is outside.
    pub fn new(asked: Duration) -> Result<Self, CreateError> {
        match asked >= SHORTEST && asked <= LONGEST {
            true => Ok(Self(asked)),
            false => Err(CreateError::Lifetime { asked }),
        }
    }

    /// When a life that begins at `now` is over.
    pub(super) fn end(self, now: SystemTime) -> Result<SystemTime, CreateError> {
        let asked = self.0;
        now.checked_add(asked)
            .ok_or(CreateError::Lifetime { asked })
    }
}

fn printable(what: &'static str, text: &str, max: usize) -> Result<String, CreateError> {
    let text = text.trim();
    let len = text.chars().count();
    let seen = match text.chars().find(|c| c.is_control()) {
        Some(control) => format!("the control character {control:?}"),
        None if len == 0 || len > max => len.to_string(),
        None => return Ok(text.to_owned()),
    };
    Err(CreateError::Name {
        what,
        value: text.chars().take(80).collect(),
        max,
        seen,
    })
}

const SHORTEST: Duration = Duration::from_secs(60 * 60);
const LONGEST: Duration = Duration::from_secs(36525 * 24 * 60 * 60);
/// ub-common-name and ub-organization-name (RFC 5280 appendix A.1), in characters.
const MAX: usize = 64;
