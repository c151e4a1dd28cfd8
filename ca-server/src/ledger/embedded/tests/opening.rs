//! Directories that do not open, and what is said about them.

use std::fs;

use super::super::LedgerOpenError;
use super::super::keys;
use super::super::set_aside;
use super::*;
use crate::ledger::Ledger;

/// Writes the layout's row past the ledger.
fn write_layout(dir: &Path, value: &[u8]) {
    let db = sled::open(dir).unwrap();
    db.insert(keys::LAYOUT_ROW, value).unwrap();
    db.flush().unwrap();
}

fn refusal(dir: &Path) -> LedgerOpenError {
    SledLedger::open(dir, quick()).unwrap_err()
}

#[test]
fn a_newer_layout_is_refused_with_both_numbers() {
    let dir = tempfile::tempdir().unwrap();
    write_layout(dir.path(), &99_u32.to_be_bytes());
    let error = refusal(dir.path());
    assert!(
        matches!(
            error,
            LedgerOpenError::NewerLayout {
                found: 99,
                known: 2,
                ..
            }
        ),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("layout 99") && text.contains("up to 2") && text.contains("restore"),
        "{text}"
    );
}

#[test]
fn a_directory_that_is_in_use_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path());
    let impatient = LedgerOptions {
        lock_within: Duration::ZERO,
        ..quick()
    };
    let error = SledLedger::open(dir.path(), impatient).unwrap_err();
    assert!(matches!(error, LedgerOpenError::InUse { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains(&dir.path().display().to_string())
    );
}

#[test]
fn what_makes_no_sense_is_damaged_and_both_remedies_are_named() {
    let without_layout =
        |dir: &Path| drop(sled::open(dir).unwrap().insert("row", "value").unwrap());
    let odd_layout = |dir: &Path| write_layout(dir, b"1");
    let layout_zero = |dir: &Path| write_layout(dir, &[0; 4]);
    let bad_settings = |dir: &Path| {
        drop(sled::open(dir).unwrap());
        fs::write(dir.join("conf"), "segment_size: none").unwrap();
    };
    let table = [
        ("rows without a layout", &without_layout as &dyn Fn(&Path)),
        ("a layout of one byte", &odd_layout),
        ("a layout that never was", &layout_zero),
        ("settings of sled that do not read", &bad_settings),
    ];
    for (what, damage) in table {
        let dir = tempfile::tempdir().unwrap();
        damage(dir.path());
        let error = refusal(dir.path());
        assert!(
            matches!(error, LedgerOpenError::Damaged { .. }),
            "{what}: {error}"
        );
        let text = error.to_string();
        assert!(
            text.contains("ca-server restore") && text.contains("--fresh-ledger"),
            "{text}"
        );
    }
}

#[test]
fn a_path_that_cannot_be_a_directory_is_the_systems_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = refusal(&file.join("ledger"));
    assert!(matches!(error, LedgerOpenError::Io { .. }), "{error}");
}

#[tokio::test]
async fn setting_aside_keeps_the_old_ledger_and_makes_room_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = dir.path().join("ledger");
    let now = at(1_780_000_000);
    for (number, name) in [
        (1, "ledger.damaged-20260528T202640Z"),
        (2, "ledger.damaged-20260528T202640Z-1"),
    ] {
        let open_one = open(&ledger);
        assert_eq!(open_one.find(serial(NOON, 1)).await, Ok(None));
        open_one.reserve(intent(NOON, number)).await.unwrap();
        open_one.close().await.unwrap();

        assert_eq!(set_aside(&ledger, now).unwrap(), dir.path().join(name));
        assert!(!ledger.exists());
        assert!(
            open(&dir.path().join(name))
                .find(serial(NOON, number))
                .await
                .unwrap()
                .is_some()
        );
    }
}

#[test]
fn the_directory_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let ledger = dir.path().join("ledger");
    drop(open(&ledger));
    assert_eq!(
        fs::metadata(&ledger).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[tokio::test]
async fn a_ledger_whose_database_was_emptied_is_damaged_and_not_a_new_one() {
    let emptied = |db: &Path| fs::write(db, "").unwrap();
    let removed = |db: &Path| fs::remove_file(db).unwrap();
    let overwritten = |db: &Path| {
        let mut bytes = fs::read(db).unwrap();
        bytes.fill(0xaa);
        fs::write(db, bytes).unwrap();
    };
    for damage in [&emptied as &dyn Fn(&Path), &removed, &overwritten] {
        let dir = tempfile::tempdir().unwrap();
        let ledger = open(dir.path());
        ledger.reserve(intent(NOON, 1)).await.unwrap();
        ledger.close().await.unwrap();

        damage(&dir.path().join("db"));
        for _attempt in 0..2 {
            let error = refusal(dir.path());
            assert!(matches!(error, LedgerOpenError::Damaged { .. }), "{error}");
        }
    }
}

#[test]
fn a_layout_of_another_database_is_refused_before_sled_touches_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("LAYOUT"), "signet ledger 3\n").unwrap();
    let error = refusal(dir.path());
    assert!(
        matches!(error, LedgerOpenError::NewerLayout { found: 3, .. }),
        "{error}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_ledger_whose_start_was_interrupted_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    drop(sled::open(dir.path()).unwrap());
    drop(open(dir.path()));
    fs::remove_file(dir.path().join("LAYOUT")).unwrap();
    drop(open(dir.path()));
    let marker = fs::read_to_string(dir.path().join("LAYOUT")).unwrap();
    assert_eq!(marker, "signet ledger 2\n");
}

#[test]
fn a_beginning_that_a_crash_cut_short_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("blobs")).unwrap();
    for torn in ["", "half a settings fi"] {
        fs::write(dir.path().join("conf"), torn).unwrap();
        let _begun = open(dir.path());
        fs::remove_file(dir.path().join("LAYOUT")).unwrap();
        fs::remove_file(dir.path().join("db")).unwrap();
    }
}
