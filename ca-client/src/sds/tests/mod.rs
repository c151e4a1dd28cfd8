//! Certificates to be served, made by rcgen, and what the rooms' tests share.

mod call;
mod catalogue;
mod node;
mod slim;
mod stage;
mod subscription;

use std::sync::Arc;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::SanType;
use tokio::sync::watch;

use super::catalogue::Catalogue;
use super::report::Report;
use super::secrets::Kind;
use super::secrets::Secrets;
use super::streams::Streams;
use crate::agent::Status;
use crate::bundle::Beyond;
use crate::clock::SystemClock;
use crate::offer::BundleAge;
use crate::offer::Offer;
use crate::offer::Place;
use crate::readers::Statuses;
use crate::roster::Grants;
use crate::roster::Roster;
use crate::socket::Limits;
use crate::socket::Room;
use crate::svid::Svid;
use crate::workload_api::AllowRule;

const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// A root.
struct Root(CertifiedIssuer<'static, KeyPair>);

impl Root {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A new leaf beside these roots.
    fn svid(&self, roots: &[&Self]) -> Arc<Svid> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(CART.try_into().unwrap())];
        let leaf = params.signed_by(&key, &self.0).unwrap().pem();
        let roots: String = roots.iter().map(|root| root.pem()).collect();
        let chain = leaf + &self.pem();
        let key = key.serialize_pem();
        Arc::new(Svid::from_pem(chain.as_bytes(), key.as_bytes(), roots.as_bytes()).unwrap())
    }
}

/// With nothing beside it.
fn offer(svid: &Arc<Svid>) -> Offer {
    Offer {
        svid: Arc::clone(svid),
        beyond: Arc::new(Beyond::default()),
        age: BundleAge::default(),
    }
}

/// Of one workload that everybody may be.
fn catalogue(svid: &Arc<Svid>) -> Catalogue {
    of_offers(&[Some(offer(svid))])
}

/// Of several, in this order.
fn of_offers(offers: &[Option<Offer>]) -> Catalogue {
    let (places, board) = Place::all(offers.len());
    for (place, offer) in places.iter().zip(offers) {
        if let Some(offer) = offer {
            place.offer(offer.clone());
        }
    }
    Catalogue::new(&board.borrow(), &Catalogue::default())
}

/// Of the first workload.
fn version(catalogue: &Catalogue, kind: Kind) -> Arc<str> {
    let secrets: &Secrets = catalogue.at(0).unwrap();
    match kind {
        Kind::Roots => Arc::clone(&secrets.roots.version),
        Kind::Leaf => Arc::clone(&secrets.leaf.version),
    }
}

/// All of one.
fn the_only_one() -> Grants {
    Grants::of(&[0])
}

/// Streams of that many workloads, and the statuses that they report to.
fn streams_of(workloads: usize) -> (Arc<Streams>, Vec<watch::Receiver<Status>>) {
    let status = || Arc::new(watch::Sender::new(Status::default()));
    let workloads: Vec<_> = (0..workloads).map(|_| status()).collect();
    let seen = workloads.iter().map(|it| it.subscribe()).collect();
    let statuses = Statuses {
        shared: Arc::clone(&workloads[0]),
        workloads,
    };
    let roster = Roster::of_one(AllowRule::any());
    let report = Report::new(statuses, roster, Arc::new(SystemClock));
    (Arc::new(Streams::new(report)), seen)
}

fn streams() -> (Arc<Streams>, watch::Receiver<Status>) {
    let (streams, mut seen) = streams_of(1);
    (streams, seen.remove(0))
}

/// A room of so many octets, half of them for one party.
fn octets(all: usize) -> Arc<Room> {
    Arc::new(Room::new(Limits {
        all,
        of_a_party: all / 2,
        of_a_user: all,
        of_the_refused: all / 8,
    }))
}
