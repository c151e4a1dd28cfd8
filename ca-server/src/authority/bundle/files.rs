//! What do the files of a bundle hold? Certificates and the key, read leniently, with a finding for what is not readable.
//!
//! Says nothing of how they fit together.

use proto::certificate::Certificate;

use super::CRL;
use super::Finding;
use super::Layout;
use super::certificates;
use super::content::Content;
use super::content::Entry;
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

/// Makes sense of all files of a bundle.
pub(super) fn read(content: &Content, layout: Layout, findings: &mut Vec<Finding>) -> Files {
    let chain_file = layout.chain_file();
    let chain = match chain_file == layout.issuer_file() {
        true => Vec::new(),
        false => certificates_in(content, chain_file, findings),
    };
    Files {
        layout,
        issuer: certificates_in(content, layout.issuer_file(), findings),
        chain,
        roots: certificates_in(content, layout.roots_file(), findings),
        key: key_in(content, layout.key_file(), findings),
        crls: crls_in(content, findings),
    }
}

fn certificates_in(
    content: &Content,
    file: &'static str,
    findings: &mut Vec<Finding>,
) -> Vec<Certificate> {
    match bytes(content, file) {
        Ok(bytes) => certificates::read(bytes, file, findings),
        Err(finding) => {
            findings.push(*finding);
            Vec::new()
        }
    }
}

fn crls_in(content: &Content, findings: &mut Vec<Finding>) -> Vec<Crl> {
    if content.get(CRL).is_none() {
        return Vec::new();
    }
    match bytes(content, CRL) {
        Ok(bytes) => revocation_lists::read(bytes, findings),
        Err(finding) => {
            findings.push(*finding);
            Vec::new()
        }
    }
}

fn key_in(
    content: &Content,
    file: &'static str,
    findings: &mut Vec<Finding>,
) -> Option<PrivateKey> {
    findings.extend(open_to_others(content, file));
    let bytes = bytes(content, file)
        .map_err(|finding| findings.push(*finding))
        .ok()?;
    PrivateKey::from_pem(bytes)
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

fn open_to_others(content: &Content, file: &'static str) -> Option<Finding> {
    let Some(Entry::File { mode, .. }) = content.get(file) else {
        return None;
    };
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

fn bytes<'a>(content: &'a Content, file: &'static str) -> Result<&'a [u8], Box<Finding>> {
    let finding = |rule, seen: &str, fix: &str| Box::new(Finding::error(file, rule, seen, fix));
    let unreadable = |reason: &str| {
        let fix = "give the server's user read permission";
        finding("readable", &format!("cannot be read: {reason}"), fix)
    };
    match content.get(file) {
        None => Err(unreadable("it is not there")),
        Some(Entry::Unreadable { reason }) => Err(unreadable(reason)),
        Some(Entry::NotAFile) => Err(finding(
            "regular-file",
            "this is not a regular file",
            "put a PEM file there",
        )),
        Some(Entry::File { bytes, .. }) if bytes.is_empty() => Err(finding(
            "not-empty",
            "the file is empty",
            "was the secret filled? put PEM there",
        )),
        Some(Entry::File { bytes, .. }) if bytes.len() as u64 > MAX_LEN => Err(finding(
            "size",
            &format!("the file is longer than {MAX_LEN} bytes"),
            "put nothing but the bundle's own PEM blocks there",
        )),
        Some(Entry::File { bytes, .. }) => Ok(bytes),
    }
}

/// Longest file that is read, in bytes: about 700 certificates.
pub(super) const MAX_LEN: u64 = 1024 * 1024;
