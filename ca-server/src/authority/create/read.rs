//! Which certificates and which key are in the files that an operator names?

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;

use pem::Pem;
use proto::certificate::Certificate;
use zeroize::Zeroizing;

use super::CreateError;
use super::error::reading;
use super::error::using_key;
use crate::authority::key::PrivateKey;
use crate::authority::pem_blocks::pem_blocks;

/// All certificates of `path`, PEM or DER, in file order; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<Certificate>, CreateError> {
    let content = content(path)?;
    let certificates = match content.first() {
        // The DER of a certificate begins with a SEQUENCE; no PEM file does.
        Some(0x30) => der(path, &content)?,
        _ => pem(path, &content)?,
    };
    match certificates.is_empty() {
        true => Err(none(path, &content)),
        false => Ok(certificates),
    }
}

/// The one private key of `path`, and the file as it is.
pub(super) fn key(path: &Path) -> Result<(PrivateKey, Zeroizing<Vec<u8>>), CreateError> {
    let content = content(path)?;
    let key = PrivateKey::from_pem(&content).map_err(using_key(path))?;
    Ok((key, content))
}

fn der(path: &Path, content: &[u8]) -> Result<Vec<Certificate>, CreateError> {
    Certificate::all_from_pem_or_der(content).map_err(|error| CreateError::Certificate {
        path: path.to_owned(),
        block: 1,
        reason: error.to_string(),
        fix: Some(
            "if it is PKCS#7 (.p7b): openssl pkcs7 -inform der -in FILE -print_certs -out FILE.pem",
        ),
    })
}

fn pem(path: &Path, content: &[u8]) -> Result<Vec<Certificate>, CreateError> {
    let mut certificates = Vec::new();
    for (index, block) in pem_blocks(content).into_iter().enumerate() {
        let unreadable = |reason: String| CreateError::Certificate {
            path: path.to_owned(),
            block: index + 1,
            reason,
            fix: Some("copy it from its source again"),
        };
        let block = block.map_err(|error| unreadable(error.to_string()))?;
        if ["CERTIFICATE", "X509 CERTIFICATE"].contains(&block.tag()) {
            let certificate = Certificate::from_der(block.contents());
            certificates.push(certificate.map_err(|error| unreadable(error.to_string()))?);
        }
    }
    Ok(certificates)
}

fn none(path: &Path, content: &[u8]) -> CreateError {
    let labels: Vec<String> = pem_blocks(content)
        .iter()
        .flatten()
        .map(|block: &Pem| block.tag().to_owned())
        .collect();
    let has = |label: &str| labels.iter().any(|found| found.contains(label));
    let fix = if has("PKCS7") {
        "take them out: openssl pkcs7 -in FILE -print_certs -out FILE.pem"
    } else if has("REQUEST") {
        "this is the request: have the corporate CA sign it, and give what comes back"
    } else {
        "give the file that the CA handed out"
    };
    CreateError::NoCertificate {
        path: path.to_owned(),
        found: match (content.is_empty(), labels.is_empty()) {
            (true, _) => "an empty file".to_owned(),
            (false, true) => "no PEM block".to_owned(),
            (false, false) => labels.join(", "),
        },
        fix,
    }
}

fn content(path: &Path) -> Result<Zeroizing<Vec<u8>>, CreateError> {
    let is_file = fs::metadata(path).map_err(reading(path))?.is_file();
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    // A pipe would keep the reader waiting for ever.
    if !is_file {
        return Err(reading(path)(wrong("it is not a regular file")));
    }
    let mut content = Zeroizing::new(Vec::new());
    let opened = File::open(path).map_err(reading(path))?;
    let read = opened.take(MAX_LEN + 1).read_to_end(&mut content);
    read.map_err(reading(path))?;
    match content.len() as u64 > MAX_LEN {
        true => Err(reading(path)(wrong("it is longer than 1 MiB"))),
        false => Ok(content),
    }
}

/// Longest file that is read, in bytes: about 700 certificates.
const MAX_LEN: u64 = 1024 * 1024;
