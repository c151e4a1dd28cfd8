//! Which settings have the commands that look at files: `verify` and `inspect`?

use std::path::PathBuf;
use std::time::SystemTime;

use proto::spiffe::SpiffeId;
use proto::spiffe::TrustDomain;

use super::OutputFormat;
use super::values;

/// The settings of `verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyOptions {
    /// All that is trusted: certificates in PEM or DER
    #[arg(long, value_name = "FILE")]
    pub(crate) roots: PathBuf,

    /// The moment that counts, as 2026-11-21T14:00:00Z; now, if it is not given
    #[arg(long, value_name = "RFC3339", value_parser = values::time)]
    pub(crate) at: Option<SystemTime>,

    /// Which rules beside those of RFC 5280
    #[arg(long, value_name = "PROFILE", default_value = "x509-svid")]
    pub(crate) profile: ProfileName,

    /// The trust domain that the leaf must be in: the one whose roots are in --roots
    #[arg(long, value_name = "NAME")]
    pub(crate) trust_domain: Option<TrustDomain>,

    /// The SPIFFE ID that the leaf must have
    #[arg(long, value_name = "ID")]
    pub(crate) spiffe_id: Option<SpiffeId>,

    /// Form of the verdict on stdout
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: OutputFormat,

    /// The certificates, leaf first, the rest in any order: a file in PEM or DER, or '-' for standard input
    pub(crate) chain: PathBuf,
}

/// The settings of `inspect`.
#[derive(Debug, clap::Args)]
pub(crate) struct InspectOptions {
    /// Form of the result on stdout
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: OutputFormat,

    /// A file in PEM or DER, or '-' for standard input
    pub(crate) file: PathBuf,
}

/// What the leaf is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ProfileName {
    /// One SPIFFE ID, and every rule of X509-SVID.
    X509Svid,
    /// Any leaf that RFC 5280 accepts for TLS servers or clients.
    Pkix,
}

impl VerifyOptions {
    /// Whether names are asked for that a PKIX leaf does not have.
    pub(super) fn mixes_profiles(&self) -> bool {
        let asks_name = self.trust_domain.is_some() || self.spiffe_id.is_some();
        self.profile == ProfileName::Pkix && asks_name
    }
}

pub(super) const VERIFY_HELP: &str = "\
Examples:
  Is this what my peers will accept?
    ca-client verify --roots root-cert.pem cert-chain.pem

  Will it still be good on Monday, and is it who I think it is?
    ca-client verify --roots root-cert.pem --at 2026-11-23T08:00:00Z \\
      --spiffe-id spiffe://cluster.local/ns/shop/sa/cart cert-chain.pem

  What does that server show?
    openssl s_client -connect HOST:PORT -showcerts </dev/null |
      ca-client verify --roots root-cert.pem -

Nothing is asked of any server, and revocation is not looked at.
docs/verification.md lists the rules, and where openssl decides otherwise.

Exit codes: 0 valid, 1 could not read, 2 the command line is wrong, 3 not valid.";

pub(super) const INSPECT_HELP: &str = "\
Certificates, requests (CSR), CRLs, keys and whatever else a PEM or DER file holds.
Of private keys it says the kind, never more. Nothing is judged but the shape of an
X509-SVID: use `ca-client verify` for that.

Exit codes: 0 read, also if blocks are unknown or broken; 1 could not read; 2 the command line is wrong.";
