//! Whom do the files belong to? `UID`, `UID:GID` or `:GID`; what is left out stays the process's.

use std::fs::File;
use std::io;
use std::os::unix::fs::fchown;
use std::str::FromStr;

/// The numeric owner and group of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The user, if not ours.
    pub uid: Option<u32>,
    /// The group, if not ours.
    pub gid: Option<u32>,
}

impl Owner {
    pub(super) fn apply(self, file: &File) -> io::Result<()> {
        match self {
            Self {
                uid: None,
                gid: None,
            } => Ok(()),
            Self { uid, gid } => fchown(file, uid, gid),
        }
    }
}

impl FromStr for Owner {
    type Err = OwnerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (uid, gid) = text.split_once(':').unwrap_or((text, ""));
        let number = |part: &str| match part {
            "" => Ok(None::<u32>),
            // The largest number is "as it is" to chown(2).
            part => part
                .parse()
                .ok()
                .filter(|id| *id != u32::MAX)
                .map(Some)
                .ok_or(()),
        };
        match (number(uid), number(gid)) {
            (Ok(uid), Ok(gid)) if uid.is_some() || gid.is_some() => Ok(Self { uid, gid }),
            _ => Err(OwnerError {
                seen: text.to_owned(),
            }),
        }
    }
}

/// The text is no owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{seen}' is not UID, UID:GID or :GID in numbers, such as 1337:1337")]
pub struct OwnerError {
    /// What was given.
    pub seen: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_group_or_both_in_numbers() {
        let owner = |uid, gid| Ok(Owner { uid, gid });
        assert_eq!("1337".parse(), owner(Some(1337), None));
        assert_eq!("1337:7".parse(), owner(Some(1337), Some(7)));
        assert_eq!(":7".parse(), owner(None, Some(7)));
        for bad in ["", ":", "root", "1:2:3", "-1", "4294967295", ":4294967295"] {
            assert!(bad.parse::<Owner>().is_err(), "{bad:?}");
        }
    }
}
