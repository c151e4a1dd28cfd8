//! Who may do what with a file? Permission bits and owner, applied before anything is in it.

use std::fs::File;
use std::fs::Metadata;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;

use super::Owner;

/// Permission bits and owner of one kind of file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) mode: u32,
    pub(super) owner: Owner,
}

impl Access {
    pub(super) fn apply(self, file: &File) -> io::Result<()> {
        self.owner.apply(file)?;
        // The umask took bits away that were asked for.
        file.set_permissions(Permissions::from_mode(self.mode))
    }

    /// Whether the file has them.
    pub(super) fn is_of(self, file: &Metadata) -> bool {
        let Owner { uid, gid } = self.owner;
        file.mode() & 0o777 == self.mode
            && uid.is_none_or(|uid| uid == file.uid())
            && gid.is_none_or(|gid| gid == file.gid())
    }
}
