//! Which revocation lists are in this file, block by block?

use super::CRL;
use super::Finding;
use crate::authority::crl::Crl;
use crate::authority::pem_blocks::pem_blocks;

/// Reads the lists of `ca-crl.pem`; each block that is not one becomes a finding.
pub(super) fn read(content: &[u8], findings: &mut Vec<Finding>) -> Vec<Crl> {
    let mut crls = Vec::new();
    let blocks = pem_blocks(content);
    for (index, block) in blocks.iter().enumerate() {
        let read = match block {
            Ok(block) if block.tag() == "X509 CRL" => {
                Crl::from_der(block.contents()).map_err(|error| error.to_string())
            }
            Ok(block) => Err(format!("it is a {}", block.tag())),
            Err(error) => Err(error.to_string()),
        };
        match read {
            Ok(crl) => crls.push(crl),
            Err(reason) => findings.push(unusable(index + 1, &reason)),
        }
    }
    if blocks.is_empty() {
        findings.push(Finding::error(
            CRL,
            "crl-parses",
            "there is no revocation list in the file",
            "put PEM there, an X509 CRL block for each CA of the chain, or remove the file",
        ));
    }
    crls
}

fn unusable(number: usize, reason: &str) -> Finding {
    Finding::error(
        CRL,
        "crl-parses",
        format!("block {number} is no revocation list that can be used: {reason}"),
        "put PEM there, an X509 CRL block for each CA of the chain, or remove the file",
    )
}
