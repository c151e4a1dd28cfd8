//! Places and answers are one party's, and others have theirs.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;

use super::octets;
use super::streams;
use super::the_only_one;
use crate::roster::Roster;
use crate::sds::call::Call;
use crate::sds::rooms::Rooms;
use crate::socket::HangUp;
use crate::socket::Party;
use crate::socket::Peer;
use crate::socket::Place;
use crate::socket::Room;
use crate::workload_api::AllowRule;

fn peer(uid: u32, pid: Option<i32>) -> Peer {
    Peer { uid, gid: 1, pid }
}

#[test]
fn neither_a_process_nor_a_user_takes_all_places_and_they_are_given_back() {
    let (streams, status) = streams();
    let rooms = Rooms::new(&streams, Roster::of_one(AllowRule::any()));
    let take = |uid, pid| rooms.call(peer(uid, pid), the_only_one(), HangUp::default());
    let mut taken: Vec<(Call, Place)> = std::iter::from_fn(|| take(1, Some(7))).collect();
    assert_eq!(taken.len(), 230);
    assert_eq!(status.borrow().sds.clone().unwrap().streams, 230);
    // Those of one user that have no number here share as one process, and with its others what is the user's.
    taken.extend(std::iter::from_fn(|| take(1, None)));
    assert_eq!(taken.len(), 400);
    assert!(take(1, Some(9)).is_none());
    taken.extend(std::iter::from_fn(|| take(2, None)));
    assert_eq!(taken.len(), 500);
    assert!(take(3, Some(8)).is_none());
    taken.truncate(10);
    assert!(take(3, Some(8)).is_some());
    drop(taken);
    assert_eq!(status.borrow().sds.clone().unwrap().streams, 0);
}

#[test]
fn strangers_take_a_corner_of_the_connections_and_are_counted() {
    let (streams, status) = streams();
    let rooms = Rooms::new(&streams, Roster::of_one("uid=1".parse().unwrap()));
    let strangers = (0..500).filter_map(|pid| rooms.connect(&peer(2, Some(pid))));
    let strangers: Vec<Place> = strangers.collect();
    assert_eq!(strangers.len(), 50);
    assert!(rooms.connect(&peer(1, Some(1))).is_some());
    assert_eq!(status.borrow().sds.clone().unwrap().turned_away, 500);
}

fn call(room: &Arc<Room>, pid: i32, hang_up: &HangUp) -> Call {
    let party = Party::Process(1, Some(pid));
    let place = octets(100).take(party).unwrap();
    let (room, hang_up) = (Arc::clone(room), hang_up.clone());
    Call::new(
        (peer(1, Some(pid)), the_only_one()),
        (party, place),
        room,
        hang_up,
        PATIENCE,
    )
}

async fn is_soon(wanted: impl Future<Output = ()>) -> bool {
    tokio::time::timeout(QUIET, wanted).await.is_ok()
}

#[tokio::test]
async fn an_answer_waits_until_the_last_one_is_gone_and_there_is_room() {
    let (room, hang_up) = (octets(100), HangUp::default());
    let (one, other) = (call(&room, 1, &hang_up), call(&room, 1, &hang_up));
    one.room_for(30).await;
    let first = one.loaded(Bytes::from_static(b"first"));
    assert_eq!(first, "first");
    assert!(!is_soon(one.room_for(1)).await, "the first is not gone");
    assert!(
        !is_soon(other.room_for(30)).await,
        "its process has no room"
    );
    assert!(is_soon(call(&room, 2, &hang_up).room_for(50)).await);
    let copy = first.clone();
    drop(first);
    assert!(!is_soon(one.room_for(1)).await, "somebody has it still");
    drop(copy);
    assert!(is_soon(other.room_for(1000)).await, "all of its share");
}

#[tokio::test]
async fn whoever_does_not_take_an_answer_is_hung_up_on() {
    let (room, hang_up) = (octets(100), HangUp::default());
    let call = call(&room, 1, &hang_up);
    call.room_for(1).await;
    drop(call.loaded(Bytes::from_static(b"taken")));
    assert!(!is_soon(hang_up.said()).await, "it was taken");
    call.room_for(1).await;
    let answer = call.loaded(Bytes::from_static(b"left"));
    hang_up.said().await;
    drop(answer);
}

const PATIENCE: Duration = Duration::from_millis(50);
/// Longer than that.
const QUIET: Duration = Duration::from_millis(300);
