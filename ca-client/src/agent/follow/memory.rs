//! What does an agent remember beside its certificates? Who it is, and what everybody was told.

use std::path::Path;
use std::sync::Weak;

use serde::Deserialize;
use serde::Serialize;

use super::Published;
use crate::files::FilesError;
use crate::files::kept;
use crate::instance::InstanceId;

/// What an earlier run left.
#[derive(Debug)]
pub(in crate::agent) struct Memory {
    /// A new one where there was none; `None` only without randomness.
    pub(in crate::agent) instance: Option<InstanceId>,
    pub(in crate::agent) told: Option<Published>,
}

#[derive(Debug, Deserialize, Serialize)]
struct InUseFile {
    bundle: Option<u64>,
    serial: String,
}

impl Memory {
    /// Never fails: what cannot be read was lost.
    pub(in crate::agent) fn read(dir: &Path) -> Self {
        let instance = kept::read(dir, INSTANCE).and_then(|text| text.trim().parse().ok());
        let told = kept::read(dir, IN_USE)
            .and_then(|text| serde_json::from_str::<InUseFile>(&text).ok())
            .map(|file| Published {
                serial: file.serial,
                bundle: file.bundle,
                was_told: true,
                standing: Weak::new(),
            });
        Self {
            instance: instance.or_else(InstanceId::draw),
            told,
        }
    }
}

/// Writes the instance id, unless it is there.
///
/// # Errors
/// When it cannot be written.
pub(in crate::agent) fn keep_instance(dir: &Path, id: &InstanceId) -> Result<(), FilesError> {
    match kept::read(dir, INSTANCE).is_some_and(|seen| seen.trim() == id.as_str()) {
        true => Ok(()),
        false => kept::replace(dir, INSTANCE, &format!("{id}\n")),
    }
}

/// Writes what everybody was told, so that a restart neither tells it again nor forgets to.
///
/// # Errors
/// When it cannot be written.
pub(super) fn keep_told(dir: &Path, told: &Published) -> Result<(), FilesError> {
    let file = InUseFile {
        bundle: told.bundle,
        serial: told.serial.clone(),
    };
    let text = serde_json::to_string(&file).unwrap_or_default();
    kept::replace(dir, IN_USE, &text)
}

const INSTANCE: &str = "instance-id";
const IN_USE: &str = "in-use.json";
