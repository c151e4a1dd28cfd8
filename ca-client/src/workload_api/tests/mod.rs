//! Who is let in, and how much of the room each takes.

mod answers;

use std::sync::Arc;

use tokio::sync::watch;

use super::allow::AllowRule;
use super::report::Report;
use super::visitors::Visitors;
use crate::agent::Status;
use crate::socket::Peer;
use crate::socket::Place;

fn peer(uid: u32, gid: u32, pid: i32) -> Peer {
    Peer {
        uid,
        gid,
        pid: Some(pid),
    }
}

fn visitors(rule: &str) -> (Visitors, watch::Receiver<Status>) {
    let status = Arc::new(watch::Sender::new(Status::default()));
    let seen = status.subscribe();
    let report = Arc::new(Report::new(status));
    (Visitors::new(rule.parse().unwrap(), report), seen)
}

#[test]
fn a_peer_is_allowed_by_its_user_or_its_group() {
    let table = [
        ("uid=1000", peer(1000, 5, 1), true),
        ("uid=1000", peer(1001, 1000, 1), false),
        ("gid=5", peer(1000, 5, 1), true),
        ("gid=5", peer(5, 1000, 1), false),
        ("uid=1, gid=5", peer(1, 9, 1), true),
        ("uid=1,gid=5,uid=0", peer(0, 0, 1), true),
        ("uid=1", peer(0, 0, 1), false),
        ("any", peer(77, 77, 1), true),
    ];
    for (rule, peer, is_allowed) in table {
        let rule: AllowRule = rule.parse().unwrap();
        assert_eq!(rule.allows(&peer), is_allowed, "{rule:?} {peer}");
    }
    let own = rustix::process::geteuid().as_raw();
    let rule = AllowRule::own_user_and_root();
    assert!(rule.allows(&peer(own, 9, 1)) && rule.allows(&peer(0, 9, 1)));
    assert!(!rule.allows(&peer(own + 12_345, own, 1)));
}

#[test]
fn a_rule_that_cannot_be_read_is_refused_by_its_term() {
    let table = [
        ("", ""),
        ("1000", "1000"),
        ("uid=1,pid=2", "pid=2"),
        ("uid=-1", "uid=-1"),
        ("uid=4294967295", "uid=4294967295"),
        ("uid=1,any", "any"),
        ("uid=cart", "uid=cart"),
        ("uid=1,", ""),
    ];
    for (rule, term) in table {
        let error = rule.parse::<AllowRule>().unwrap_err().to_string();
        assert!(error.contains("uid=1000,gid=1337"), "{error}");
        assert!(error.ends_with(&format!("seen '{term}'")), "{error}");
    }
}

#[test]
fn no_process_takes_all_the_room_and_places_are_given_back() {
    let (visitors, seen) = visitors("uid=1");
    let (greedy, modest) = (peer(1, 1, 10), peer(1, 1, 11));
    let taken: Vec<Place> = (0..5000).map_while(|_| visitors.call(&greedy)).collect();
    assert_eq!(taken.len(), 1000);
    assert!(visitors.call(&modest).is_some());
    let status = seen.borrow().workload_api.clone().unwrap();
    assert_eq!(status.streams, 1000, "the modest one has gone again");
    drop(taken);
    assert_eq!(seen.borrow().workload_api.as_ref().unwrap().streams, 0);
    assert!(visitors.call(&greedy).is_some());
}

#[test]
fn the_refused_share_a_corner_and_are_counted() {
    let (visitors, seen) = visitors("uid=1");
    let taken: Vec<Place> = (0..200)
        .filter_map(|pid| visitors.connect(&peer(2, 1, pid)))
        .collect();
    assert_eq!(taken.len(), 50);
    assert!(visitors.connect(&peer(1, 1, 9)).is_some());
    let status = seen.borrow().workload_api.clone().unwrap();
    assert_eq!(status.refused, 200);
}
