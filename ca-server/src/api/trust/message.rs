//! What does an agent read of a generation? The trust bundle with everything that goes with it.

use std::collections::HashMap;

use proto::certificate::Certificate;
use proto::signet::RenewBy;
use proto::signet::Roots;
use proto::signet::TrustBundle;

use crate::authority::Generation;

/// The whole state of trust as `generation` has it.
pub(super) fn of(generation: &Generation, trust_domain: &str) -> TrustBundle {
    let conditions = generation.conditions();
    let roots = Roots {
        certificates: conditions
            .roots
            .iter()
            .map(|root| Certificate::der(root).to_vec())
            .collect(),
    };
    TrustBundle {
        number: conditions.bundle_number,
        domains: HashMap::from([(trust_domain.to_owned(), roots)]),
        trust_domain: trust_domain.to_owned(),
        distrusted: conditions
            .distrusted
            .iter()
            .map(ToString::to_string)
            .collect(),
        renew_by: conditions.renew_by.map(|advice| RenewBy {
            issuer: generation.issuer().fingerprint().to_string(),
            since: Some(advice.since.into()),
            spread: prost_types::Duration::try_from(advice.spread).ok(),
        }),
        crls: conditions.crls.clone(),
    }
}
