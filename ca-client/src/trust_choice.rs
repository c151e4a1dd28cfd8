//! Whom do we take for the CA: what the person said, or what an earlier run left?
//!
//! What is given explicitly wins, alone: the union of two answers would be weaker than either.

use std::path::Path;
use std::path::PathBuf;

use ca_client::Trust;
use ca_client::TrustError;
use ca_client::files;
use ca_client::files::FilesError;
use proto::certificate::Certificate;
use proto::certificate::Fingerprint;

use crate::cli::CaOptions;

/// The trust to fetch with. Warns when it shares nothing with what is in `out`.
///
/// # Errors
/// When nothing says whom to trust, or what says so cannot be read.
pub(crate) fn choose(options: &CaOptions, out: &Path) -> Result<Trust, TrustChoiceError> {
    match explicit(options)? {
        Some(trust) => {
            warn_if_different(&trust, out);
            Ok(trust)
        }
        None => match files::stored_roots(out)? {
            Some(roots) => Ok(Trust::roots(roots)?),
            None => Err(TrustChoiceError::Nothing {
                out: out.to_owned(),
            }),
        },
    }
}

/// Why there is nobody to trust.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustChoiceError {
    /// The roots file cannot be read.
    #[error("cannot read --ca-roots {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The roots file does not hold roots.
    #[error("--ca-roots {} cannot be used", path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TrustError,
    },
    /// What an earlier run left cannot be read.
    #[error(
        "the root-cert.pem of an earlier run cannot be read; give --ca-roots or --ca-fingerprint"
    )]
    Stored {
        /// What is wrong with it.
        #[from]
        source: FilesError,
    },
    /// What an earlier run left does not hold roots.
    #[error(
        "the root-cert.pem of an earlier run cannot be used; give --ca-roots or --ca-fingerprint"
    )]
    StoredRoots {
        /// What is wrong with it.
        #[from]
        source: TrustError,
    },
    /// Nobody said anything.
    #[error(
        "nothing authenticates the CA: give --ca-roots FILE or --ca-fingerprint SHA256 \
         ({} holds no root-cert.pem of an earlier run)",
        out.display()
    )]
    Nothing {
        /// The output directory.
        out: PathBuf,
    },
}

fn explicit(options: &CaOptions) -> Result<Option<Trust>, TrustChoiceError> {
    if let Some(fingerprint) = options.ca_fingerprint {
        return Ok(Some(Trust::fingerprint(fingerprint)));
    }
    let Some(path) = &options.ca_roots else {
        return Ok(None);
    };
    let pem = std::fs::read(path).map_err(|source| TrustChoiceError::Read {
        path: path.clone(),
        source,
    })?;
    Trust::roots_pem(&pem)
        .map(Some)
        .map_err(|source| TrustChoiceError::Roots {
            path: path.clone(),
            source,
        })
}

fn warn_if_different(trust: &Trust, out: &Path) {
    // What cannot be read cannot differ; the explicit trust does not depend on it.
    let Ok(Some(stored)) = files::stored_roots(out) else {
        return;
    };
    let given = trust.fingerprints();
    let stored: Vec<Fingerprint> = stored.iter().map(Certificate::fingerprint).collect();
    if !given.iter().any(|fingerprint| stored.contains(fingerprint)) {
        tracing::warn!(
            ?given,
            ?stored,
            "the roots that were given share nothing with the root-cert.pem of the last run; using what was given"
        );
    }
}
