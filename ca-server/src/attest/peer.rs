//! Is it one of our own leaves, come to be renewed? Client certificates by the rules of X509-SVID section 5.
//!
//! Checked at each request and not only in the handshake: a connection may outlive the certificate.

use std::time::SystemTime;

use proto::certificate::Certificate;
use proto::certificate::Fingerprint;
use proto::chain;
use proto::chain::Profile;
use proto::spiffe::TrustDomain;

use super::Caller;
use super::Refusal;
use crate::ledger::Entry;
use crate::ledger::Evidence;
use crate::ledger::Target;
use crate::x509::LeafName;
use crate::x509::Serial;

/// A client certificate that verifies, and whom it names. Whether it is ours is not known yet.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) caller: Caller,
    leaf: Certificate,
}

/// Judges the chain alone. A stolen key of an issuer could have made it.
pub(super) fn verify(
    client_chain: &[Vec<u8>],
    roots: &[Certificate],
    trust_domain: &TrustDomain,
    now: SystemTime,
) -> Result<Verified, Refusal> {
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
    let leaf = chain.into_iter().next();
    let leaf = leaf.ok_or_else(|| refused("no leaf".to_owned()))?;
    let serial = hex(&leaf.facts().serial);
    let mut shown = Target::all_of(&leaf);
    shown.retain(|target| !matches!(target, Target::SpiffeId(_)));
    let caller = Caller {
        spiffe_id,
        evidence: Evidence::ClientCertificate { serial },
        shown,
    };
    Ok(Verified { caller, leaf })
}

impl Verified {
    /// The serial number, where it is of the shape of ours.
    pub(super) fn serial(&self) -> Option<Serial> {
        let bytes: [u8; 16] = self.leaf.facts().serial.as_slice().try_into().ok()?;
        Some(Serial::from(bytes))
    }

    /// Whoever it names, if `entry` is this very certificate. Of a leaf whose record was lost, name, key and dates are
    /// compared instead: nobody else could have had it signed.
    pub(super) fn into_recorded(self, entry: Option<&Entry>) -> Result<Caller, Refusal> {
        let facts = self.leaf.facts();
        let is_intended = |entry: &Entry| {
            let LeafName::Workload(name) = &entry.intent.name else {
                return false;
            };
            let validity = entry.intent.validity;
            *name == self.caller.spiffe_id
                && entry.intent.key == Fingerprint::of(&facts.spki_der)
                && (validity.not_before(), validity.not_after())
                    == (facts.not_before, facts.not_after)
        };
        let is_ours = entry.is_some_and(|entry| match &entry.leaf_der {
            Some(der) => der == self.leaf.der(),
            None => is_intended(entry),
        });
        match is_ours {
            true => Ok(self.caller),
            false => Err(Refusal::ClientCertificate {
                reason: format!(
                    "the ledger does not have certificate {}",
                    hex(&facts.serial)
                ),
            }),
        }
    }
}

/// Whoever connects chooses the chain and has it verified with each request, so it must not cost much.
const MAX_CERTIFICATES: usize = 8;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
