//! Which peers are given our identity? Users and groups by number, as the system tells them.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::socket::Peer;
use crate::socket::Unmapped;

/// A peer is allowed when its user or its group is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowRule {
    uids: BTreeSet<u32>,
    gids: BTreeSet<u32>,
    is_for_all: bool,
}

/// What is wrong with a rule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllowRuleError {
    /// A term is none.
    #[error("expected terms such as uid=1000,gid=1337, or any; seen '{seen}'")]
    Term {
        /// The term.
        seen: String,
    },
    /// A number is that of everybody who has none.
    #[error(
        "'{seen}' would let in everybody whom the agent's user namespace does not map: they all look so; \
         map those who are meant and name their numbers, or allow any"
    )]
    Unmapped {
        /// The term.
        seen: String,
    },
}

impl AllowRule {
    /// This process's own user, and root.
    #[must_use]
    pub fn own_user_and_root() -> Self {
        let own = rustix::process::geteuid().as_raw();
        Self::user_and_root(own, Unmapped::here())
    }

    pub(super) fn user_and_root(own: u32, unmapped: Unmapped) -> Self {
        let has_a_number = |uid: &u32| Some(*uid) != unmapped.uid;
        Self {
            uids: [0, own].into_iter().filter(has_a_number).collect(),
            gids: BTreeSet::new(),
            is_for_all: false,
        }
    }

    /// Everybody who can connect.
    #[must_use]
    pub fn any() -> Self {
        Self {
            uids: BTreeSet::new(),
            gids: BTreeSet::new(),
            is_for_all: true,
        }
    }

    pub(crate) fn allows(&self, peer: &Peer) -> bool {
        self.is_for_all || self.uids.contains(&peer.uid) || self.gids.contains(&peer.gid)
    }

    pub(super) fn read(text: &str, unmapped: Unmapped) -> Result<Self, AllowRuleError> {
        let mut rule = Self {
            uids: BTreeSet::new(),
            gids: BTreeSet::new(),
            is_for_all: text == "any",
        };
        if rule.is_for_all {
            return Ok(rule);
        }
        for term in text.split(',').map(str::trim) {
            let seen = || term.to_owned();
            let refused = || AllowRuleError::Term { seen: seen() };
            let (kind, number) = term.split_once('=').ok_or_else(refused)?;
            let (numbers, stand_in) = match kind {
                "uid" => (&mut rule.uids, unmapped.uid),
                "gid" => (&mut rule.gids, unmapped.gid),
                _ => return Err(refused()),
            };
            // The largest stands for "nobody in particular" in chown(2).
            let number = number
                .parse()
                .ok()
                .filter(|number| *number != u32::MAX)
                .ok_or_else(refused)?;
            if stand_in == Some(number) {
                return Err(AllowRuleError::Unmapped { seen: seen() });
            }
            let _is_new = numbers.insert(number);
        }
        Ok(rule)
    }
}

impl FromStr for AllowRule {
    type Err = AllowRuleError;

    fn from_str(text: &str) -> Result<Self, AllowRuleError> {
        Self::read(text, Unmapped::here())
    }
}
