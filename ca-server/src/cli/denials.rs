//! How is it said who gets nothing more? `certs deny`, `certs allow`.

use clap::Args;

use super::Operator;

/// `certs deny`
#[derive(Debug, Args)]
pub struct CertsDeny {
    /// Who or what.
    #[command(flatten)]
    pub target: DenialTarget,
    /// Why, in one line: for the log, and for `certs denied`.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub reason: String,
    /// Where the server is.
    #[command(flatten)]
    pub operator: Operator,
}

/// `certs allow`
#[derive(Debug, Args)]
pub struct CertsAllow {
    /// Who or what.
    #[command(flatten)]
    pub target: DenialTarget,
    /// Where the server is.
    #[command(flatten)]
    pub operator: Operator,
}

/// One of them, and only one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct DenialTarget {
    /// Whoever has this SPIFFE ID, by token, JWT or certificate.
    #[arg(long, value_name = "ID")]
    pub spiffe_id: Option<String>,
    /// The certificate with this serial, as hex, with or without colons: it renews nothing any more. Its holder may
    /// still come with a token.
    #[arg(long, value_name = "SERIAL")]
    pub serial: Option<String>,
    /// This key, in a CSR and in a client certificate: SHA-256 of its SubjectPublicKeyInfo in DER, as hex. `certs show`
    /// prints it; so does `openssl pkey -pubin -outform DER | sha256sum`.
    #[arg(long, value_name = "SHA256")]
    pub key_sha256: Option<String>,
}
