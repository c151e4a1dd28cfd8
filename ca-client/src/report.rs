//! What does a person, or a script, want to know after a fetch?

use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use ca_client::OutputDir;
use ca_client::Svid;
use serde::Serialize;

use crate::cli::OutputFormat;

/// The outcome of a fetch. Times are RFC 3339 in UTC.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    spiffe_id: String,
    serial: String,
    not_before: String,
    not_after: String,
    /// How long the certificate is good from now on.
    remaining_seconds: u64,
    cert_chain: PathBuf,
    key: PathBuf,
    root_cert: PathBuf,
    /// A command that checks the files independently.
    verify: String,
}

impl Report {
    pub(crate) fn new(svid: &Svid, out: &OutputDir, now: SystemTime) -> Self {
        let utc = |time| humantime::format_rfc3339_seconds(time).to_string();
        let remaining = svid.not_after().duration_since(now).unwrap_or_default();
        let names = out.options().names;
        let at = |name| out.path().join(name);
        let (cert_chain, root_cert) = (at(names.chain()), at(names.roots()));
        Self {
            spiffe_id: svid.spiffe_id().to_string(),
            serial: svid.serial(),
            not_before: utc(svid.not_before()),
            not_after: utc(svid.not_after()),
            remaining_seconds: remaining.as_secs(),
            verify: format!(
                "openssl verify -CAfile {} -untrusted {} {}",
                quoted(&root_cert),
                quoted(&cert_chain),
                quoted(&cert_chain)
            ),
            cert_chain,
            key: at(names.key()),
            root_cert,
        }
    }

    /// Prints it to standard output. A reader that went away is no failure: the files are written.
    pub(crate) fn print(&self, format: OutputFormat) -> io::Result<()> {
        let text = match format {
            OutputFormat::Table => self.table(),
            OutputFormat::Json => {
                serde_json::to_string_pretty(self).map_err(io::Error::from)? + "\n"
            }
        };
        match io::stdout().lock().write_all(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    fn table(&self) -> String {
        let good_for = humantime::format_duration(Duration::from_secs(self.remaining_seconds));
        let rows = [
            ("SPIFFE ID", self.spiffe_id.clone()),
            ("serial", self.serial.clone()),
            ("valid from", self.not_before.clone()),
            (
                "valid until",
                format!("{} (good for {good_for})", self.not_after),
            ),
            ("certificates", self.cert_chain.display().to_string()),
            ("private key", self.key.display().to_string()),
            ("trust bundle", self.root_cert.display().to_string()),
            ("try", self.verify.clone()),
        ];
        rows.iter()
            .map(|(label, value)| format!("{label:<14}{value}\n"))
            .collect()
    }
}

/// `path` as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    match text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}
