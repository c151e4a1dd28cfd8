//! Which agent is this, across renewals and restarts? A random number that says nothing about anybody.

use std::fmt;
use std::str::FromStr;

use ring::rand::SecureRandom as _;
use ring::rand::SystemRandom;

/// 16 random bytes as 32 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstanceId(String);

impl InstanceId {
    /// A new one; `None` when the system gives no randomness.
    pub(crate) fn draw() -> Option<Self> {
        let mut bytes = [0; 16];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self(
            bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        ))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for InstanceId {
    type Err = InstanceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        match text.len() == 32 && text.chars().all(is_hex) {
            true => Ok(Self(text.to_owned())),
            false => Err(InstanceIdError),
        }
    }
}

/// The text is no instance id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an instance id is 32 lower-case hex digits")]
pub(crate) struct InstanceIdError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_id_reads_back_and_is_nobody_elses() {
        let id = InstanceId::draw().unwrap();
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_ne!(InstanceId::draw().unwrap(), id);
    }

    #[test]
    fn anything_else_is_no_id() {
        let upper = "AB".repeat(16);
        for bad in ["", "ab", &"g".repeat(32), &upper, &"0".repeat(33)] {
            assert_eq!(bad.parse::<InstanceId>(), Err(InstanceIdError), "{bad}");
        }
    }
}
