//! What was acknowledged is there after `kill -9`, and after the disk was full.
//!
//! Each test starts its own binary again as a child, which plays the server.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::getrlimit;
use rustix::process::setrlimit;

use super::*;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::Reservation;
use crate::ledger::Terms;

/// In a child: where its ledger is.
const CHILD_DIR: &str = "SIGNET_TEST_LEDGER_DIR";

fn child_dir() -> Option<OsString> {
    env::var_os(CHILD_DIR)
}

/// This binary again, running one test, on a ledger in `dir`. A write above the size limit is an error to it, not a signal.
fn start_child(test: &str, dir: &Path) -> Child {
    Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "--nocapture", test])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn say(word: &str, serial: Serial) {
    writeln!(std::io::stdout(), "\n{word} {serial}").unwrap();
}

/// The serials that a line of the child's names after `word`.
fn said(line: &str, word: &str) -> Option<Serial> {
    line.strip_prefix(word)?.trim().parse().ok()
}

async fn reserve_for_ever(dir: &Path) {
    let ledger = shared(open(dir));
    let first = u64::from(std::process::id()) << 32;
    at_once(0..16, |task| {
        let ledger = Arc::clone(&ledger);
        async move {
            for number in 0..10_000 {
                let intent = intent(NOON + number, first + task);
                let serial = intent.serial;
                assert_eq!(ledger.reserve(intent).await, Ok(Reservation::Reserved));
                say("reserved", serial);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    if let Some(dir) = child_dir() {
        return reserve_for_ever(Path::new(&dir)).await;
    }
    let name = "ledger::embedded::tests::durability::what_was_acknowledged_survives_kill_9";
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 1..=5 {
        let mut child = start_child(name, dir.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let enough = lines
            .by_ref()
            .filter_map(|line| said(&line, "reserved"))
            .take(100 * round);
        acknowledged.extend(enough);
        child.kill().unwrap();
        acknowledged.extend(lines.filter_map(|line| said(&line, "reserved")));
        child.wait().unwrap();

        let ledger = open(dir.path());
        for serial in &acknowledged {
            assert!(
                ledger.find(*serial).await.unwrap().is_some(),
                "round {round}: {serial}"
            );
        }
        ledger.close().await.unwrap();
    }
    assert!(acknowledged.len() >= 1500, "{}", acknowledged.len());
}

/// An agent that gets leaves with ever newer bundles and says so, while the terms follow.
async fn rotate_for_ever(dir: &Path) {
    let ledger = open(dir);
    let first = ledger
        .terms()
        .await
        .unwrap()
        .map_or(0, |terms| terms.bundle);
    for bundle in first + 1.. {
        let issuer = key("issuer");
        ledger.set_terms(Terms { issuer, bundle }).await.unwrap();
        say("terms", serial(0, bundle));
        ledger.reserve(held(bundle, bundle, 1)).await.unwrap();
        say("reserved", serial(NOON, bundle));
        ledger
            .acknowledge(super::said(1, bundle, None))
            .await
            .unwrap();
        say("acknowledged", serial(0, bundle));
    }
}

/// The last number that a child said after each word before it was killed, behind `enough` lines.
fn last_words(child: &mut Child, enough: usize) -> [u64; 3] {
    let mut last = [0; 3];
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let words = ["terms", "reserved", "acknowledged"];
    for (count, line) in lines.map_while(Result::ok).enumerate() {
        for (last, word) in last.iter_mut().zip(words) {
            let number = said(&line, word).map(|serial| *serial.as_bytes().last_chunk().unwrap());
            *last = number.map_or(*last, u64::from_be_bytes);
        }
        if count == enough {
            child.kill().unwrap();
        }
    }
    last
}

#[tokio::test]
async fn terms_marks_and_words_survive_kill_9() {
    if let Some(dir) = child_dir() {
        return rotate_for_ever(Path::new(&dir)).await;
    }
    let name = "ledger::embedded::tests::durability::terms_marks_and_words_survive_kill_9";
    let dir = tempfile::tempdir().unwrap();
    // Each line comes with an empty one, and each round stops at another word.
    for round in 0..6 {
        let mut child = start_child(name, dir.path());
        let [terms, reserved, acknowledged] = last_words(&mut child, 40 + 2 * round);
        child.wait().unwrap();

        let ledger = open(dir.path());
        let in_force = ledger.terms().await.unwrap().unwrap().bundle;
        assert!(in_force >= terms && terms > 0, "{in_force} {terms}");
        let holdings = ledger.holdings(at(NOON)).await.unwrap();
        let last = holdings.iter().max_by_key(|held| held.bundle).unwrap();
        assert!(last.bundle >= reserved, "{last:?} {reserved}");
        let holder = last.holder.as_ref().unwrap();
        assert_eq!(holder.newest.unwrap().0, serial(NOON, last.bundle));
        let said = holder.acknowledged.as_ref().unwrap().bundle;
        assert!(said >= acknowledged, "{said} {acknowledged}");
        ledger.close().await.unwrap();
    }
}

/// Fills the little room that it gives itself, waits for the refusal, makes room, and goes on.
async fn outgrow_the_disk(dir: &Path) {
    let ledger = open(dir);
    let generous = getrlimit(Resource::Fsize);
    let reserve = async |from: u64| {
        for number in from.. {
            let intent = intent(NOON, number);
            let serial = intent.serial;
            match ledger.reserve(intent).await {
                Ok(_) => say("reserved", serial),
                Err(refused) => return (number, refused),
            }
            if number == from + 300 && from > 0 {
                break;
            }
        }
        (0, LedgerError::BadCursor { len: 0 })
    };
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: Some(1024 * 1024),
            ..generous
        },
    )
    .unwrap();
    let (number, refused) = reserve(0).await;
    assert!(
        matches!(refused, LedgerError::Unavailable { .. }),
        "{refused}"
    );
    setrlimit(Resource::Fsize, generous).unwrap();
    let back = async {
        while ledger.probe().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    within_a_minute(back).await;
    assert_eq!(reserve(number + 1).await.0, 0);
    say("recovered", serial(NOON, number));
    ledger.close().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_unavailable_until_there_is_room_and_costs_nothing_that_was_acknowledged() {
    if let Some(dir) = child_dir() {
        return outgrow_the_disk(Path::new(&dir)).await;
    }
    let name = "ledger::embedded::tests::durability::\
                a_full_disk_is_unavailable_until_there_is_room_and_costs_nothing_that_was_acknowledged";
    let dir = tempfile::tempdir().unwrap();
    let child = start_child(name, dir.path()).wait_with_output().unwrap();
    let text = String::from_utf8(child.stdout).unwrap();
    assert!(
        child.status.success() && text.contains("\nrecovered "),
        "{text}"
    );

    let ledger = open(dir.path());
    let acknowledged: Vec<_> = text
        .lines()
        .filter_map(|line| said(line, "reserved"))
        .collect();
    assert!(acknowledged.len() > 300, "{}", acknowledged.len());
    for serial in acknowledged {
        assert!(ledger.find(serial).await.unwrap().is_some(), "{serial}");
    }
}
