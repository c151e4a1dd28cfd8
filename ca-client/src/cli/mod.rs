//! Which settings are there? Flags, then environment, then the settings file, then defaults.

mod agent;
mod ca;
mod checks;
mod envoy;
mod files;
mod mtls;
mod settings;
#[cfg(test)]
mod tests;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ArgMatches;
use clap::CommandFactory as _;
use clap::FromArgMatches as _;
use clap::parser::ValueSource;
use proto::settings_file::SettingsFileError;

pub(crate) use agent::AgentOptions;
pub(crate) use agent::StatusOptions;
pub(crate) use ca::CaOptions;
pub(crate) use files::FilesOptions;

pub(crate) use self::checks::InspectOptions;
pub(crate) use self::checks::ProfileName;
pub(crate) use self::checks::VerifyOptions;
pub(crate) use self::envoy::DocumentFormat;
pub(crate) use self::envoy::EnvoyOptions;
pub(crate) use self::envoy::PolicyOptions;
pub(crate) use self::mtls::MtlsCheckOptions;
pub(crate) use self::mtls::MtlsCommand;
pub(crate) use self::mtls::PlainProbeName;

/// What the user wants.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Get one certificate, check it and write it for other processes
    #[command(after_long_help = FETCH_HELP)]
    Fetch(Box<FetchOptions>),
    /// Get a certificate and renew it for ever
    #[command(after_long_help = agent::AGENT_HELP)]
    Agent(Box<AgentOptions>),
    /// Is there a valid certificate, and how is the agent?
    #[command(after_long_help = agent::STATUS_HELP)]
    Status(StatusOptions),
    /// Judge a chain of certificates: is it good, and if not, which rule does it break?
    #[command(after_long_help = checks::VERIFY_HELP)]
    Verify(VerifyOptions),
    /// Explain a PEM or DER file: what is in it, who it names, who signed it, when it ends
    #[command(after_long_help = checks::INSPECT_HELP)]
    Inspect(InspectOptions),
    /// Look at services from outside: who is let in?
    #[command(subcommand, arg_required_else_help = true)]
    Mtls(MtlsCommand),
    /// Print the bootstrap of an Envoy that speaks mutual TLS with the agent's certificates
    #[command(after_long_help = envoy::ENVOY_HELP)]
    Envoy(Box<EnvoyOptions>),
}

/// The settings of `fetch`.
#[derive(Debug, clap::Args)]
pub(crate) struct FetchOptions {
    #[command(flatten)]
    pub(crate) ca: CaOptions,

    /// How often to try while the CA cannot be reached; a refusal ends it at once
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) attempts: u16,

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
    /// One JSON document.
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
    /// Names are asked for that only X509-SVIDs have.
    #[error("--trust-domain and --spiffe-id are for X509-SVIDs; drop them, or --profile pkix")]
    MixedProfiles,
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
    let mut command = Cli::command();
    for name in WITH_VARIABLES {
        command = settings::without_empty_variables(command, name);
    }
    command = command.mut_subcommand("mtls", |mtls| {
        settings::without_empty_variables(mtls, "check")
    });
    let mut matches = command.clone().try_get_matches_from(&args)?;
    if let Some((name, path)) = settings_file(&matches) {
        let command = settings::as_defaults(command, name, path)?;
        matches = command.try_get_matches_from(&args)?;
    }
    let mut command = Cli::from_arg_matches(&matches)?.command;
    let ca = match &mut command {
        Command::Fetch(options) => Some(&mut options.ca),
        Command::Agent(options) => Some(&mut options.ca),
        Command::Verify(options) if options.mixes_profiles() => {
            return Err(CliError::MixedProfiles);
        }
        Command::Status(_)
        | Command::Verify(_)
        | Command::Inspect(_)
        | Command::Mtls(_)
        | Command::Envoy(_) => None,
    };
    if let (Some(ca), Some((_, matches))) = (ca, matches.subcommand()) {
        settle_trust(ca, matches)?;
    }
    Ok(command)
}

/// The commands that take settings from the environment.
const WITH_VARIABLES: [&str; 4] = ["fetch", "agent", "status", "envoy"];

/// The command that was given, and its settings file, if it has one.
fn settings_file(matches: &ArgMatches) -> Option<(&str, &PathBuf)> {
    let (name, matches) = matches.subcommand()?;
    let path = matches.try_get_one::<PathBuf>("config").ok()??;
    Some((name, path))
}

#[derive(Debug, clap::Parser)]
#[command(
    name = "ca-client",
    version,
    about = "Gets, checks and writes a workload's SPIFFE certificate; judges and explains those of others",
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Of roots and fingerprint, the one from the stronger source stays.
fn settle_trust(options: &mut CaOptions, matches: &ArgMatches) -> Result<(), CliError> {
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

The files in --out are links through ..data, so that all of them change at once.
RUST_LOG chooses what is logged on stderr (default: info).

Exit codes: 0 written, 1 could not, 2 the command line or settings are wrong.";
