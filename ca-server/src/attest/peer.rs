//! Is it one of our own leaves, come to be renewed? Client certificates by the rules of X509-SVID section 5.
//!
//! Checked at each request and not only in the handshake: a connection may outlive the certificate.

use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::chain;
use proto::chain::Profile;
use proto::spiffe::TrustDomain;

use super::Caller;
use super::Refusal;
use crate::ledger::Evidence;
use crate::ledger::Target;

pub(super) fn attest(
    client_chain: &[Vec<u8>],
    roots: &[Certificate],
    trust_domain: &TrustDomain,
    now: SystemTime,
) -> Result<Caller, Refusal> {
    if client_chain.is_empty() {
        return Err(Refusal::NoClientCertificate);
    }
    let refused = |reason: String| Refusal::ClientCertificate { reason };
    if client_chain.len() > MAX_CERTIFICATES {
        let found = client_chain.len();
        return Err(refused(format!(
            "{found} certificates where at most {MAX_CERTIFICATES} are looked at"
        )));
    }
    let chain: Vec<Certificate> = client_chain
        .iter()
        .map(|der| Certificate::from_der(der))
        .collect::<Result<_, _>>()
        .map_err(|error| refused(error.to_string()))?;
    let verified = chain::verify(&chain, roots, Some(trust_domain), Profile::X509Svid, now)
        .map_err(|error| refused(error.to_string()))?;
    let spiffe_id = verified
        .spiffe_id
        .ok_or_else(|| refused("no SPIFFE ID".to_owned()))?;
    let leaf = chain.first().ok_or_else(|| refused("no leaf".to_owned()))?;
    let serial = hex(&leaf.facts().serial);
    let mut shown = Target::all_of(leaf);
    shown.retain(|target| !matches!(target, Target::SpiffeId(_)));
    Ok(Caller {
        spiffe_id,
        evidence: Evidence::ClientCertificate { serial },
        shown,
    })
}

/// Whoever connects chooses the chain and has it verified with each request, so it must not cost much.
const MAX_CERTIFICATES: usize = 8;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
