//! What does openssl say? The judge that users have at hand.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// What a run of openssl printed, and whether it exited with 0.
#[derive(Clone, Debug)]
pub struct Said {
    /// Exit status 0.
    pub ok: bool,
    /// Standard output and standard error, one after the other.
    pub text: String,
}

/// Runs `openssl ARGS`.
///
/// # Panics
/// When openssl is not installed.
pub fn openssl<I, S>(args: I) -> Said
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let output = Command::new("openssl")
        .args(args)
        .output()
        .expect("openssl is installed");
    let text = [output.stdout, output.stderr].concat();
    Said {
        ok: output.status.success(),
        text: String::from_utf8_lossy(&text).into_owned(),
    }
}

/// Runs a line of shell with openssl in it, in `dir`, and insists that it works.
///
/// # Panics
/// When it does not.
pub fn shell(dir: &Path, script: &str) -> String {
    let output = Command::new("bash")
        .args(["-euc", script])
        .current_dir(dir)
        .output()
        .expect("bash is installed");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{script}\n{text}");
    text
}
