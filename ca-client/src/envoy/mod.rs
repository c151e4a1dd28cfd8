//! What does `ca-client envoy` do? Decides what a sidecar is to do, by flags or by the mesh's policies, and prints its bootstrap.

mod bootstrap;
mod document;
mod endpoint;
mod error;
mod input;
mod peer;
mod plan;
mod policy;
mod secrets;
mod sidecar;
mod whole_path;
mod wish;
mod yaml;

use std::io;
use std::io::Write as _;
use std::path::PathBuf;

pub(crate) use self::endpoint::Endpoint;
pub(crate) use self::error::EnvoyError;
pub(crate) use self::peer::Peer;
pub(crate) use self::sidecar::Mode;
pub(crate) use self::sidecar::Protocol;
pub(crate) use self::wish::OutboundWish;

use self::sidecar::Secrets;
use self::sidecar::Sidecar;
use crate::cli::DocumentFormat;
use crate::cli::EnvoyOptions;
use crate::output::printable;

/// Prints the bootstrap, and on stderr what decided.
///
/// # Errors
/// Why there is none; with nothing printed on stdout.
pub(crate) fn run(options: &EnvoyOptions) -> Result<(), EnvoyError> {
    let (sidecar, notes) = plan::sidecar(options)?;
    let bootstrap = bootstrap::bootstrap(&sidecar);
    let text = match options.output {
        DocumentFormat::Yaml => document::yaml(&bootstrap)?,
        DocumentFormat::Json => {
            let text = serde_json::to_string_pretty(&bootstrap);
            text.map_err(|source| EnvoyError::Json { source })? + "\n"
        }
    };
    write_secrets(&sidecar)?;
    for note in notes {
        // There is nobody left to tell when the terminal is gone.
        drop(writeln!(io::stderr().lock(), "{}", printable(&note)));
    }
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(EnvoyError::Print { source })
        }
        _ => Ok(()),
    }
}

/// Writes the two files that name the agent's files, each as a whole.
fn write_secrets(sidecar: &Sidecar) -> Result<(), EnvoyError> {
    let Secrets::Files {
        certs,
        names,
        secrets,
    } = &sidecar.secrets
    else {
        return Ok(());
    };
    for (name, content) in secrets::files(certs, *names) {
        let path = PathBuf::from(secrets.join(&name));
        let fresh = secrets.join(&format!(".{name}.new"));
        std::fs::create_dir_all(secrets.as_str())
            .and_then(|()| std::fs::write(&fresh, format!("{content:#}\n")))
            .and_then(|()| std::fs::rename(&fresh, &path))
            .map_err(|source| EnvoyError::Write { path, source })?;
    }
    Ok(())
}
