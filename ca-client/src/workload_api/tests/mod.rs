//! Who is let in, and how much of the room each takes.

mod answers;

use std::sync::Arc;

use tokio::sync::watch;

use super::allow::AllowRule;
use super::report::Report;
use super::visitors::Visitors;
use crate::agent::Status;
use crate::readers::Statuses;
use crate::roster::Roster;
use crate::socket::Peer;
use crate::socket::Place;
use crate::socket::Unmapped;

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
    let statuses = Statuses {
        shared: Arc::clone(&status),
        workloads: vec![status],
    };
    let report = Arc::new(Report::new(statuses));
    let roster = Roster::of_one(rule.parse().unwrap());
    (Visitors::new(roster, report), seen)
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
fn a_rule_that_names_everybody_without_a_number_is_refused_and_any_remains() {
    let unmapped = Unmapped {
        uid: Some(65534),
        gid: Some(99),
    };
    for rule in ["uid=65534", "uid=1,gid=99", "gid=0, uid=65534"] {
        let refused = AllowRule::read(rule, unmapped).unwrap_err().to_string();
        assert!(refused.contains("does not map"), "{rule}: {refused}");
        assert!(refused.contains("allow any"), "{rule}: {refused}");
        let here = AllowRule::read(rule, Unmapped::default());
        assert!(here.is_ok(), "{rule}: who is mapped has a number");
    }
    for rule in ["uid=99", "gid=65534", "any"] {
        assert!(AllowRule::read(rule, unmapped).is_ok(), "{rule}");
    }
    let stranger = peer(65534, 99, 1);
    let own = AllowRule::user_and_root(65534, unmapped);
    assert!(!own.allows(&stranger) && own.allows(&peer(0, 0, 1)));
    assert!(AllowRule::user_and_root(65534, Unmapped::default()).allows(&stranger));
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
fn neither_a_process_nor_a_user_takes_all_the_room_and_places_are_given_back() {
    let (visitors, seen) = visitors("uid=1,uid=2");
    let (greedy, modest) = (peer(1, 1, 10), peer(1, 1, 11));
    let taken: Vec<Place> = (0..5000).map_while(|_| visitors.call(&greedy)).collect();
    assert_eq!(taken.len(), 1000);
    assert!(visitors.call(&modest).is_some());
    let status = seen.borrow().workload_api.clone().unwrap();
    assert_eq!(status.streams, 1000, "the modest one has gone again");
    let others = |pid| visitors.call(&peer(1, 1, pid));
    let of_the_user: Vec<Place> = (12..5000).map_while(others).collect();
    assert_eq!(of_the_user.len(), 600, "others of its user share with it");
    assert!(visitors.call(&peer(2, 1, 9)).is_some());
    drop((taken, of_the_user));
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
