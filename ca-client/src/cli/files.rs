//! Which files are written into --out, and whose are they?

use std::path::PathBuf;

use ca_client::files::FileAccess;
use ca_client::files::FileNames;
use ca_client::files::Owner;

use super::values;

/// The files of one set.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FilesOptions {
    /// Replace files of these names that ca-client did not make
    #[arg(long)]
    pub(crate) replace: bool,

    /// How the files are called: cert-chain.pem, key.pem and root-cert.pem, or tls.crt, tls.key and ca.crt
    #[arg(long, value_name = "SET", default_value = "istio", value_parser = values::names)]
    pub(crate) names: FileNames,

    /// Permissions of the files with the private key, octal
    #[arg(long, value_name = "MODE", default_value = "0600", value_parser = values::mode)]
    pub(crate) key_mode: u32,

    /// Permissions of the other files, octal
    #[arg(long, value_name = "MODE", default_value = "0644", value_parser = values::mode)]
    pub(crate) cert_mode: u32,

    /// Whom the files with the private key belong to, in numbers; taken as it is if not given
    #[arg(long, value_name = "UID[:GID]")]
    pub(crate) key_owner: Option<Owner>,

    /// Whom the other files belong to, in numbers
    #[arg(long, value_name = "UID[:GID]")]
    pub(crate) cert_owner: Option<Owner>,

    /// Permissions of one file, octal, instead of those of its kind, as key.pem=0640; repeatable
    #[arg(long, value_name = "NAME=MODE", value_parser = values::file_mode)]
    pub(crate) file_mode: Vec<FileAccess>,

    /// Whom one file belongs to, in numbers, as keystore.p12=1337:1337; repeatable
    #[arg(long, value_name = "NAME=UID[:GID]", value_parser = values::file_owner)]
    pub(crate) file_owner: Vec<FileAccess>,

    /// Also write chain-without-root.pem, for Java and others that complain about a root in the chain
    #[arg(long)]
    pub(crate) chain_without_root: bool,

    /// Also write keystore.p12 (private key, chain without root) and truststore.p12 (all roots) in PKCS#12
    #[arg(long)]
    pub(crate) pkcs12: bool,

    /// File with the password of the PKCS#12 files, read at the start; 'changeit' without it. Implies --pkcs12
    #[arg(long, value_name = "FILE")]
    pub(crate) pkcs12_password_file: Option<PathBuf>,
}
