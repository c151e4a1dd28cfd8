//! Do the revocation lists that are given out still count? One that is over makes whoever checks it refuse everything.

use std::time::Duration;
use std::time::SystemTime;

use proto::certificate::Fingerprint;

use crate::authority::Generation;
use crate::authority::crl::Crl;
use crate::telemetry::metrics::Held;

/// The lists that go with the trust bundle of `generation`, as what is held beside certificates.
pub(super) fn held(generation: &Generation) -> impl Iterator<Item = Held> {
    let origin = generation.source().name();
    given_out(generation).map(move |list| Held {
        role: "crl",
        active: true,
        origin,
        subject: list.issuer().to_owned(),
        sha256: Fingerprint::of(list.der()).to_string(),
        not_before: list.this_update(),
        not_after: list.next_update(),
    })
}

/// What somebody has to do about them, as sentences that stay the same until it is done or gets worse.
pub(super) fn warnings(generation: &Generation, now: SystemTime) -> Vec<String> {
    given_out(generation)
        .filter_map(|list| warning(&list, now))
        .collect()
}

fn given_out(generation: &Generation) -> impl Iterator<Item = Crl> {
    let lists = generation.conditions().crls.iter();
    lists.filter_map(|der| Crl::from_der(der).ok())
}

fn warning(list: &Crl, now: SystemTime) -> Option<String> {
    let (by, end) = (list.issuer(), list.next_update());
    let life = end.duration_since(list.this_update()).unwrap_or_default();
    let margin = (life / 5).min(SOON);
    let date = humantime::format_rfc3339_seconds(end);
    if now >= end {
        Some(format!(
            "the revocation list of {by} ended at {date} and is still given out: agents and Envoys that check it refuse every certificate; put the newest list into ca-crl.pem, or take that file away so that none is given out"
        ))
    } else if now + margin > end {
        Some(format!(
            "the revocation list of {by} ends at {date}: put the next one into ca-crl.pem before, or whoever checks it refuses every certificate"
        ))
    } else {
        None
    }
}

/// Lists of a root that is offline may live for a year.
const SOON: Duration = Duration::from_secs(7 * 24 * 60 * 60);
