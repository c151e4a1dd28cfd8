//! How does a file, or standard input, get into memory without filling it?

use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

/// All of `path`, or of `stdin` where that is `-`.
///
/// # Errors
/// When it cannot be read, or is longer than a file of certificates has reason to be.
pub(crate) fn read(path: &Path, stdin: impl Read) -> Result<Vec<u8>, InputError> {
    let failed = |source| InputError::Read {
        path: path.to_owned(),
        source,
    };
    let bytes = match path.as_os_str() == "-" {
        true => at_most(stdin).map_err(failed)?,
        false => at_most(File::open(path).map_err(failed)?).map_err(failed)?,
    };
    match bytes.len() > MAX_LEN {
        true => Err(InputError::TooLong {
            path: path.to_owned(),
        }),
        false => Ok(bytes),
    }
}

fn at_most(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let one_more = u64::try_from(MAX_LEN).map_or(u64::MAX, |max| max + 1);
    source.take(one_more).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    /// The system refused.
    #[error("cannot read {}", shown(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// There is too much of it.
    #[error(
        "{} has more than {} MiB; expected certificates, of which that would be thousands",
        shown(path), MAX_LEN >> 20
    )]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

/// What people call `path`.
pub(crate) fn shown(path: &Path) -> String {
    match path.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    }
}

/// The trust stores of operating systems have a twentieth of it.
const MAX_LEN: usize = 4 << 20;
