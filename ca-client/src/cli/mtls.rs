//! Which settings has `mtls check`?

use std::path::PathBuf;
use std::time::Duration;

use ca_client::probe::Target;
use proto::spiffe::SpiffeId;
use proto::spiffe::TrustDomain;

use super::OutputFormat;
use super::values;

/// What is to be done about mTLS.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum MtlsCommand {
    /// Does a service take plain text, TLS or both, and is the chain it shows good?
    #[command(after_long_help = CHECK_HELP, arg_required_else_help = true)]
    Check(Box<MtlsCheckOptions>),
}

/// The settings of `mtls check`.
#[derive(Debug, clap::Args)]
pub(crate) struct MtlsCheckOptions {
    /// What to look at: HOST:PORT, NAME=HOST:PORT or NAMESPACE/NAME=HOST:PORT; prints all there is
    /// to say of one, and a table of several
    #[arg(value_name = "TARGET", required_unless_present = "list")]
    pub(crate) targets: Vec<Target>,

    /// More of them: lines of HOST:PORT and, if wanted, NAMESPACE/NAME; '-' for standard input
    #[arg(long = "targets", value_name = "FILE")]
    pub(crate) list: Option<PathBuf>,

    /// Directory with a workload's certificate, key and trust bundle, as `ca-client agent` writes it:
    /// who we are to servers that ask, and what is trusted
    #[arg(long, env = "OUTPUT_CERTS", value_name = "DIR")]
    pub(crate) certs: Option<PathBuf>,

    /// All that is trusted, instead of the bundle in --certs: certificates in PEM or DER
    #[arg(long, value_name = "FILE", required_unless_present = "certs")]
    pub(crate) roots: Option<PathBuf>,

    /// The trust domain that servers must be in; that of the certificate in --certs, if it is not given
    #[arg(long, value_name = "NAME")]
    pub(crate) trust_domain: Option<TrustDomain>,

    /// The SPIFFE ID that servers must have
    #[arg(long, value_name = "ID")]
    pub(crate) spiffe_id: Option<SpiffeId>,

    /// The namespace that SPIFFE IDs of the form /ns/NAMESPACE/sa/… must name, where the target does not say
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,

    /// What is said in plain text: http, none, or @FILE with the bytes to which the service answers
    #[arg(long, value_name = "PROBE", default_value = "http", value_parser = plain_probe)]
    pub(crate) plain_probe: PlainProbeName,

    /// How long to wait for each answer of a target
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = values::timeout)]
    pub(crate) timeout: Duration,

    /// How many targets are looked at at once
    #[arg(long, value_name = "N", default_value = "32", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) concurrency: u16,

    /// Form of the result on stdout
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: OutputFormat,
}

/// What is said in plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PlainProbeName {
    /// HTTP.
    Http,
    /// Nothing.
    Nothing,
    /// What is in a file.
    File(PathBuf),
}

fn plain_probe(text: &str) -> Result<PlainProbeName, String> {
    match (text, text.strip_prefix('@')) {
        ("http", _) => Ok(PlainProbeName::Http),
        ("none", _) => Ok(PlainProbeName::Nothing),
        (_, Some(path)) if !path.is_empty() => Ok(PlainProbeName::File(path.into())),
        _ => Err("expected http, none or @FILE".to_owned()),
    }
}

const CHECK_HELP: &str = "\
Examples:
  Is this service closed to plain text, and is it who it should be?
    ca-client mtls check --certs /etc/certs \\
      --spiffe-id spiffe://cluster.local/ns/shop/sa/cart 10.1.2.3:8080

  All of them, a lock per row, per namespace and for the mesh:
    kubectl get pods -A --no-headers \\
      -o custom-columns=:.status.podIP,:.metadata.namespace,:.metadata.name |
      awk '{ print $1 \":8080\", $2 \"/\" $3 }' |
      ca-client mtls check --certs /etc/certs --targets -

  A service that does not answer HTTP: say in plain text what it does answer
    printf 'PING\\r\\n' > ping
    ca-client mtls check --certs /etc/certs --plain-probe @ping redis:6379

Each target gets up to four connections to one of its addresses, one after the other: plain
text (a GET / of HTTP/1.1; HTTP/2 where that is hung up on), TLS without a certificate, and
TLS with the one in --certs; the last two again, three times in all, where the server asks for
a certificate and hangs up. Istio's protocols are offered. Nothing is said once TLS stands.

  mode         lock    plain text    without a certificate   with one
  strict       closed  refused       refused                 good (not tried without --certs)
  permissive   half    taken         refused, or let in      good
  unproven     half    no answer     refused                 good
                       not taken     hung up on              good
                       hung up on    refused                 good, then hung up on
  optional     half    not taken     let in, though asked    good
  tls          open    not taken     let in, never asked
  disabled     open    taken         let in, never asked, or there is no TLS
  broken       broken  TLS is there, but its chain breaks a rule (see ca-client verify), it is
                       somebody else, or it does not take our certificate
  undecided    none    not taken     hung up on              hung up on (not tried without
                                     refused                 hung up on           --certs)
  unknown      none    neither plain text nor TLS is answered
  unreachable  none    nobody accepts a connection

A hang-up is no refusal of a certificate: an alert is. So hangs up, too, a proxy whose service
is gone: see that it runs, and look again.
Plain text is taken if anything but a TLS alert comes back, also an HTTP error. A service that
hangs up on HTTP without a word looks as if it refused plain text: use --plain-probe @FILE.
Without a certificate (--roots alone) nobody can know whether a strict server would let us in.
A name with several addresses is looked at where one answers first: give addresses of pods.

Exit codes: 0 all are closed, 1 could not (also: some targets could not be judged), 2 the
command line is wrong, 3 some are half closed, 4 some are open or broken. Of several, the
gravest counts: 4, then 1, then 3.";
