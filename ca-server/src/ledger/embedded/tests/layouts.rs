//! Ledgers and archives of layout 1: read as they were, and given marks.

use std::fs;
use std::time::Instant;

use super::super::LedgerOpenError;
use super::super::import;
use super::super::keys;
use super::*;
use crate::ledger::Holding;
use crate::ledger::Ledger;
use crate::ledger::Reservation;
use crate::ledger::archive::ArchiveWriter;

/// A ledger with a token's leaf, one of another issuer that lives longer, and one of the CA itself.
async fn fill(dir: &Path) {
    let ledger = open(dir);
    ledger.create_token(token()).await.unwrap();
    ledger.reserve(paid(1, "a")).await.unwrap();
    ledger.record(serial(NOON, 1), vec![0x30]).await.unwrap();
    for (number, days) in [(2, 2), (3, 4), (4, 3)] {
        let last = at(NOON + days * DAY);
        let other = Intent {
            issuer: key("issuer 2"),
            root: key("root 2"),
            validity: Validity::new(at(NOON), last).unwrap(),
            ..asked(number)
        };
        ledger.reserve(other).await.unwrap();
    }
    ledger.reserve(intent(NOON + 9 * DAY, 5)).await.unwrap();
    ledger.close().await.unwrap();
}

/// The database itself. Its lock may linger for as long as a child that another test forks takes to start.
fn unlocked(dir: &Path) -> sled::Db {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match sled::open(dir) {
            Err(sled::Error::Io(_)) if Instant::now() < deadline => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// The rows as layout 1 has them.
fn older_rows(db: &sled::Db) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    for row in db.iter() {
        let (key, value) = row.unwrap();
        let value = match key[0] {
            keys::MARKS | keys::NEWEST | keys::ACKNOWLEDGEMENTS => continue,
            keys::ENTRIES => of_version_1(&value),
            b'V' => vec![0, 0, 0, 1],
            _ => value.to_vec(),
        };
        rows.push((key.to_vec(), value));
    }
    rows
}

/// Makes the ledger in `dir` one of layout 1.
async fn make_older(dir: &Path) {
    fill(dir).await;
    let db = unlocked(dir);
    let rows = older_rows(&db);
    db.clear().unwrap();
    for (key, value) in rows {
        db.insert(key, value).unwrap();
    }
    db.flush().unwrap();
    fs::write(dir.join("LAYOUT"), "signet ledger 1\n").unwrap();
}

fn layout_of(dir: &Path) -> (String, Vec<u8>) {
    let row = unlocked(dir).get(keys::LAYOUT_ROW).unwrap();
    let marker = fs::read_to_string(dir.join("LAYOUT")).unwrap();
    (marker, row.unwrap().to_vec())
}

/// It has what [`fill`] put there, and the marks of that.
async fn expect_all(ledger: &SledLedger) {
    let of = |issuer, root, days| Holding {
        issuer: key(issuer),
        root: key(root),
        bundle: 0,
        holder: None,
        last_second: at(NOON + days * DAY),
    };
    let mut holdings = ledger.holdings(at(NOON)).await.unwrap();
    holdings.sort_by_key(|held| held.last_second);
    assert_eq!(
        holdings,
        [of("issuer", "root", 1), of("issuer 2", "root 2", 4)]
    );
    let entry = ledger.find(serial(NOON, 1)).await.unwrap().unwrap();
    assert_eq!(entry.intent, paid(1, "a"));
    let again = ledger.reserve(paid(9, "a")).await;
    assert_eq!(again, Ok(Reservation::Repeat(Box::new(entry))));
    assert_eq!(ledger.last_leaf_under_each_root().await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_older_ledger_gets_its_marks_when_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    make_older(dir.path()).await;
    for _opening in 0..2 {
        let ledger = open(dir.path());
        expect_all(&ledger).await;
        ledger.close().await.unwrap();
        let expected = ("signet ledger 2\n".to_owned(), vec![0, 0, 0, 2]);
        assert_eq!(layout_of(dir.path()), expected);
    }
}

#[tokio::test]
async fn an_upgrade_that_a_crash_cut_short_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    make_older(dir.path()).await;
    open(dir.path()).close().await.unwrap();
    // The marker is written last.
    fs::write(dir.path().join("LAYOUT"), "signet ledger 1\n").unwrap();
    expect_all(&open(dir.path())).await;
}

#[tokio::test]
async fn an_older_ledger_with_an_entry_that_does_not_read_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    make_older(dir.path()).await;
    let db = unlocked(dir.path());
    db.insert(keys::entry(serial(NOON, 2)), &[1, 2, 3]).unwrap();
    db.flush().unwrap();
    drop(db);
    let refused = SledLedger::open(dir.path(), quick()).unwrap_err();
    assert!(
        matches!(refused, LedgerOpenError::Damaged { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("does not decode"), "{refused}");
    assert_eq!(
        layout_of(dir.path()),
        ("signet ledger 1\n".to_owned(), vec![0, 0, 0, 1])
    );
}

#[tokio::test]
async fn an_older_archive_is_imported_and_gets_its_marks() {
    let dir = tempfile::tempdir().unwrap();
    let (first, restored) = (dir.path().join("one"), dir.path().join("two"));
    fill(&first).await;
    let mut archive = ArchiveWriter::begin(Vec::new(), 1).unwrap();
    for (key, value) in older_rows(&unlocked(&first)) {
        if b"ELTD".contains(&key[0]) {
            archive.row(&key, &value).unwrap();
        }
    }
    let (archive, rows) = archive.finish().unwrap();
    assert_eq!(import(&restored, &archive[..]).unwrap(), rows);
    expect_all(&open(&restored)).await;
}
