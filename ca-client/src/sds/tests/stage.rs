//! New roots come before the certificate that needs them, and the CA hears nothing before everybody has both.

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::sds::gate::Gate;
use crate::sds::stage;
use crate::sds::streams::Seat;
use crate::sds::subscription::Confirmed;

/// Streams at work on what is offered.
struct Stage {
    streams: Arc<Streams>,
    status: watch::Receiver<Status>,
    place: Place,
    gate: Gate,
}

impl Stage {
    /// Two roots, and the certificate of the first of them offered.
    async fn begun() -> (Self, Root, Root) {
        let (a, b) = (Root::new(), Root::new());
        let (streams, status) = streams();
        let (mut places, offers) = Place::all(1);
        let place = places.remove(0);
        place.offer(offer(&a.svid(&[&a])));
        let gate = Gate::new(0, offers.clone(), Arc::clone(&streams));
        let served = Arc::clone(&streams);
        tokio::spawn(async move { stage::run(offers, &served).await });
        let mut shelf = streams.shelf();
        drop(shelf.wait_for(|it| !it.is_empty()).await.unwrap());
        let stage = Self {
            streams,
            status,
            place,
            gate,
        };
        (stage, a, b)
    }

    fn offer(&self, svid: &Arc<Svid>) {
        self.place.offer(offer(svid));
    }

    fn shown(&self, kind: Kind) -> Arc<str> {
        version(&self.streams.shelf().borrow(), kind)
    }

    async fn change(&self) -> [Arc<str>; 2] {
        let mut shelf = self.streams.shelf();
        let changed = tokio::time::timeout(TEN_SECONDS, shelf.changed()).await;
        changed.expect("nothing else is shown").unwrap();
        [Kind::Roots, Kind::Leaf].map(|kind| self.shown(kind))
    }

    fn confirm(&self, seat: &Seat, kind: Kind) {
        seat.note(Confirmed::from([(name(kind), Some(self.shown(kind)))]));
    }

    async fn has_passed(&self, within: Duration) -> bool {
        tokio::time::timeout(within, self.gate.passed())
            .await
            .is_ok()
    }
}

fn wants(seat: &Seat, kind: Kind) {
    seat.note(Confirmed::from([(name(kind), None)]));
}

fn name(kind: Kind) -> Arc<str> {
    match kind {
        Kind::Roots => "ROOTCA".into(),
        Kind::Leaf => "default".into(),
    }
}

const TEN_SECONDS: Duration = Duration::from_secs(10);
const HALF: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(100);

#[tokio::test]
async fn the_certificate_waits_for_its_roots_to_be_acknowledged() {
    let (stage, a, b) = Stage::begun().await;
    let seat = stage.streams.take_seat("reader".to_owned(), the_only_one());
    wants(&seat, Kind::Roots);
    let before = stage.shown(Kind::Leaf);
    let began = Instant::now();
    stage.offer(&b.svid(&[&b, &a]));
    let [_, leaf] = stage.change().await;
    assert_eq!(leaf, before, "the roots first");
    stage.confirm(&seat, Kind::Roots);
    let [_, leaf] = stage.change().await;
    assert_ne!(leaf, before);
    assert!(began.elapsed() < HALF);
}

#[tokio::test]
async fn a_reader_that_never_answers_keeps_the_certificate_for_half_a_second() {
    let (stage, a, b) = Stage::begun().await;
    let seat = stage.streams.take_seat("reader".to_owned(), the_only_one());
    wants(&seat, Kind::Roots);
    let began = Instant::now();
    stage.offer(&b.svid(&[&b, &a]));
    stage.change().await;
    stage.change().await;
    assert!((HALF..SECOND).contains(&began.elapsed()));
}

#[tokio::test]
async fn the_gate_opens_when_all_have_acknowledged_what_they_want() {
    let (stage, a, _b) = Stage::begun().await;
    assert!(stage.has_passed(SOON).await, "nobody reads");
    let seats = [Kind::Roots, Kind::Leaf].map(|kind| {
        let seat = stage.streams.take_seat(format!("{kind:?}"), the_only_one());
        wants(&seat, kind);
        (kind, seat)
    });
    for (kind, seat) in &seats {
        assert!(!stage.has_passed(SOON).await, "{kind:?}");
        let waiting = stage.status.borrow().sds.clone().unwrap().waiting_for;
        assert_eq!(waiting.first(), Some(&format!("{kind:?}")));
        stage.confirm(seat, *kind);
    }
    assert!(stage.has_passed(SOON).await);
    assert!(
        stage
            .status
            .borrow()
            .sds
            .clone()
            .unwrap()
            .waiting_for
            .is_empty()
    );
    stage.offer(&a.svid(&[&a]));
    assert!(!stage.has_passed(SOON).await, "there is a new certificate");
}

#[tokio::test]
async fn a_reader_that_leaves_in_silence_has_some_seconds_to_come_back() {
    let (stage, _a, _b) = Stage::begun().await;
    let seat = stage.streams.take_seat("reader".to_owned(), the_only_one());
    wants(&seat, Kind::Roots);
    drop(seat);
    assert!(!stage.has_passed(SOON).await);
    let waiting = stage.status.borrow().sds.clone().unwrap().waiting_for;
    assert_eq!(waiting, ["reader, which has just left"]);
    assert!(stage.has_passed(Duration::from_secs(20)).await);
}

#[tokio::test]
async fn a_reader_that_leaves_when_it_has_all_holds_up_nothing() {
    let (stage, _a, _b) = Stage::begun().await;
    let seat = stage.streams.take_seat("reader".to_owned(), the_only_one());
    stage.confirm(&seat, Kind::Roots);
    drop(seat);
    assert!(stage.has_passed(SOON).await);
}
