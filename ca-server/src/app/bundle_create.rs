//! `ca-server bundle create` and `ca-server bundle import`: what was made, for people and programs.

use std::io;
use std::path::Path;

use proto::spiffe::SpiffeIdError;
use proto::spiffe::TrustDomain;
use serde::Serialize;

use super::bundle_check;
use super::operator::output;
use crate::authority::bundle::Report;
use crate::authority::bundle::Summary;
use crate::authority::create;
use crate::authority::create::Answer;
use crate::authority::create::CSR_FILE;
use crate::authority::create::CreateError;
use crate::authority::create::IssuerOrder;
use crate::authority::create::KEY_FILE;
use crate::authority::create::Lifetime;
use crate::authority::create::REQUIREMENTS;
use crate::authority::create::ROOT_FILE;
use crate::authority::create::ROOT_KEY_FILE;
use crate::authority::create::Requirement;
use crate::authority::create::RootOrder;
use crate::authority::create::Subject;
use crate::cli;
use crate::cli::Output;
use crate::clock::Clock as _;
use crate::clock::SystemClock;
use crate::x509::SystemEntropy;

/// Why a `bundle` command could not.
#[derive(Debug, thiserror::Error)]
pub(super) enum BundleCommandError {
    /// Nothing was made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// What was made cannot be told.
    #[error("it was made, but cannot be printed: {0}")]
    Output(#[from] io::Error),
    /// Not a trust domain.
    #[error("--trust-domain is not good: {0}")]
    TrustDomain(#[from] SpiffeIdError),
}

/// Runs one `bundle create` command.
pub(super) fn create(command: &cli::BundleCreate) -> Result<(), BundleCommandError> {
    match command {
        cli::BundleCreate::Root(options) => root(options),
        cli::BundleCreate::Issuer(options) => issuer(options),
        cli::BundleCreate::Csr(options) => csr(options),
    }
}

/// Runs `bundle import`.
pub(super) fn import(options: &cli::BundleImport) -> Result<(), BundleCommandError> {
    let answer = Answer {
        csr_dir: &options.csr_dir,
        certificate: &options.certificate,
        chain: options.chain.as_deref(),
        roots: &options.roots,
    };
    let made = create::import(answer, &options.out, SystemClock.now());
    if let (Err(CreateError::Refused { .. }), Output::Table) = (&made, options.output) {
        output::line(
            "below, ca-cert.pem is what --certificate gave, cert-chain.pem that with --chain and --roots, root-cert.pem what --roots gave\n",
        )?;
    }
    told(&options.out, options.output, made)?;
    if options.output == Output::Table {
        let key = options.csr_dir.join(KEY_FILE);
        output::line(&format!(
            "the key is in {} too: delete it when the bundle is in use",
            key.display()
        ))?;
    }
    Ok(())
}

fn root(options: &cli::CreateRoot) -> Result<(), BundleCommandError> {
    let order = RootOrder {
        subject: Subject::unique(options.organization.as_deref(), &options.common_name)?,
        key_type: key_type(options.key_type),
        ttl: Lifetime::new(options.ttl)?,
    };
    let root = create::root(&options.out, &order, SystemClock.now(), &SystemEntropy)?;
    let dir = options.out.display();
    match options.output {
        Output::Json => output::json(&MadeRoot {
            dir: &options.out,
            files: [ROOT_FILE, ROOT_KEY_FILE],
            root,
        })?,
        Output::Table => {
            output::line(&format!(
                "made an offline root in {dir}\n  \
                 {ROOT_FILE}  {} ({}, until {})\n                 SHA-256 {}\n  \
                 {ROOT_KEY_FILE}   its key, mode 0600: lock it away, only `bundle create issuer` needs it\n\
                 next: ca-server bundle create issuer --root {dir} --name CLUSTER --out DIR",
                root.subject,
                root.key,
                humantime::format_rfc3339_seconds(root.not_after),
                root.fingerprint,
            ))?;
        }
    }
    Ok(())
}

fn issuer(options: &cli::CreateIssuer) -> Result<(), BundleCommandError> {
    let trust_domain: Option<TrustDomain> = match &options.trust_domain {
        Some(name) => Some(name.parse()?),
        None => None,
    };
    let lifetime: Option<Result<Lifetime, CreateError>> = options.ttl.map(Lifetime::new);
    let order = IssuerOrder {
        name: &options.name,
        key_type: key_type(options.key_type),
        ttl: lifetime.transpose()?,
        trust_domain: trust_domain.as_ref(),
    };
    let now = SystemClock.now();
    let made = create::issuer(&options.root, &options.out, &order, now, &SystemEntropy);
    told(&options.out, options.output, made)
}

fn csr(options: &cli::CreateCsr) -> Result<(), BundleCommandError> {
    let subject = Subject::exact(options.organization.as_deref(), &options.common_name)?;
    let made = create::csr(&options.out, &subject, key_type(options.key_type))?;
    if options.output == Output::Json {
        output::json(&MadeRequest {
            dir: &options.out,
            files: [CSR_FILE, KEY_FILE],
            key: &made.key,
            csr: &made.pem,
            ca_must_set: REQUIREMENTS,
        })?;
        return Ok(());
    }
    let dir = options.out.display();
    output::line(&format!(
        "made a request for an issuing CA in {dir}\n  \
         {CSR_FILE}      for the corporate CA ({})\n  \
         {KEY_FILE}  its key, mode 0600: it stays here\n\n\
         Many CAs ignore what a request asks for. Yours must set:",
        made.key
    ))?;
    for Requirement { field, value } in REQUIREMENTS {
        output::line(&format!("  {field:24}{value}"))?;
    }
    output::line(&format!(
        "and hand out the certificate, the CAs between it and the root, and the root.\n\
         next: ca-server bundle import --csr-dir {dir} --certificate FILE --chain FILE --roots FILE --out DIR"
    ))?;
    Ok(())
}

/// Tells of a bundle that was made, or of one that would not have worked.
fn told(
    out: &Path,
    how: Output,
    made: Result<Report, CreateError>,
) -> Result<(), BundleCommandError> {
    let report = match &made {
        Ok(report) => report,
        Err(CreateError::Refused { report, .. }) => report,
        Err(_) => return made.map(drop).map_err(Into::into),
    };
    match how {
        Output::Json => output::json(report)?,
        Output::Table => bundle_check::print(report, out)?,
    }
    made?;
    if how == Output::Table {
        let out = out.display();
        output::line(&format!("next: ca-server serve --root-ca-dir {out}"))?;
    }
    Ok(())
}

fn key_type(kind: cli::KeyType) -> create::KeyType {
    match kind {
        cli::KeyType::P256 => create::KeyType::P256,
        cli::KeyType::P384 => create::KeyType::P384,
    }
}

#[derive(Serialize)]
struct MadeRoot<'a> {
    dir: &'a Path,
    files: [&'static str; 2],
    root: Summary,
}

#[derive(Serialize)]
struct MadeRequest<'a> {
    dir: &'a Path,
    files: [&'static str; 2],
    key: &'a str,
    csr: &'a str,
    ca_must_set: &'static [Requirement],
}
