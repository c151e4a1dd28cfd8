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
use crate::offer::Board;
use crate::offer::Offer;
use crate::offer::Offers;
use crate::roster::Grants;
use crate::roster::Roster;

pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What one caller may have.
#[derive(Clone, Debug)]
pub(super) struct Share {
    pub(super) roster: Roster,
    pub(super) grants: Grants,
}

impl Share {
    /// What there is of it, the default first; nothing where the default is not there yet, since another's identity
    /// would be taken for it.
    fn of(&self, board: &Board) -> Vec<(usize, Offer)> {
        let has_default = self
            .grants
            .default_place()
            .is_some_and(|place| board.at(place).is_some());
        let offer = |place| Some((place, board.at(place)?.clone()));
        match has_default {
            true => self.grants.places().filter_map(offer).collect(),
            false => Vec::new(),
        }
    }
}

/// Identities with their keys, now and whenever they or what goes with them change.
pub(super) fn svids(
    offers: Offers,
    share: Share,
    report: Arc<Report>,
) -> Answers<X509svidResponse> {
    let mut last: Vec<(usize, Offer)> = Vec::new();
    Box::pin(WatchStream::new(offers).filter_map(move |board| {
        let held = share.of(&board);
        if held.is_empty() || is_same(&last, &held) {
            return None;
        }
        let answer = answer(&share.roster, &held);
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
        let answer = bundle(&share.of(&board))?;
        if last.as_ref() == Some(&answer) {
            return None;
        }
        last = Some(answer.clone());
        report.pushed();
        Some(Ok(answer))
    }))
}

fn is_same(one: &[(usize, Offer)], other: &[(usize, Offer)]) -> bool {
    let is_same = |((place, one), (other_place, other)): (&(usize, Offer), &(usize, Offer))| {
        place == other_place && Arc::ptr_eq(&one.svid, &other.svid) && one.beyond == other.beyond
    };
    one.len() == other.len() && one.iter().zip(other).all(is_same)
}

/// `held` is not empty.
pub(super) fn answer(roster: &Roster, held: &[(usize, Offer)]) -> X509svidResponse {
    let newest = newest(held, |_| true);
    let svids = held.iter().map(|(place, offer)| {
        let domain = offer.trust_domain();
        let roots = newest_of(held, &domain).map_or(offer, |(_, newest)| newest);
        svid(offer, roots, roster.name(*place))
    });
    X509svidResponse {
        svids: svids.collect(),
        crl: newest.map_or_else(Vec::new, |(_, it)| it.beyond.crls.clone()),
        federated_bundles: newest
            .map(|(_, it)| others(it).collect())
            .unwrap_or_default(),
    }
}

fn svid(offer: &Offer, roots: &Offer, hint: &str) -> X509svid {
    let svid = &offer.svid;
    let certified = svid.rustls_certified_key();
    X509svid {
        spiffe_id: svid.spiffe_id().to_string(),
        x509_svid: certified.cert.iter().flat_map(|it| it.to_vec()).collect(),
        x509_svid_key: svid.private_key_pkcs8().der().to_vec(),
        bundle: concatenated(roots.svid.roots()),
        hint: hint.to_owned(),
    }
}

/// `None` where nothing is held.
pub(super) fn bundle(held: &[(usize, Offer)]) -> Option<X509BundlesResponse> {
    let (_, newest) = newest(held, |_| true)?;
    let own = held.iter().map(|(_, offer)| {
        let domain = offer.trust_domain();
        let roots = newest_of(held, &domain).map_or(offer, |(_, newest)| newest);
        (id(&domain), concatenated(roots.svid.roots()))
    });
    Some(X509BundlesResponse {
        crl: newest.beyond.crls.clone(),
        bundles: others(newest).chain(own).collect(),
    })
}

fn newest_of<'a>(held: &'a [(usize, Offer)], domain: &str) -> Option<&'a (usize, Offer)> {
    newest(held, |offer| offer.trust_domain() == domain)
}

/// The workloads of one CA hear of new roots one after the other: what one of them knows is good for all.
fn newest(held: &[(usize, Offer)], is_meant: impl Fn(&Offer) -> bool) -> Option<&(usize, Offer)> {
    let meant = held.iter().filter(|(_, offer)| is_meant(offer));
    meant.reduce(|best, next| match next.1.age > best.1.age {
        true => next,
        false => best,
    })
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
