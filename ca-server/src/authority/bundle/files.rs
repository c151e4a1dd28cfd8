//! What do the files of a bundle hold? Certificates and the key, read leniently, with a finding for what is not readable.
//!
//! Says nothing of how they fit together.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proto::certificate::Certificate;
use zeroize::Zeroizing;

use super::CRL;
use super::Finding;
use super::Layout;
use super::certificates;
use super::revocation_lists;
use crate::authority::crl::Crl;
use crate::authority::key::KeyError;
use crate::authority::key::PrivateKey;

/// The certificates and the key of a bundle, in file order.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) layout: Layout,
    /// Those of `ca-cert.pem` or `tls.crt`.
    pub(super) issuer: Vec<Certificate>,
    /// Those of `cert-chain.pem`; empty where the layout has no such file.
    pub(super) chain: Vec<Certificate>,
    /// Those of `root-cert.pem` or `ca.crt`.
    pub(super) roots: Vec<Certificate>,
    pub(super) key: Option<PrivateKey>,
    /// Those of `ca-crl.pem`, where there is one.
    pub(super) crls: Vec<Crl>,
}

impl Files {
    /// The file that `certificate` is in.
    pub(super) fn file_of(&self, certificate: &Certificate) -> &'static str {
        if self.issuer.contains(certificate) {
            self.layout.issuer_file()
        } else if self.chain.contains(certificate) {
            self.layout.chain_file()
        } else {
            self.layout.roots_file()
        }
    }
}

/// Reads all files of a bundle.
pub(super) fn read(dir: &Path, layout: Layout, findings: &mut Vec<Finding>) -> Files {
    let chain_file = layout.chain_file();
    let chain = match chain_file == layout.issuer_file() {
        true => Vec::new(),
        false => certificates_in(dir, chain_file, findings),
    };
    Files {
        layout,
        issuer: certificates_in(dir, layout.issuer_file(), findings),
        chain,
        roots: certificates_in(dir, layout.roots_file(), findings),
        key: key_in(dir, layout.key_file(), findings),
        crls: crls_in(dir, findings),
    }
}

fn certificates_in(
    dir: &Path,
    file: &'static str,
    findings: &mut Vec<Finding>,
) -> Vec<Certificate> {
    match content(&dir.join(file), file) {
        Ok(content) => certificates::read(&content, file, findings),
        Err(finding) => {
            findings.push(*finding);
            Vec::new()
        }
    }
}

fn crls_in(dir: &Path, findings: &mut Vec<Finding>) -> Vec<Crl> {
    let path = dir.join(CRL);
    if !path.exists() {
        return Vec::new();
    }
    match content(&path, CRL) {
        Ok(content) => revocation_lists::read(&content, findings),
        Err(finding) => {
            findings.push(*finding);
            Vec::new()
        }
    }
}

fn key_in(dir: &Path, file: &'static str, findings: &mut Vec<Finding>) -> Option<PrivateKey> {
    let path = dir.join(file);
    findings.extend(open_to_others(&path, file));
    let content = content(&path, file)
        .map_err(|finding| findings.push(*finding))
        .ok()?;
    PrivateKey::from_pem(&content)
        .map_err(|error| findings.push(unusable_key(file, &error)))
        .ok()
}

/// What to say about a key that was read but cannot be used.
pub(super) fn unusable_key(file: &'static str, error: &KeyError) -> Finding {
    let (rule, fix) = match error {
        KeyError::Encrypted => (
            "key-not-encrypted",
            format!("decrypt it with: openssl pkey -in {file} -out {file}.plain && mv {file}.plain {file}"),
        ),
        KeyError::Unsupported { .. } | KeyError::PublicKey(_) => (
            "supported-key",
            "have an issuing CA made with RSA of 2048 to 4096 bits, P-256 or P-384".to_owned(),
        ),
        KeyError::ExplicitCurve => (
            "supported-key",
            format!("name the curve with: openssl pkey -in {file} -ec_param_enc named_curve -out {file}.named"),
        ),
        _ => (
            "key-parses",
            "put one PEM block with the private key there: PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY".to_owned(),
        ),
    };
    Finding::error(file, rule, error.to_string(), fix)
}

fn open_to_others(path: &Path, file: &'static str) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        Finding::warning(
            file,
            "key-permissions",
            format!("the key's file has mode {mode:04o}: others than its owner have access"),
            format!(
                "chmod 600 {file}; for a Kubernetes secret set defaultMode: 0400 on the volume"
            ),
        )
    })
}

fn content(path: &Path, file: &'static str) -> Result<Zeroizing<Vec<u8>>, Box<Finding>> {
    let finding = |rule, seen: String, fix: &str| Box::new(Finding::error(file, rule, seen, fix));
    let unreadable = |error: io::Error| {
        let fix = "give the server's user read permission";
        finding("readable", format!("cannot be read: {error}"), fix)
    };
    // A pipe would keep the reader waiting for ever.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        let seen = "this is not a regular file".to_owned();
        return Err(finding("regular-file", seen, "put a PEM file there"));
    }
    let mut content = Zeroizing::new(Vec::new());
    let opened = File::open(path).map_err(unreadable)?;
    let read = opened.take(MAX_LEN + 1).read_to_end(&mut content);
    read.map_err(unreadable)?;
    if content.is_empty() {
        let seen = "the file is empty".to_owned();
        return Err(finding(
            "not-empty",
            seen,
            "was the secret filled? put PEM there",
        ));
    }
    if content.len() as u64 > MAX_LEN {
        let seen = format!("the file is longer than {MAX_LEN} bytes");
        return Err(finding(
            "size",
            seen,
            "put nothing but the bundle's own PEM blocks there",
        ));
    }
    Ok(content)
}

/// Longest file that is read, in bytes: about 700 certificates.
pub(super) const MAX_LEN: u64 = 1024 * 1024;
