//! What does an agent read of a generation? The trust bundle with everything that goes with it, made once for all.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use proto::certificate::Certificate;
use proto::signet::RenewBy;
use proto::signet::Roots;
use proto::signet::TrustBundle;

use crate::authority::Generation;

/// What is pushed now. Two generations that tell agents the same have one message.
#[derive(Clone, Debug, Default)]
pub struct Bulletin {
    latest: Arc<Mutex<Option<Latest>>>,
}

#[derive(Debug)]
struct Latest {
    generation: u64,
    message: Arc<TrustBundle>,
}

impl Bulletin {
    /// The message of `generation`. It is the same one as before unless there is news in it.
    pub(super) fn of(&self, generation: &Generation, trust_domain: &str) -> Arc<TrustBundle> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let before = latest.as_ref();
        // Whoever read the authority before the last swap comes late: nobody is told of the past.
        if let Some(known) = before.filter(|known| known.generation >= generation.number()) {
            return Arc::clone(&known.message);
        }
        let message = Arc::new(message(generation, trust_domain));
        let same = before.filter(|known| known.message == message);
        let message = same.map_or(message, |known| Arc::clone(&known.message));
        *latest = Some(Latest {
            generation: generation.number(),
            message: Arc::clone(&message),
        });
        message
    }
}

/// The whole state of trust as `generation` has it.
fn message(generation: &Generation, trust_domain: &str) -> TrustBundle {
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
