//! Was there a ledger in this directory? A small file beside the database, which says so and names the layout.
//!
//! sled takes a file that it cannot read from the start for a new one. And a later layout may belong
//! to another database altogether, so it is read before sled is let near the files.

use std::io;
use std::io::Write;
use std::path::Path;

use tempfile::NamedTempFile;

use super::keys;
use super::store::sync_dir;

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// There is none: no ledger was finished here.
    Absent,
    /// A ledger of this layout was begun.
    Layout(u32),
    /// Something else.
    Unreadable,
}

/// Reads the marker of `dir`.
///
/// # Errors
/// When the system does not let it be read.
pub(super) fn read(dir: &Path) -> io::Result<Marker> {
    match std::fs::read_to_string(dir.join(NAME)) {
        Ok(text) => Ok(text
            .strip_prefix(PREFIX)
            .and_then(|number| number.trim_end().parse().ok())
            .map_or(Marker::Unreadable, Marker::Layout)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(Marker::Absent),
            io::ErrorKind::InvalidData => Ok(Marker::Unreadable),
            _ => Err(error),
        },
    }
}

/// Writes the marker of this program's layout, durably.
///
/// # Errors
/// There is no marker, or all of it.
pub(super) fn write(dir: &Path) -> io::Result<()> {
    let mut file = NamedTempFile::new_in(dir)?;
    writeln!(file, "{PREFIX}{}", keys::LAYOUT)?;
    file.as_file().sync_all()?;
    file.persist(dir.join(NAME)).map_err(|error| error.error)?;
    sync_dir(dir)
}

const NAME: &str = "LAYOUT";
const PREFIX: &str = "signet ledger ";
