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
use crate::offer::Offer;
use crate::offer::Offers;

pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Ours with its key, now and whenever it or what goes with it changes.
pub(super) fn svids(offers: Offers, report: Arc<Report>) -> Answers<X509svidResponse> {
    let mut last: Option<Offer> = None;
    Box::pin(WatchStream::new(offers).filter_map(move |offer| {
        let offer = offer.filter(|offer| !last.as_ref().is_some_and(|it| is_same(it, offer)))?;
        let answer = svid(&offer);
        last = Some(offer);
        report.pushed();
        Some(Ok(answer))
    }))
}

/// All roots, now and whenever they change.
pub(super) fn bundles(offers: Offers, report: Arc<Report>) -> Answers<X509BundlesResponse> {
    let mut last: Option<X509BundlesResponse> = None;
    Box::pin(WatchStream::new(offers).filter_map(move |offer| {
        let answer = bundle(&offer?);
        if last.as_ref() == Some(&answer) {
            return None;
        }
        last = Some(answer.clone());
        report.pushed();
        Some(Ok(answer))
    }))
}

fn is_same(one: &Offer, other: &Offer) -> bool {
    Arc::ptr_eq(&one.svid, &other.svid) && one.beyond == other.beyond
}

pub(super) fn svid(offer: &Offer) -> X509svidResponse {
    let svid = &offer.svid;
    let certified = svid.rustls_certified_key();
    X509svidResponse {
        svids: vec![X509svid {
            spiffe_id: svid.spiffe_id().to_string(),
            x509_svid: certified.cert.iter().flat_map(|it| it.to_vec()).collect(),
            x509_svid_key: svid.private_key_pkcs8().der().to_vec(),
            bundle: concatenated(svid.roots()),
            hint: String::new(),
        }],
        crl: offer.beyond.crls.clone(),
        federated_bundles: others(offer).collect(),
    }
}

pub(super) fn bundle(offer: &Offer) -> X509BundlesResponse {
    let own = (
        id(offer.svid.spiffe_id().trust_domain().as_str()),
        concatenated(offer.svid.roots()),
    );
    X509BundlesResponse {
        crl: offer.beyond.crls.clone(),
        bundles: others(offer).chain([own]).collect(),
    }
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
