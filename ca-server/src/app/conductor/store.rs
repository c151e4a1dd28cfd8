//! Where is the rotation record kept? `<data-dir>/rotation.json`, replaced as a whole.

use std::path::Path;

use crate::authority::state::StateError;
use crate::authority::state::read_versioned;
use crate::authority::state::write_versioned;
use crate::rotation::Record;
use crate::rotation::VERSION;

/// The record of `data_dir`; `None` where there never was one.
///
/// # Errors
/// When the file cannot be read, is damaged or of a later version. It is left as it is.
pub(super) fn read(data_dir: &Path) -> Result<Option<Record>, StateError> {
    read_versioned(&data_dir.join(FILE), VERSION)
}

/// Makes `record` the one that a restart begins with.
///
/// # Errors
/// The earlier one is in force then.
pub(super) fn write(data_dir: &Path, record: &Record) -> Result<(), StateError> {
    write_versioned(&data_dir.join(FILE), record)
}

const FILE: &str = "rotation.json";
