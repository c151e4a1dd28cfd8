//! Of many workloads, a reader has what its grants say, and each workload waits for its own readers only.

use std::time::Duration;

use super::*;
use crate::offer::Board;
use crate::sds::gate::Gate;
use crate::sds::stage;
use crate::sds::subscription::Confirmed;

fn offer_of(svid: &Arc<Svid>, number: u64, told: Option<u64>) -> Offer {
    Offer {
        age: BundleAge {
            told,
            number: Some(number),
        },
        ..offer(svid)
    }
}

/// The version under `name` for who has `places`.
fn found(catalogue: &Catalogue, places: &[usize], name: &str) -> Option<Arc<str>> {
    let grants = Grants::of(places);
    let resource = catalogue.seen_by(&grants).get(name)?;
    Some(Arc::clone(&resource.version))
}

fn leaf(catalogue: &Catalogue, place: usize) -> Option<Arc<str>> {
    Some(Arc::clone(&catalogue.at(place)?.leaf.version))
}

fn roots(catalogue: &Catalogue, place: usize) -> Option<Arc<str>> {
    Some(Arc::clone(&catalogue.at(place)?.roots.version))
}

#[test]
fn the_default_is_the_first_of_what_is_granted_and_nobody_elses_before_that_is_there() {
    let root = Root::new();
    let [a, b] = [(); 2].map(|()| Some(offer(&root.svid(&[&root]))));
    let all = of_offers(&[a, b.clone()]);
    assert_eq!(found(&all, &[0, 1], "default"), leaf(&all, 0));
    assert_eq!(found(&all, &[1], "default"), leaf(&all, 1));
    assert_eq!(found(&all, &[], "default"), None);
    assert_eq!(found(&all, &[], "ROOTCA"), None);
    let late = of_offers(&[None, b]);
    assert_eq!(found(&late, &[0, 1], "default"), None);
    assert_eq!(found(&late, &[0, 1], CART), leaf(&late, 1));
    assert_eq!(found(&late, &[0, 1], "ROOTCA"), roots(&late, 1));
}

#[test]
fn roots_are_the_newest_of_those_that_a_reader_may_have() {
    let (old, new) = (Root::new(), Root::new());
    let before = old.svid(&[&old]);
    let after = old.svid(&[&old, &new]);
    let later = old.svid(&[&new, &old]);
    let table = [
        ((&before, 5, Some(5)), (&after, 6, Some(6)), 1),
        ((&after, 6, Some(6)), (&before, 5, Some(5)), 0),
        // What was left over from an earlier bundle gives way to what was told with this one.
        ((&after, 6, Some(5)), (&later, 6, Some(6)), 1),
        ((&after, 6, Some(6)), (&later, 6, Some(5)), 0),
        ((&after, 6, Some(6)), (&later, 6, Some(6)), 0),
        // Who has been told of no revocation lists yet must not stand for who has.
        ((&before, 6, Some(6)), (&after, 7, None), 0),
        ((&before, 6, None), (&after, 7, None), 1),
    ];
    let offered = |(svid, number, told)| Some(offer_of(svid, number, told));
    for (first, second, newest) in table {
        let catalogue = of_offers(&[offered(first), offered(second)]);
        for name in ["ROOTCA", "spiffe://cluster.local"] {
            let seen = found(&catalogue, &[0, 1], name);
            assert_eq!(seen, roots(&catalogue, newest), "{name}");
        }
        assert_eq!(found(&catalogue, &[0], "ROOTCA"), roots(&catalogue, 0));
    }
}

#[test]
fn what_does_not_change_is_not_made_again_and_is_no_news() {
    let root = Root::new();
    let (places, offers) = Place::all(2);
    for place in &places {
        place.offer(offer(&root.svid(&[&root])));
    }
    let make = |board: &Board, before: &Catalogue| Catalogue::new(board, before);
    let before = make(&offers.borrow(), &Catalogue::default());
    places[1].offer(offer(&root.svid(&[&root])));
    let after = make(&offers.borrow(), &before);
    assert!(after.is_same_for(&Grants::of(&[0]), &before));
    assert!(!after.is_same_for(&Grants::of(&[0, 1]), &before));
    assert!(Arc::ptr_eq(before.at(0).unwrap(), after.at(0).unwrap()));
}

/// Two workloads on the stage.
struct Two {
    streams: Arc<Streams>,
    statuses: Vec<watch::Receiver<Status>>,
    places: Vec<Place>,
    gates: Vec<Gate>,
    root: Root,
}

impl Two {
    /// The first has a certificate.
    async fn begun() -> Self {
        let root = Root::new();
        let (streams, statuses) = streams_of(2);
        let (places, offers) = Place::all(2);
        places[0].offer(offer(&root.svid(&[&root])));
        let gate = |place| Gate::new(place, offers.clone(), Arc::clone(&streams));
        let gates = vec![gate(0), gate(1)];
        let served = Arc::clone(&streams);
        tokio::spawn(async move { stage::run(offers, &served).await });
        let two = Self {
            streams,
            statuses,
            places,
            gates,
            root,
        };
        two.shows(|catalogue| !catalogue.is_empty()).await;
        two
    }

    async fn shows(&self, wanted: impl FnMut(&Arc<Catalogue>) -> bool) -> Arc<Catalogue> {
        let mut shelf = self.streams.shelf();
        let shown = tokio::time::timeout(LONG, shelf.wait_for(wanted)).await;
        Arc::clone(&shown.unwrap().unwrap())
    }

    async fn passes(&self, place: usize) -> bool {
        let passed = tokio::time::timeout(SOON, self.gates[place].passed());
        passed.await.is_ok()
    }
}

#[tokio::test]
async fn each_gate_waits_for_the_readers_of_its_workload() {
    let two = Two::begun().await;
    two.places[1].offer(offer(&two.root.svid(&[&two.root])));
    let shown = two.shows(|catalogue| catalogue.at(1).is_some()).await;
    let second = Grants::of(&[1, 0]);
    let deaf = two.streams.take_seat("deaf".to_owned(), second);
    deaf.note(Confirmed::from([("default".into(), None)]));
    assert!(two.passes(0).await);
    assert!(!two.passes(1).await);
    let waiting = |place: usize| {
        let status = two.statuses[place].borrow();
        status.sds.clone().unwrap_or_default().waiting_for
    };
    assert_eq!(waiting(0), [""; 0]);
    assert_eq!(waiting(1), ["deaf"]);
    deaf.note(Confirmed::from([("default".into(), leaf(&shown, 1))]));
    assert!(two.passes(1).await);
}

#[tokio::test]
async fn who_asked_before_there_was_a_certificate_is_waited_for() {
    let two = Two::begun().await;
    let both = Grants::of(&[1, 0]);
    let early = two.streams.take_seat("early".to_owned(), both);
    early.note(Confirmed::from([("default".into(), None)]));
    assert!(two.passes(0).await, "it wants another's");
    two.places[1].offer(offer(&two.root.svid(&[&two.root])));
    two.shows(|catalogue| catalogue.at(1).is_some()).await;
    assert!(!two.passes(1).await, "it has not said that it has it");
}

#[test]
fn many_workloads_do_not_wait_for_the_same_roots_one_after_the_other() {
    let (a, b) = (Root::new(), Root::new());
    let [first, second] = [(); 2].map(|()| Some(offer(&a.svid(&[&a]))));
    let [first_after, second_after] = [(); 2].map(|()| Some(offer(&b.svid(&[&b, &a]))));
    let before = of_offers(&[first, second.clone()]);
    let one = of_offers(&[first_after.clone(), second]);
    let both = of_offers(&[first_after, second_after]);
    let (early, places) = before.roots_first(&one);
    assert_eq!(places, [0]);
    assert_eq!(
        (leaf(&early, 0), roots(&early, 0)),
        (leaf(&before, 0), roots(&one, 0))
    );
    assert!(!before.has_roots_like(&early, 0), "nobody has them yet");
    let (early, places) = one.roots_first(&both);
    assert_eq!(places, [1]);
    assert!(one.has_roots_like(&early, 1), "they had their head start");
}

const SOON: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(30);
