//! Messages hold DER, ours under our trust domain and others' under theirs; the same is not sent twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::certificate::Certificate;
use proto::workload_api::X509svidResponse;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::SanType;
use tokio_stream::StreamExt as _;
use x509_parser::parse_x509_certificate;

use super::visitors;
use crate::bundle::Beyond;
use crate::clock::SystemClock;
use crate::offer::BundleAge;
use crate::offer::Offer;
use crate::offer::Place;
use crate::roster::Grants;
use crate::roster::Roster;
use crate::svid::Svid;
use crate::workload_api::AllowRule;
use crate::workload_api::answers;
use crate::workload_api::answers::Share;

const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn root() -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn svid(root: &Issuer) -> Arc<Svid> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(CART.try_into().unwrap())];
    let chain = params.signed_by(&key, root).unwrap().pem() + &root.pem();
    let key = key.serialize_pem();
    let svid = Svid::from_pem(chain.as_bytes(), key.as_bytes(), root.pem().as_bytes());
    Arc::new(svid.unwrap())
}

fn offer(svid: &Arc<Svid>) -> Offer {
    Offer {
        svid: Arc::clone(svid),
        beyond: Arc::new(Beyond::default()),
        age: BundleAge::default(),
    }
}

/// Of one workload that everybody may be.
fn share() -> Share {
    Share {
        roster: Roster::of_one(AllowRule::any()),
        grants: Grants::of(&[0]),
        clock: Arc::new(SystemClock),
    }
}

fn answer(offer: &Offer) -> X509svidResponse {
    answers::answer(&share().roster, &[(0, offer.clone())]).unwrap()
}

/// How many certificates stand one after the other.
fn count(mut der: &[u8]) -> usize {
    let mut count = 0;
    while !der.is_empty() {
        der = parse_x509_certificate(der).unwrap().0;
        count += 1;
    }
    count
}

#[test]
fn others_roots_are_named_by_their_trust_domain_and_never_beside_ours() {
    let (ours, theirs) = (root(), root());
    let their_roots = Certificate::all_from_pem(theirs.pem().as_bytes()).unwrap();
    let offer = Offer {
        svid: svid(&ours),
        beyond: Arc::new(Beyond {
            others: BTreeMap::from([("other.test".to_owned(), their_roots)]),
            crls: vec![vec![1], vec![2, 2]],
        }),
        age: BundleAge::default(),
    };
    let answer = answer(&offer);
    let svid = &answer.svids[0];
    assert_eq!(answer.svids.len(), 1);
    assert_eq!(svid.spiffe_id, CART);
    assert_eq!((count(&svid.x509_svid), count(&svid.bundle)), (1, 1));
    assert_eq!(svid.bundle, ours.der().to_vec());
    KeyPair::try_from(svid.x509_svid_key.as_slice()).unwrap();
    assert_eq!(answer.crl, [vec![1], vec![2, 2]]);
    assert_eq!(
        answer.federated_bundles.into_iter().collect::<Vec<_>>(),
        [("spiffe://other.test".to_owned(), theirs.der().to_vec())]
    );
    let bundles = answers::bundle(&[(0, offer)]).unwrap();
    assert_eq!(bundles.crl.len(), 2);
    assert_eq!(bundles.bundles.len(), 2);
    assert_eq!(bundles.bundles["spiffe://cluster.local"], svid.bundle);
}

#[tokio::test]
async fn who_was_busy_gets_the_newest_alone_and_nothing_twice() {
    let root = root();
    let (first, last) = (svid(&root), svid(&root));
    let (mut places, offered) = Place::all(1);
    let place = places.remove(0);
    place.offer(offer(&first));
    let (visitors, _seen) = visitors("any");
    let report = &visitors.report;
    let mut svids = answers::svids(offered.clone(), share(), Arc::clone(report));
    let mut bundles = answers::bundles(offered, share(), Arc::clone(report));
    let sent = svids.next().await.unwrap().unwrap();
    assert_eq!(sent, answer(&offer(&first)));
    assert_eq!(bundles.next().await.unwrap().unwrap().bundles.len(), 1);
    place.offer(offer(&svid(&root)));
    place.offer(offer(&last));
    let sent = svids.next().await.unwrap().unwrap();
    assert_eq!(sent, answer(&offer(&last)));
    place.offer(offer(&last));
    drop(place);
    assert!(svids.next().await.is_none(), "the same again");
    assert!(bundles.next().await.is_none(), "roots are as they were");
}
