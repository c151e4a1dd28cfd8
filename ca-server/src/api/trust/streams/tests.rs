//! Who speaks for whom, by what the streams of one instance id did.

use std::sync::LazyLock;
use std::time::UNIX_EPOCH;

use super::*;

const LEAF: u64 = 1000;

fn at(seconds: u64) -> Moment {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    Moment {
        now: *START + Duration::from_secs(seconds),
        longest_leaf: Duration::from_secs(LEAF),
    }
}

fn key(instance: u8, name: &str) -> AgentKey {
    AgentKey {
        instance: InstanceId::from([instance; 16]),
        spiffe_id: format!("spiffe://td/{name}").parse().unwrap(),
    }
}

fn said(bundle: u64) -> Acknowledgement {
    Acknowledgement {
        instance: InstanceId::from([7; 16]),
        spiffe_id: "spiffe://td/a".parse().unwrap(),
        bundle,
        serial: None,
        at: UNIX_EPOCH,
        shared: false,
    }
}

/// Two streams of one id, the second `at(0)`; both said something.
fn two() -> (Streams, AgentKey, u64, u64) {
    let (streams, key) = (Streams::default(), key(7, "a"));
    let (older, _) = streams.join(key.clone(), None, at(0));
    assert_eq!(streams.note(&key, older, said(1), at(0)), said(1));
    let (newer, others) = streams.join(key.clone(), None, at(0));
    assert_eq!(others, [shared(said(1), true)]);
    let word = streams.note(&key, newer, said(2), at(1));
    assert_eq!(word, shared(said(2), true));
    (streams, key, older, newer)
}

#[test]
fn an_old_stream_that_lingers_silences_its_agent_until_it_is_gone() {
    let (streams, key, older, newer) = two();
    let again = streams.leave(&key, older, End::Broken, at(60));
    assert_eq!(again, Some((said(2), Some(newer))));
    assert_eq!(streams.word(&key, Some(newer)), Some(said(2)));
    assert_eq!(streams.note(&key, newer, said(3), at(61)), said(3));
    assert_eq!(streams.leave(&key, newer, End::InOrder, at(62)), None);
    assert!(streams.lock().agents.is_empty());
}

/// What the older of two streams does.
type Sign = fn(&Streams, &AgentKey, u64);

#[test]
fn a_copy_that_gave_a_sign_of_life_silences_both_for_the_life_of_a_leaf() {
    let signs: [(&str, u64, Sign); 3] = [
        ("speaks", 100, |streams, key, older| {
            streams.note(key, older, said(2), at(5));
        }),
        ("ends in order", 5, |streams, key, older| {
            streams.leave(key, older, End::InOrder, at(5));
        }),
        ("outlives pings", 90, |streams, key, older| {
            streams.leave(key, older, End::Broken, at(90));
        }),
    ];
    for (what, since, sign) in signs {
        let (streams, key, older, newer) = two();
        sign(&streams, &key, older);
        assert_eq!(streams.leave(&key, older, End::Broken, at(since)), None);
        for (when, counts) in [(since + LEAF - 1, false), (since + LEAF, true)] {
            let word = streams.note(&key, newer, said(3), at(when));
            assert_eq!(word.shared, !counts, "{what} at {when}");
        }
    }
}

#[test]
fn what_was_on_its_way_is_no_sign_of_life() {
    let (streams, key, older, newer) = two();
    assert!(streams.note(&key, older, said(1), at(4)).shared);
    let again = streams.leave(&key, older, End::InOrder, at(4));
    assert_eq!(again, Some((said(2), Some(newer))));
}

#[test]
fn an_older_stream_does_not_speak_for_a_newer_one_that_left() {
    let (streams, key, older, newer) = two();
    assert_eq!(streams.leave(&key, newer, End::Broken, at(2)), None);
    assert!(streams.note(&key, older, said(9), at(3)).shared);
    // The old one dies of its dead connection: the last word of the agent is what the newer one said.
    let again = streams.leave(&key, older, End::Broken, at(60));
    assert_eq!(again, Some((said(2), None)));
}

#[test]
fn what_an_earlier_process_knew_of_a_copy_holds_on() {
    let (streams, key) = (Streams::default(), key(7, "a"));
    let (number, _) = streams.join(key.clone(), Some(Duration::from_secs(50)), at(0));
    assert!(streams.note(&key, number, said(1), at(49)).shared);
    assert!(!streams.note(&key, number, said(1), at(50)).shared);
}

#[test]
fn a_word_that_crossed_a_second_stream_is_put_right() {
    let (streams, key) = (Streams::default(), key(7, "a"));
    let (first, _) = streams.join(key.clone(), None, at(0));
    assert_eq!(streams.note(&key, first, said(1), at(0)), said(1));
    let (_, _) = streams.join(key.clone(), None, at(0));
    let word = streams.word(&key, Some(first));
    assert_eq!(word, Some(shared(said(1), true)));
}

#[test]
fn nobody_is_silenced_by_another_id_or_by_the_same_id_under_another_name() {
    let (streams, mine) = (Streams::default(), key(7, "a"));
    let (number, _) = streams.join(mine.clone(), None, at(0));
    for other in [key(8, "a"), key(7, "b")] {
        let (theirs, others) = streams.join(other.clone(), None, at(0));
        assert_eq!(others, []);
        assert_eq!(streams.note(&mine, number, said(1), at(9)), said(1));
        assert_eq!(streams.leave(&other, theirs, End::InOrder, at(9)), None);
    }
}

#[test]
fn a_copy_stays_one_while_nobody_is_connected_whatever_the_ledger_says() {
    let (streams, key, older, newer) = two();
    streams.note(&key, older, said(2), at(5));
    for (number, end) in [(older, End::Broken), (newer, End::InOrder)] {
        assert_eq!(streams.leave(&key, number, end, at(6)), None);
    }
    // Another process would begin with what the ledger's date says, by a clock that was set forward: nothing.
    let until = 6 + LEAF;
    let (number, _) = streams.join(key.clone(), None, at(100));
    assert!(streams.note(&key, number, said(3), at(until - 1)).shared);
    assert_eq!(
        streams.since_last_sign(&key, at(106)),
        Some(Duration::from_secs(100))
    );
    assert!(!streams.note(&key, number, said(3), at(until)).shared);
    assert_eq!(streams.since_last_sign(&key, at(until + 1)), None);
    assert_eq!(streams.leave(&key, number, End::InOrder, at(until)), None);
    assert!(streams.lock().agents.is_empty());
}

#[test]
fn so_many_copies_are_remembered_and_room_comes_back_when_they_are_over() {
    let streams = Streams::default();
    let copy = |number: usize, seconds: u64| {
        let key = key(7, &number.to_string());
        let (stream, _) = streams.join(key.clone(), Some(Duration::from_secs(50)), at(seconds));
        streams.leave(&key, stream, End::Broken, at(seconds));
    };
    let known = || {
        let open = streams.lock();
        (open.agents.len(), open.absent)
    };
    (0..=MOST_ABSENT).for_each(|number| copy(number, 0));
    assert_eq!(known(), (MOST_ABSENT, MOST_ABSENT));
    copy(MOST_ABSENT + 1, 50);
    assert_eq!(known(), (1, 1));
}
