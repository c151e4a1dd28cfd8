//! Which commands and flags are there? Every flag and variable, spelled once.
//!
//! Flags beat the environment, the environment beats `--config FILE`, the file beats the defaults.

mod bundle;
mod denials;
mod rotate;
mod serve;
mod settings;

use std::error::Error as _;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::CommandFactory as _;
use clap::FromArgMatches as _;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use proto::settings_file::SettingsFileError;

pub use self::bundle::Bundle;
pub use self::bundle::BundleCheck;
pub use self::bundle::BundleCreate;
pub use self::bundle::BundleImport;
pub use self::bundle::CreateCsr;
pub use self::bundle::CreateIssuer;
pub use self::bundle::CreateRoot;
pub use self::bundle::KeyType;
pub use self::denials::CertsAllow;
pub use self::denials::CertsDeny;
pub use self::denials::DenialTarget;
pub use self::rotate::Deadline;
pub use self::rotate::DeadlineError;
pub use self::rotate::ForceArgs;
pub use self::rotate::Reload;
pub use self::rotate::Rotate;
pub use self::rotate::RotateAbort;
pub use self::rotate::RotateActivate;
pub use self::rotate::RotatePlan;
pub use self::rotate::RotateRetire;
pub use self::rotate::RotateStart;
pub use self::rotate::RotateStatus;
pub use self::rotate::RotateTaint;
pub use self::serve::LogFormat;
pub use self::serve::Serve;

/// Signet's certificate authority: signs short-lived SPIFFE certificates for the workloads of a mesh.
#[derive(Debug, Parser)]
#[command(name = "ca-server", version, propagate_version = true, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the CA: gRPC for agents, HTTP for health and metrics, a socket for operators.
    Serve(Box<Serve>),
    /// Make a CA to plug in, or look at one, without running anything.
    #[command(subcommand)]
    Bundle(Bundle),
    /// Make and manage one-time enrolment tokens of a running server.
    #[command(subcommand)]
    Token(Token),
    /// Search the ledger of a running server: every certificate it ever promised.
    #[command(subcommand)]
    Certs(Certs),
    /// Say what a running server has loaded, whether it is well, and what expires when.
    Status(Operator),
    /// Change the root without anyone noticing: plan, start, watch, and take each step when nobody breaks.
    ///
    /// A rotation publishes the new root first, signs with it when everybody who serves a leaf knows it, and lets the old
    /// one go when no leaf needs it. The ledger is the evidence.
    #[command(subcommand)]
    Rotate(Rotate),
    /// Have a running server read --root-ca-dir now, and say what came of it.
    ///
    /// It does so by itself too, when files change and every --reload-interval. Exit status 1 when what is there is not
    /// loaded.
    Reload(Reload),
    /// Write ledger, trust bundle and CA files into one archive; the server may run meanwhile.
    Backup(Backup),
    /// Put a backup into an empty data directory.
    Restore(Restore),
}

/// How a running server is reached, and how answers are printed.
#[derive(Clone, Debug, Args)]
pub struct Operator {
    /// Data directory of the server; its admin.sock is what is talked to.
    #[arg(long, env = "SIGNET_DATA_DIR", default_value = serve::DATA_DIR)]
    pub data_dir: PathBuf,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// `token …`
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token for one SPIFFE ID and print it, alone, on standard output.
    Create(TokenCreate),
    /// List tokens, newest first. Their secrets are not stored and cannot be shown.
    List(Operator),
    /// Make a token useless from now on; leaves issued with it stay valid.
    Revoke(TokenRevoke),
}

/// `token create`
#[derive(Debug, Args)]
pub struct TokenCreate {
    /// Who the holder may enrol as, such as `spiffe://cluster.local/ns/shop/sa/cart`.
    #[arg(long, value_name = "ID")]
    pub spiffe_id: String,
    /// How long the token may be used.
    #[arg(long, default_value = "15m", value_parser = humantime::parse_duration)]
    pub ttl: Duration,
    /// Where the server is.
    #[command(flatten)]
    pub operator: Operator,
}

/// `token revoke ID`
#[derive(Debug, Args)]
pub struct TokenRevoke {
    /// The token's id, from `token list`.
    pub id: String,
    /// Where the server is.
    #[command(flatten)]
    pub operator: Operator,
}

/// `certs …`
#[derive(Debug, Subcommand)]
pub enum Certs {
    /// List certificates, newest first.
    List(CertsList),
    /// Show one certificate.
    Show(CertsShow),
    /// Issue nothing more to a SPIFFE ID, for a certificate or for a key. This is not revocation.
    ///
    /// From the moment that this command returns, renewal and enrolment are refused, on kept connections too. A
    /// certificate that is already out there stays valid until it expires: peers do not ask. Short lifetimes are
    /// what makes a denial bite.
    Deny(CertsDeny),
    /// Take a denial back.
    Allow(CertsAllow),
    /// List what is denied, newest first. Certificates already out there stay valid until they expire.
    Denied(Operator),
}

/// `certs list`
#[derive(Debug, Args)]
pub struct CertsList {
    /// Only this SPIFFE ID.
    #[arg(long, value_name = "ID")]
    pub spiffe_id: Option<String>,
    /// Only those that end within this time from now, and have not ended.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub expires_within: Option<Duration>,
    /// Only those that have not ended.
    #[arg(long)]
    pub live: bool,
    /// At most this many.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Where the server is.
    #[command(flatten)]
    pub operator: Operator,
}

/// `certs show SERIAL`
#[derive(Debug, Args)]
pub struct CertsShow {
    /// Serial number as hex, with or without colons.
    pub serial: String,
    /// Where the server is.
    #[command(flatten)]
    pub operator: Operator,
}

/// `backup`
#[derive(Debug, Args)]
pub struct Backup {
    /// Archive to write (mode 0600; it holds CA keys unless --without-keys).
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// Leave the private keys out. Such a backup restores a ledger, not a CA.
    #[arg(long)]
    pub without_keys: bool,
    /// Data directory of the server. Where no server runs, it is read directly.
    #[arg(long, env = "SIGNET_DATA_DIR", default_value = serve::DATA_DIR)]
    pub data_dir: PathBuf,
}

/// `restore`
#[derive(Debug, Args)]
pub struct Restore {
    /// Archive that `backup` wrote.
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
    /// Data directory to fill; must not exist or be empty, unless --ledger-only.
    #[arg(long, env = "SIGNET_DATA_DIR", default_value = serve::DATA_DIR)]
    pub data_dir: PathBuf,
    /// Only put the ledger back, beside a CA that is well. A damaged ledger is set aside, never deleted.
    /// Denials made since the backup are not in it: make them again with `ca-server certs deny`.
    #[arg(long)]
    pub ledger_only: bool,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// Reads the command line, the environment and the settings file.
///
/// # Errors
/// What clap wants printed (help and version count as such), or what is wrong with the settings file.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, CliError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let matches = Cli::command().try_get_matches_from(&args)?;
    let args = settings::with_file(args, &matches)?;
    let matches = Cli::command().try_get_matches_from(args)?;
    Ok(Cli::from_arg_matches(&matches)?)
}

/// Why the command line does not say what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// Bad usage, or a request for help.
    #[error(transparent)]
    Clap(#[from] clap::Error),
    /// The settings file is not good.
    #[error(transparent)]
    SettingsFile(#[from] SettingsFileError),
}

impl CliError {
    /// Prints it as its kind wants it, and says with which status to exit.
    #[must_use]
    pub fn report(&self) -> u8 {
        use std::io::Write as _;
        match self {
            Self::Clap(error) => {
                let _closed_terminal = error.print();
                u8::try_from(error.exit_code()).unwrap_or(2)
            }
            Self::SettingsFile(error) => {
                // The reader's own words have line and column.
                let cause = error
                    .source()
                    .map_or_else(String::new, |cause| format!(": {cause}"));
                let _closed_terminal = writeln!(std::io::stderr(), "error: {error}{cause}");
                2
            }
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  ca-server serve --data-dir ./signet --trust-domain cluster.local
      run with a self-signed root, made on first start
  ca-server serve --root-ca-dir /etc/cacerts --issuers issuers.yaml
      run with an operator's bundle; believe the service account tokens of a cluster
  ca-server bundle check /etc/cacerts
      would that bundle work?
  ca-server bundle create --help
      make a root, issuing CAs under it, or a request to a corporate CA
  ca-server token create --spiffe-id spiffe://cluster.local/ns/shop/sa/cart > token
      let one workload enrol, once
  ca-server rotate start --auto && ca-server rotate status --watch
      replace the self-signed root, each step as soon as nobody breaks";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
