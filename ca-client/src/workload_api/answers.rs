//! What do the messages hold, and when is the next one due? DER all through; of several changes only the last is seen by
//! who was busy with the one before.

use std::pin::Pin;
use std::sync::Arc;

use proto::certificate::Certificate;
use proto::workload_api::X509BundlesResponse;
use proto::workload_api::X509svid;
use proto::workload_api::X509svidResponse;
use tokio_stream::Stream;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::WatchStream;
use tonic::Status;

use super::report::Report;
use crate::clock::Clock;
use crate::offer::Board;
use crate::offer::Offer;
use crate::offer::Offers;
use crate::offer::newest;
use crate::roster::Grants;
use crate::roster::Roster;

pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What one caller may have.
#[derive(Clone, Debug)]
pub(super) struct Share {
    pub(super) roster: Roster,
    pub(super) grants: Grants,
    pub(super) clock: Arc<dyn Clock>,
}

/// One of those whose identity it may have, and what that holds.
pub(super) type Held = (usize, Offer);

impl Share {
    /// All that there is.
    fn known(&self, board: &Board) -> Vec<Held> {
        let offer = |place| Some((place, board.at(place)?.clone()));
        self.grants.places().filter_map(offer).collect()
    }

    /// What there is to be used, the default first; nothing where the default is not there yet, since another's
    /// identity would be taken for it.
    fn usable(&self, board: &Board) -> Vec<Held> {
        let default = self.grants.default_place();
        let mut held = self.known(board);
        if held.first().map(|(place, _)| *place) != default {
            return Vec::new();
        }
        let now = self.clock.now();
        held.retain(|(place, offer)| Some(*place) == default || offer.svid.not_after() >= now);
        held
    }
}

/// Identities with their keys, now and whenever they or what goes with them change.
pub(super) fn svids(
    offers: Offers,
    share: Share,
    report: Arc<Report>,
) -> Answers<X509svidResponse> {
    let mut last: Vec<Held> = Vec::new();
    Box::pin(WatchStream::new(offers).filter_map(move |board| {
        let held = share.usable(&board);
        if is_same(&last, &held) {
            return None;
        }
        let answer = answer(&share.roster, &held)?;
        last = held;
        report.pushed();
        Some(Ok(answer))
    }))
}

/// All roots, now and whenever they change.
pub(super) fn bundles(
    offers: Offers,
    share: Share,
    report: Arc<Report>,
) -> Answers<X509BundlesResponse> {
    let mut last: Option<X509BundlesResponse> = None;
    Box::pin(WatchStream::new(offers).filter_map(move |board| {
        let answer = bundle(&share.known(&board))?;
        if last.as_ref() == Some(&answer) {
            return None;
        }
        last = Some(answer.clone());
        report.pushed();
        Some(Ok(answer))
    }))
}

fn is_same(one: &[Held], other: &[Held]) -> bool {
    let is_same = |((place, one), (other_place, other)): (&Held, &Held)| {
        place == other_place && Arc::ptr_eq(&one.svid, &other.svid) && one.beyond == other.beyond
    };
    one.len() == other.len() && one.iter().zip(other).all(is_same)
}

/// `None` where nothing is held.
pub(super) fn answer(roster: &Roster, held: &[Held]) -> Option<X509svidResponse> {
    let newest = newest_of(held)?;
    let svids = held
        .iter()
        .map(|(place, offer)| svid(offer, newest, roster.name(*place)));
    Some(X509svidResponse {
        svids: svids.collect(),
        crl: newest.beyond.crls.clone(),
        federated_bundles: others(newest).collect(),
    })
}

/// With the newest roots of its trust domain, unless those do not lead to it: a workload may be ahead of what is told,
/// or behind.
fn svid(offer: &Offer, newest: &Offer, hint: &str) -> X509svid {
    let svid = &offer.svid;
    let anchor = svid.roots().first();
    let roots = newest.svid.roots();
    let roots = match anchor.is_some_and(|anchor| roots.contains(anchor)) {
        true => roots,
        false => svid.roots(),
    };
    let certified = svid.rustls_certified_key();
    X509svid {
        spiffe_id: svid.spiffe_id().to_string(),
        x509_svid: certified.cert.iter().flat_map(|it| it.to_vec()).collect(),
        x509_svid_key: svid.private_key_pkcs8().der().to_vec(),
        bundle: concatenated(roots),
        hint: hint.to_owned(),
    }
}

/// `None` where nothing is held. Workloads of one CA have one trust domain; of others' roots it knows itself.
pub(super) fn bundle(held: &[Held]) -> Option<X509BundlesResponse> {
    let newest = newest_of(held)?;
    let own = held.iter().map(|(_, offer)| {
        let domain = offer.svid.spiffe_id().trust_domain();
        let is_of_newest = domain == newest.svid.spiffe_id().trust_domain();
        let roots = if is_of_newest { newest } else { offer };
        (id(domain.as_str()), concatenated(roots.svid.roots()))
    });
    Some(X509BundlesResponse {
        crl: newest.beyond.crls.clone(),
        bundles: others(newest).chain(own).collect(),
    })
}

fn newest_of(held: &[Held]) -> Option<&Offer> {
    newest(held.iter().map(|(_, offer)| ((), offer))).map(|(_, offer)| offer)
}

/// Roots of other trust domains, by their SPIFFE IDs.
fn others(offer: &Offer) -> impl Iterator<Item = (String, Vec<u8>)> {
    let others = offer.beyond.others.iter();
    others.map(|(name, roots)| (id(name), concatenated(roots)))
}

fn id(trust_domain: &str) -> String {
    format!("spiffe://{trust_domain}")
}

fn concatenated(certificates: &[Certificate]) -> Vec<u8> {
    certificates
        .iter()
        .flat_map(|it| it.der().iter().copied())
        .collect()
}
