//! What do the files say of a rotation when no server runs? Reads, and changes nothing.

use std::path::Path;
use std::time::SystemTime;

use proto::signet::RotationStatus;

use super::OperatorError;
use super::people;
use crate::api::rotation::status_message;
use crate::app::conductor;
use crate::authority::trust_bundle::TrustBundle;
use crate::rotation::Report;

/// The rotation record of `data_dir`; `None` where there is none.
pub(super) fn stored(
    data_dir: &Path,
    now: SystemTime,
) -> Result<Option<RotationStatus>, OperatorError> {
    let Some(record) = conductor::stored_record(data_dir)? else {
        return Ok(None);
    };
    let bundle_number = TrustBundle::open(data_dir)?.sequence();
    let report = Report::of_files(record, bundle_number);
    let mut status = status_message(&report, now);
    // Nobody looked at the operator's directory.
    status.directory = None;
    Ok(Some(status))
}

/// The same for people; nothing where there is none.
pub(in crate::app::operator) fn stored_lines(
    data_dir: &Path,
    now: SystemTime,
) -> Result<Vec<String>, OperatorError> {
    let stored = stored(data_dir, now)?;
    Ok(stored.map_or_else(Vec::new, |status| people::status_lines(&status, false)))
}
