//! Is this leaf an X509-SVID by its own shape? X509-SVID sections 2 to 4, without any chain.

use super::error::SvidRule;
use crate::certificate::Certificate;
use crate::certificate::KeyUsage;
use crate::certificate::OID_CLIENT_AUTH;
use crate::certificate::OID_SERVER_AUTH;
use crate::spiffe::SpiffeId;

/// The SPIFFE ID of `leaf`, if it breaks no rule.
pub(super) fn check(leaf: &Certificate) -> Result<SpiffeId, SvidRule> {
    let facts = leaf.facts();
    if leaf.is_ca() {
        return Err(SvidRule::LeafIsCa);
    }
    check_key_usage(facts.key_usage.ok_or(SvidRule::KeyUsageMissing)?)?;
    if let Some(purposes) = &facts.extended_key_usage {
        let has = |wanted: &str| purposes.iter().any(|purpose| purpose == wanted);
        if !has(OID_SERVER_AUTH) || !has(OID_CLIENT_AUTH) {
            return Err(SvidRule::ExtendedKeyUsage);
        }
    }
    let id = spiffe_id(leaf)?;
    let names = facts.subject_alt_name.as_ref();
    if facts.subject_der == EMPTY_SEQUENCE && !names.is_some_and(|names| names.critical) {
        return Err(SvidRule::SubjectAltNameNotCritical);
    }
    Ok(id)
}

/// The one SPIFFE ID of a workload in `leaf`. Names of other kinds do not count.
pub(super) fn spiffe_id(leaf: &Certificate) -> Result<SpiffeId, SvidRule> {
    let names = leaf.facts().subject_alt_name.as_ref();
    let uris = names.map_or(&[][..], |names| &names.uris);
    let [uri] = uris else {
        return Err(SvidRule::Uris { found: uris.len() });
    };
    let id: SpiffeId = uri.parse().map_err(SvidRule::SpiffeId)?;
    if id.path().is_empty() {
        return Err(SvidRule::PathMissing);
    }
    Ok(id)
}

fn check_key_usage(usage: KeyUsage) -> Result<(), SvidRule> {
    if usage.key_cert_sign {
        Err(SvidRule::KeyCertSign)
    } else if usage.crl_sign {
        Err(SvidRule::CrlSign)
    } else if !usage.digital_signature {
        Err(SvidRule::DigitalSignatureMissing)
    } else if !usage.critical {
        Err(SvidRule::KeyUsageNotCritical)
    } else {
        Ok(())
    }
}

const EMPTY_SEQUENCE: &[u8] = &[0x30, 0];
