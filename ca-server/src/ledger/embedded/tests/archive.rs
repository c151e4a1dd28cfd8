//! Out into an archive, and in again.

use std::fs;
use std::io::Cursor;

use super::super::import;
use super::*;
use crate::ledger::Entry;
use crate::ledger::Ledger;
use crate::ledger::Query;
use crate::ledger::archive::ArchiveError;

async fn example(dir: &Path) -> SledLedger {
    let ledger = open(dir);
    ledger.create_token(token()).await.unwrap();
    ledger
        .create_token(Token {
            id: TokenId([8; 16]),
            revoked: true,
            ..token()
        })
        .await
        .unwrap();
    ledger.reserve(paid(0, "a")).await.unwrap();
    for number in 1..1500 {
        ledger
            .record(serial(NOON, number - 1), vec![0x30; 700])
            .await
            .unwrap();
        let root = key(&(number % 3).to_string());
        ledger
            .reserve(Intent {
                root,
                ..asked(number)
            })
            .await
            .unwrap();
    }
    ledger
}

async fn archive_of(ledger: &SledLedger) -> Vec<u8> {
    ledger.export(Vec::new()).await.unwrap().0
}

async fn everything(ledger: &SledLedger, query: Query) -> Vec<Entry> {
    ledger
        .list(Query {
            limit: usize::MAX,
            ..query
        })
        .await
        .unwrap()
        .entries
}

#[tokio::test]
async fn a_ledger_comes_out_of_its_archive_as_it_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = example(&dir.path().join("one")).await;
    let (archive, rows) = ledger.export(Vec::new()).await.unwrap();
    let restored = dir.path().join("two");
    assert_eq!(import(&restored, Cursor::new(archive)).unwrap(), rows);
    assert_eq!(rows, 1500 + 1499 + 2 + 1);

    let restored = open(&restored);
    let spiffe_id = Some(id(CART));
    for query in [
        Query::default(),
        Query {
            spiffe_id,
            ..Query::default()
        },
        Query {
            expires_after: Some(at(NOON)),
            ..Query::default()
        },
    ] {
        let entries = everything(&ledger, query.clone()).await;
        assert_eq!(entries.len(), 1500);
        assert!(
            entries == everything(&restored, query.clone()).await,
            "{query:?}"
        );
    }
    assert_eq!(ledger.list_tokens().await, restored.list_tokens().await);
    let roots = ledger.last_leaf_under_each_root().await.unwrap();
    assert_eq!(roots.len(), 4);
    assert_eq!(Ok(roots), restored.last_leaf_under_each_root().await);
}

#[tokio::test]
async fn an_archive_that_was_cut_or_altered_is_refused_and_the_directory_stays_empty() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&dir.path().join("one"));
    ledger.create_token(token()).await.unwrap();
    ledger.reserve(paid(1, "a")).await.unwrap();
    let archive = archive_of(&ledger).await;
    let target = dir.path().join("two");
    fs::create_dir(&target).unwrap();

    let cut = (0..archive.len()).map(|len| archive[..len].to_vec());
    let altered = (0..archive.len()).map(|at| {
        let mut altered = archive.clone();
        altered[at] ^= 1;
        altered
    });
    let longer = [&archive[..], &[0]].concat();
    // Each opens a database of its own: every seventh will do.
    for bad in cut.step_by(7).chain(altered.step_by(7)).chain([longer]) {
        let refused = import(&target, &bad[..]);
        assert!(refused.is_err(), "{} of {} bytes", bad.len(), archive.len());
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
    import(&target, &archive[..]).unwrap();
}

#[tokio::test]
async fn a_directory_with_something_in_it_is_not_restored_into() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&dir.path().join("one"));
    ledger.reserve(intent(NOON, 1)).await.unwrap();
    let archive = archive_of(&ledger).await;
    let target = dir.path().join("two");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("precious"), "x").unwrap();

    let refused = import(&target, &archive[..]).unwrap_err();
    assert!(
        matches!(refused, ArchiveError::NotEmpty { .. }),
        "{refused}"
    );
    assert_eq!(fs::read(target.join("precious")).unwrap(), b"x");
}

#[tokio::test]
async fn an_archive_of_a_newer_layout_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(&dir.path().join("one"));
    let mut archive = archive_of(&ledger).await;
    archive[11] = 3;
    let refused = import(&dir.path().join("two"), &archive[..]).unwrap_err();
    assert!(refused.to_string().contains("layout 3"), "{refused}");
}

#[tokio::test]
async fn what_was_acknowledged_before_an_export_began_is_in_it_however_busy_the_ledger_is() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = shared(open(&dir.path().join("one")));
    for number in 0..200 {
        ledger.reserve(intent(NOON, number)).await.unwrap();
        ledger
            .record(serial(NOON, number), vec![0x30])
            .await
            .unwrap();
    }
    let busy = at_once(0..8, |task| {
        let ledger = Arc::clone(&ledger);
        async move {
            for number in 0..100 {
                let number = 1000 + task * 100 + number;
                ledger.reserve(intent(NOON, number)).await.unwrap();
                ledger
                    .record(serial(NOON, number), vec![0x30])
                    .await
                    .unwrap();
            }
        }
    });
    let (archive, _done) = tokio::join!(archive_of(&ledger), busy);

    import(&dir.path().join("two"), &archive[..]).unwrap();
    let restored = open(&dir.path().join("two"));
    for number in 0..200 {
        let entry = restored.find(serial(NOON, number)).await.unwrap().unwrap();
        assert_eq!(entry.leaf_der, Some(vec![0x30]));
    }
}
