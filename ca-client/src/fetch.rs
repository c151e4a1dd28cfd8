//! What does `ca-client fetch` do, and in what order? Check all that can be checked here, then ask,
//! then write, then tell.

use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use backon::ExponentialBuilder;
use backon::Retryable as _;
use ca_client::BuildError;
use ca_client::CaAddress;
use ca_client::CaClient;
use ca_client::Clock as _;
use ca_client::Credential;
use ca_client::Enrolled;
use ca_client::Error;
use ca_client::OutputDir;
use ca_client::SystemClock;
use ca_client::files;
use ca_client::files::Existing;
use ca_client::files::FilesError;
use ca_client::files::OutputOptions;
use ca_client::files::PasswordError;
use ca_client::files::StorePassword;
use zeroize::Zeroizing;

use crate::cli::CaOptions;
use crate::cli::FetchOptions;
use crate::cli::FilesOptions;
use crate::report::Report;
use crate::trust_choice;
use crate::trust_choice::TrustChoiceError;

/// Gets one SVID and writes it.
pub(crate) async fn run(options: FetchOptions) -> Result<(), FetchError> {
    let ca = &options.ca;
    let address = required(&ca.ca_addr, "--ca-addr HOST:PORT", "CA_ADDR")?;
    let out = required(&ca.out, "--out DIR", "OUTPUT_CERTS")?;
    let trust = trust_choice::choose(ca, &out)?;
    let credential = credential(ca, &out, SystemClock.now())?;
    let client = client(address, ca).trust(trust).credential(credential);
    let client = match ca.ca_roots.is_none() && ca.ca_fingerprint.is_none() {
        true => client.going_on_from(&out)?,
        false => client,
    };
    let client = client.build()?;
    let output = OutputDir::open(&out, output_options(&ca.files)?)?;
    let enrolled = fetch(&client, options.attempts).await?;
    let now = SystemClock.now();
    output.write_enrolled(&enrolled, now)?;
    Report::new(&enrolled.svid, &output, now)
        .print(options.output)
        .map_err(|source| FetchError::Print { source })
}

/// Why `fetch` could not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The settings do not make a client.
    #[error("the settings do not fit")]
    Build {
        /// What is wrong with them.
        #[from]
        source: BuildError,
    },
    /// The CA gave no certificate that may be used.
    #[error("no certificate; the output directory is as it was")]
    Ca {
        /// Why not.
        #[from]
        source: Error,
    },
    /// The certificate that could have been renewed has expired.
    #[error(
        "no credential: the certificate in {} expired at {}; give --token-file FILE",
        out.display(), humantime::format_rfc3339_seconds(*not_after)
    )]
    Expired {
        /// The output directory.
        out: PathBuf,
        /// The certificate's last second.
        not_after: SystemTime,
    },
    /// The files could not be written or read.
    #[error("the output directory cannot be used")]
    Files {
        /// Why not.
        #[from]
        source: FilesError,
    },
    /// A setting is missing.
    #[error("{flag} is missing (or {variable} in the environment)")]
    Missing {
        /// The flag and its value.
        flag: &'static str,
        /// The variable of the same meaning.
        variable: &'static str,
    },
    /// Nothing says who asks.
    #[error("no credential: give --token-file FILE ({} holds no certificate that could be renewed)", out.display())]
    NoCredential {
        /// The output directory.
        out: PathBuf,
    },
    /// The PKCS#12 files cannot be written.
    #[error("--pkcs12-password-file cannot be used")]
    Password {
        /// Why not.
        #[from]
        source: PasswordError,
    },
    /// The result could not be printed; the files are written.
    #[error("the files are written, but the result cannot be printed")]
    Print {
        /// The system's answer.
        source: std::io::Error,
    },
    /// No token came.
    #[error("cannot read the token from standard input")]
    StandardInput {
        /// The system's answer.
        source: std::io::Error,
    },
    /// Nobody to trust.
    #[error("the CA cannot be authenticated")]
    Trust {
        /// Why not.
        #[from]
        source: TrustChoiceError,
    },
}

impl FetchError {
    /// Whether other settings, not another try, would help.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Build { .. } | Self::Missing { .. } | Self::NoCredential { .. } => true,
            Self::Trust { source } => matches!(source, TrustChoiceError::Nothing { .. }),
            Self::Files { source } => source.is_usage(),
            Self::Ca { .. }
            | Self::Expired { .. }
            | Self::Password { .. }
            | Self::Print { .. }
            | Self::StandardInput { .. } => false,
        }
    }
}

pub(crate) fn required<T: Clone>(
    value: &Option<T>,
    flag: &'static str,
    variable: &'static str,
) -> Result<T, FetchError> {
    value.clone().ok_or(FetchError::Missing { flag, variable })
}

/// Which files are wanted.
///
/// # Errors
/// When the password of the PKCS#12 files cannot be had.
pub(crate) fn output_options(options: &FilesOptions) -> Result<OutputOptions, PasswordError> {
    let stores = match &options.pkcs12_password_file {
        Some(path) => Some(StorePassword::from_file(path)?),
        None => options.pkcs12.then(StorePassword::customary),
    };
    let exceptions = options.file_mode.iter().chain(&options.file_owner);
    let output = OutputOptions {
        key_mode: options.key_mode,
        cert_mode: options.cert_mode,
        existing: match options.replace {
            true => Existing::Replace,
            false => Existing::Refuse,
        },
        key_owner: options.key_owner.unwrap_or_default(),
        cert_owner: options.cert_owner.unwrap_or_default(),
        exceptions: exceptions.cloned().collect(),
        names: options.names,
        chain_without_root: options.chain_without_root,
        stores,
    };
    for name in output.exposed() {
        tracing::warn!("everybody on this machine may read the private key in {name}");
    }
    Ok(output)
}

fn credential(options: &CaOptions, out: &Path, now: SystemTime) -> Result<Credential, FetchError> {
    match &options.token_file {
        Some(path) if path.as_os_str() == "-" => token_from_stdin(),
        Some(path) => Ok(Credential::token_file(path)),
        None => match files::stored(out)? {
            Some(svid) if svid.not_after() >= now => {
                tracing::info!(
                    spiffe_id = %svid.spiffe_id(),
                    "no --token-file: renewing the certificate in the output directory over mutual TLS"
                );
                Ok(Credential::identity(svid))
            }
            Some(svid) => Err(FetchError::Expired {
                out: out.to_owned(),
                not_after: svid.not_after(),
            }),
            None => Err(FetchError::NoCredential {
                out: out.to_owned(),
            }),
        },
    }
}

fn token_from_stdin() -> Result<Credential, FetchError> {
    let mut token = Zeroizing::new(String::new());
    std::io::stdin()
        .take(MAX_TOKEN_LEN)
        .read_to_string(&mut token)
        .map_err(|source| FetchError::StandardInput { source })?;
    Ok(Credential::token(token.as_str()))
}

pub(crate) fn client(address: CaAddress, options: &CaOptions) -> ca_client::CaClientBuilder {
    let mut builder = CaClient::builder(address)
        .ttl(options.ttl)
        .connect_deadline(options.timeout)
        .answer_deadline(options.timeout);
    if let Some(name) = &options.server_name {
        builder = builder.server_name(name);
    }
    if let Some(id) = &options.spiffe_id {
        builder = builder.spiffe_id(id.clone());
    }
    if let Some(id) = &options.cluster_id {
        builder = builder.cluster_id(id);
    }
    builder
}

/// Asks until there is an answer, a refusal, or no attempt left.
async fn fetch(client: &CaClient, attempts: u16) -> Result<Enrolled, Error> {
    let waits = ExponentialBuilder::default()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .with_max_times(usize::from(attempts.saturating_sub(1)))
        .with_jitter();
    // One key for all attempts: an answer that was lost may have spent a one-time token on it.
    let key = client.new_key()?;
    (|| client.enrol_for(&key))
        .retry(waits)
        .when(Error::is_retryable)
        .notify(|error, wait| {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "trying again in {}",
                humantime::format_duration(Duration::from_millis(
                    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
                ))
            );
        })
        .await
}

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Tokens are headers, and no server takes a header of that size.
const MAX_TOKEN_LEN: u64 = 64 * 1024;
