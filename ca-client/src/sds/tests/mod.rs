//! Certificates to be served, made by rcgen, and what the rooms' tests share.

mod call;
mod catalogue;
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
use super::streams::Streams;
use crate::agent::Status;
use crate::bundle::Beyond;
use crate::clock::SystemClock;
use crate::offer::Offer;
use crate::socket::Limits;
use crate::socket::Room;
use crate::svid::Svid;

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
    }
}

fn catalogue(svid: &Arc<Svid>) -> Catalogue {
    Catalogue::new(offer(svid))
}

/// Streams, and the status that they report to.
fn streams() -> (Arc<Streams>, watch::Receiver<Status>) {
    let status = Arc::new(watch::Sender::new(Status::default()));
    let seen = status.subscribe();
    let report = Report::new(status, Arc::new(SystemClock));
    (Arc::new(Streams::new(report)), seen)
}

/// A room of so many octets, half of them for one party.
fn octets(all: usize) -> Arc<Room> {
    Arc::new(Room::new(Limits {
        all,
        of_a_party: all / 2,
        of_the_refused: all / 8,
    }))
}
