//! `ca-server backup` and `ca-server restore`

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use proto::signet::BackupRequest;
use tempfile::NamedTempFile;

use super::OperatorError;
use super::connect;
use super::output;
use crate::backup;
use crate::backup::BackupError;
use crate::cli;
use crate::clock::Clock as _;
use crate::clock::SystemClock;
use crate::data_dir::DataDir;

/// Writes an archive: by asking the server where one runs, else by reading the data directory.
pub(in crate::app) async fn backup(options: cli::Backup) -> Result<(), OperatorError> {
    let mut file = beside(&options.to)?;
    match connect(&options.data_dir).await {
        Ok(mut client) => {
            let request = BackupRequest {
                without_keys: options.without_keys,
            };
            let mut chunks = client.backup(request).await?.into_inner();
            while let Some(chunk) = chunks.message().await? {
                file.write_all(&chunk.data)?;
            }
        }
        Err(OperatorError::NotRunning { .. }) => {
            let locked = DataDir::lock(&options.data_dir)?;
            let now = SystemClock.now();
            backup::write_offline(locked.path(), options.without_keys, now, file.as_file_mut())
                .await?;
        }
        Err(error) => return Err(error),
    }
    // What is in place is whole: read it back before it gets its name.
    let summary = backup::inspect(file.path())?;
    file.as_file().sync_all()?;
    file.persist(&options.to).map_err(|error| error.error)?;
    output::line(&format!("wrote {}: {summary}", options.to.display()))?;
    Ok(())
}

/// Puts an archive into a data directory.
pub(in crate::app) fn restore(options: &cli::Restore) -> Result<(), OperatorError> {
    let now = SystemClock.now();
    let summary = if options.ledger_only {
        let locked = DataDir::lock(&options.data_dir)?;
        backup::restore_ledger(&options.from, locked.path(), now)?
    } else {
        backup::restore(&options.from, &options.data_dir, now)?
    };
    output::line(&format!(
        "restored {}: {summary}",
        options.data_dir.display()
    ))?;
    Ok(())
}

/// A file next to `to` that becomes it when it is whole. Mode 0600: it may hold keys.
fn beside(to: &Path) -> Result<NamedTempFile, OperatorError> {
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    let file = NamedTempFile::new_in(parent).map_err(|source| BackupError::Io {
        path: parent.to_owned(),
        source,
    })?;
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600))?;
    Ok(file)
}
