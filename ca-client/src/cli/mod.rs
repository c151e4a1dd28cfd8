//! Which settings are there? Flags, then environment, then the settings file, then defaults.

mod settings;
#[cfg(test)]
mod tests;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use ca_client::CaAddress;
use clap::ArgMatches;
use clap::CommandFactory as _;
use clap::FromArgMatches as _;
use clap::parser::ValueSource;
use proto::certificate::Fingerprint;
use proto::settings_file::SettingsFileError;
use proto::spiffe::SpiffeId;

/// What the user wants.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Get one certificate, check it and write it for other processes
    #[command(after_long_help = FETCH_HELP)]
    Fetch(FetchOptions),
}

/// The settings of `fetch`.
#[derive(Debug, clap::Args)]
pub(crate) struct FetchOptions {
    /// Where the CA listens for gRPC over TLS
    #[arg(long, env = "CA_ADDR", value_name = "HOST:PORT")]
    pub(crate) ca_addr: Option<CaAddress>,

    /// Roots that authenticate the CA (PEM). Wins over an earlier run's root-cert.pem in --out
    #[arg(long, env = "CA_ROOT_CA", value_name = "FILE")]
    pub(crate) ca_roots: Option<PathBuf>,

    /// SHA-256 of the CA's root certificate, instead of --ca-roots; colons are optional
    #[arg(long, env = "CA_FINGERPRINT", value_name = "SHA256")]
    pub(crate) ca_fingerprint: Option<Fingerprint>,

    /// File with the token that proves who asks, read again for each attempt; '-' is standard input.
    /// Without it, an unexpired certificate in --out is renewed over mutual TLS
    #[arg(long, env = "CA_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// Directory for cert-chain.pem, key.pem and root-cert.pem
    #[arg(long, env = "OUTPUT_CERTS", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Lifetime to ask for; the CA may grant less
    #[arg(long, env = "SECRET_TTL", value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    pub(crate) ttl: Duration,

    /// The SPIFFE ID that the certificate must have, as `spiffe://cluster.local/ns/shop/sa/cart`
    #[arg(long, value_name = "ID")]
    pub(crate) spiffe_id: Option<SpiffeId>,

    /// The name in the CA's certificate, if it is not the host of --ca-addr
    #[arg(long, value_name = "NAME")]
    pub(crate) server_name: Option<String>,

    /// The cluster to name in the request's header 'clusterid'
    #[arg(long, env = "ISTIO_META_CLUSTER_ID", value_name = "ID")]
    pub(crate) cluster_id: Option<String>,

    /// Replace files of these names that ca-client did not make
    #[arg(long)]
    pub(crate) replace: bool,

    /// Permissions of key.pem, octal
    #[arg(long, value_name = "MODE", default_value = "0600", value_parser = values::mode)]
    pub(crate) key_mode: u32,

    /// Permissions of cert-chain.pem and root-cert.pem, octal
    #[arg(long, value_name = "MODE", default_value = "0644", value_parser = values::mode)]
    pub(crate) cert_mode: u32,

    /// How long connecting, and then the call, may each take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::timeout)]
    pub(crate) timeout: Duration,

    /// How often to try while the CA cannot be reached; a refusal ends it at once
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) attempts: u16,

    /// Settings file (YAML): the long names of these flags as keys
    #[arg(long, env = "CA_CLIENT_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Form of the log on stderr
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// Form of the result on stdout
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: OutputFormat,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people.
    Table,
    /// One JSON object.
    Json,
}

/// Why the command line is not understood. All of them are exit code 2, but for `--help`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// clap's own: it prints itself.
    #[error(transparent)]
    Clap(#[from] clap::Error),
    /// Roots and a fingerprint from the same source.
    #[error(
        "--ca-roots and --ca-fingerprint are both given; one of them authenticates the CA, drop the other"
    )]
    TwoTrusts,
    /// The settings file cannot be used.
    #[error("the settings file is refused")]
    SettingsFile {
        /// What is wrong with it.
        #[from]
        source: SettingsFileError,
    },
    /// A value in the settings file is bad.
    #[error("the settings file {} is refused: {reason}", path.display())]
    SettingsValue {
        /// The file.
        path: PathBuf,
        /// What is wrong with the value.
        reason: String,
    },
}

/// Understands a command line, with environment and settings file.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, CliError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let command = settings::without_empty_variables(Cli::command(), "fetch");
    let mut matches = command.clone().try_get_matches_from(&args)?;
    if let Some(path) = fetch_matches(&matches).and_then(|fetch| fetch.get_one::<PathBuf>("config"))
    {
        let command = settings::as_defaults(command, "fetch", path)?;
        matches = command.try_get_matches_from(&args)?;
    }
    let Command::Fetch(mut options) = Cli::from_arg_matches(&matches)?.command;
    if let Some(fetch) = fetch_matches(&matches) {
        settle_trust(&mut options, fetch)?;
    }
    Ok(Command::Fetch(options))
}

#[derive(Debug, clap::Parser)]
#[command(
    name = "ca-client",
    version,
    about = "Gets, checks and writes a workload's SPIFFE certificate",
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn fetch_matches(matches: &ArgMatches) -> Option<&ArgMatches> {
    matches.subcommand_matches("fetch")
}

/// Of roots and fingerprint, the one from the stronger source stays.
fn settle_trust(options: &mut FetchOptions, matches: &ArgMatches) -> Result<(), CliError> {
    if options.ca_roots.is_none() || options.ca_fingerprint.is_none() {
        return Ok(());
    }
    let rank = |id| match matches.value_source(id) {
        Some(ValueSource::CommandLine) => 2,
        Some(ValueSource::EnvVariable) => 1,
        _ => 0,
    };
    match rank("ca_roots").cmp(&rank("ca_fingerprint")) {
        std::cmp::Ordering::Less => options.ca_roots = None,
        std::cmp::Ordering::Greater => options.ca_fingerprint = None,
        std::cmp::Ordering::Equal => return Err(CliError::TwoTrusts),
    }
    Ok(())
}

const FETCH_HELP: &str = "\
Examples:
  First contact, with the CA's roots and a token:
    ca-client fetch --ca-addr ca.example:15012 --ca-roots root-cert.pem \\
      --token-file /var/run/secrets/tokens/istio-token --out /etc/certs

  First contact, with nothing but the fingerprint of the CA's root
  (openssl x509 -in root-cert.pem -noout -fingerprint -sha256):
    ca-client fetch --ca-addr ca.example:15012 --ca-fingerprint 3F:…:A0 \\
      --token-file token --out /etc/certs

  Renewal with the certificate that is there, trusting the roots that are there:
    ca-client fetch --ca-addr ca.example:15012 --out /etc/certs

Which roots authenticate the CA:
  --ca-roots or --ca-fingerprint if one is given, and nothing else; otherwise the
  root-cert.pem that an earlier run wrote to --out. The two are never mixed, and a
  warning says when they have nothing in common.

The files in --out are links through ..data, so that all three change at once.
RUST_LOG chooses what is logged on stderr (default: info).

Exit codes: 0 written, 1 could not, 2 the command line or settings are wrong.";
