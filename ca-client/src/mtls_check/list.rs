//! Which targets are there? Those of the command line, then those of the list.

use std::io::Read;

use ca_client::probe::Target;

use super::MtlsCheckError;
use crate::cli::MtlsCheckOptions;
use crate::input;

/// All targets, in the order given. One bad line is enough to look at none: half a list would look like a whole one.
pub(super) fn targets(
    options: &MtlsCheckOptions,
    stdin: impl Read,
) -> Result<Vec<Target>, MtlsCheckError> {
    let mut targets = options.targets.clone();
    let Some(path) = &options.list else {
        return Ok(targets);
    };
    let path = path.clone();
    let Ok(text) = String::from_utf8(input::read(&path, stdin)?) else {
        return Err(MtlsCheckError::NotText { path });
    };
    let before = targets.len();
    for (index, line) in text.lines().enumerate() {
        match Target::of_line(line) {
            Ok(target) => targets.extend(target),
            Err(source) => {
                let line = index + 1;
                return Err(MtlsCheckError::Line { path, line, source });
            }
        }
    }
    match targets.len() == before {
        true => Err(MtlsCheckError::NoTarget { path }),
        false => Ok(targets),
    }
}
