//! Which peers are given our identity? Users and groups by number, as the system tells them.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::socket::Peer;

/// A peer is allowed when its user or its group is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowRule {
    uids: BTreeSet<u32>,
    gids: BTreeSet<u32>,
    is_for_all: bool,
}

/// What is wrong with a rule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected terms such as uid=1000,gid=1337, or any; seen '{seen}'")]
pub struct AllowRuleError {
    /// The term.
    seen: String,
}

impl AllowRule {
    /// This process's own user, and root.
    #[must_use]
    pub fn own_user_and_root() -> Self {
        Self {
            uids: BTreeSet::from([0, rustix::process::geteuid().as_raw()]),
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
}

impl FromStr for AllowRule {
    type Err = AllowRuleError;

    fn from_str(text: &str) -> Result<Self, AllowRuleError> {
        let mut rule = Self {
            uids: BTreeSet::new(),
            gids: BTreeSet::new(),
            is_for_all: text == "any",
        };
        if rule.is_for_all {
            return Ok(rule);
        }
        for term in text.split(',').map(str::trim) {
            let refused = || AllowRuleError {
                seen: term.to_owned(),
            };
            let (kind, number) = term.split_once('=').ok_or_else(refused)?;
            // The largest stands for "nobody in particular" in chown(2).
            let number = number
                .parse()
                .ok()
                .filter(|number| *number != u32::MAX)
                .ok_or_else(refused)?;
            let _is_new = match kind {
                "uid" => rule.uids.insert(number),
                "gid" => rule.gids.insert(number),
                _ => return Err(refused()),
            };
        }
        Ok(rule)
    }
}
