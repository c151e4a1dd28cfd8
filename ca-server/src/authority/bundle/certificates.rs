//! Which certificates are in this file, block by block?

use pem::Pem;
use proto::certificate::Certificate;

use super::Finding;
use super::Severity;
use crate::authority::pem_blocks::pem_blocks;

/// Reads the certificates of `file`; each block that is not one becomes a finding.
pub(super) fn read(
    content: &[u8],
    file: &'static str,
    findings: &mut Vec<Finding>,
) -> Vec<Certificate> {
    let mut certificates = Vec::new();
    for (index, block) in pem_blocks(content).into_iter().enumerate() {
        let number = index + 1;
        match block
            .map_err(|error| error.to_string())
            .and_then(Block::read)
        {
            Ok(Block::Certificate(certificate)) => certificates.push(*certificate),
            Ok(Block::PrivateKey) => findings.push(Finding::warning(
                file,
                "no-private-key-among-certificates",
                format!("block {number} is a private key"),
                "remove it: files with certificates get copied to where keys must not be",
            )),
            Ok(Block::Other(label)) => findings.push(Finding::new(
                Severity::Info,
                file,
                "only-certificates",
                format!("block {number} is a {label} and is not read"),
                "remove it",
            )),
            Err(reason) => findings.push(Finding::error(
                file,
                "certificate-parses",
                format!("block {number} is not a certificate: {reason}"),
                "copy it from its source again",
            )),
        }
    }
    let silent = !findings.iter().any(|finding| finding.file == file);
    if certificates.is_empty() && silent {
        findings.push(no_certificate(content, file));
    }
    certificates
}

enum Block {
    Certificate(Box<Certificate>),
    PrivateKey,
    Other(String),
}

impl Block {
    fn read(block: Pem) -> Result<Self, String> {
        match block.tag() {
            "CERTIFICATE" | "X509 CERTIFICATE" => Certificate::from_der(block.contents())
                .map(|certificate| Self::Certificate(Box::new(certificate)))
                .map_err(|error| error.to_string()),
            "TRUSTED CERTIFICATE" => Err(
                "openssl's TRUSTED CERTIFICATE has more in it, convert it with openssl x509"
                    .to_owned(),
            ),
            label if label.ends_with("PRIVATE KEY") => Ok(Self::PrivateKey),
            label => Ok(Self::Other(label.to_owned())),
        }
    }
}

fn no_certificate(content: &[u8], file: &'static str) -> Finding {
    // The DER of a certificate is a SEQUENCE with its length in two bytes.
    let fix = match content.starts_with(&[0x30, 0x82]) {
        true => format!("this looks like DER: openssl x509 -inform der -in {file} -out {file}.pem"),
        false => "put PEM there, a CERTIFICATE block for each certificate".to_owned(),
    };
    Finding::error(
        file,
        "has-certificate",
        "there is no certificate in the file",
        fix,
    )
}
