//! What do other processes see in the output directory, whatever happens?

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use ca_client::OutputDir;
use ca_client::Svid;
use ca_client::files;
use ca_client::files::Existing;
use ca_client::files::FileNames;
use ca_client::files::FilesError;
use ca_client::files::OutputOptions;
use tempfile::TempDir;

use crate::CART;
use crate::pki::Leaf;
use crate::pki::Pki;
use crate::pki::moment;
use crate::pki::new_key;

const NAMES: [&str; 3] = ["cert-chain.pem", "key.pem", "root-cert.pem"];
/// The name of a generation that no run of this test makes.
const LEFTOVER: &str = "..2020_01_01_00_00_00.deadbeef";

pub(crate) fn svid() -> Svid {
    let pki = Pki::new("files");
    let key = new_key();
    let chain = pki.answer(pki.leaf_for(&key, &Leaf::named(CART))).concat();
    Svid::from_pem(
        chain.as_bytes(),
        key.serialize_pem().as_bytes(),
        pki.roots_pem().as_bytes(),
    )
    .unwrap()
}

fn open(dir: &Path) -> Result<OutputDir, FilesError> {
    OutputDir::open(dir, OutputOptions::default())
}

fn generations(dir: &Path) -> usize {
    let names = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with("..2"))
        .count()
}

#[test]
fn openssl_accepts_what_was_written() {
    let dir = TempDir::new().unwrap();
    open(dir.path()).unwrap().write(&svid(), moment(0)).unwrap();
    let verify = [
        "verify",
        "-x509_strict",
        "-purpose",
        "sslclient",
        "-CAfile",
        "root-cert.pem",
    ];
    let output = Command::new("openssl")
        .args(verify)
        .args(["-untrusted", "cert-chain.pem", "cert-chain.pem"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_key_in_the_file_is_the_one_of_the_certificate() {
    let dir = TempDir::new().unwrap();
    open(dir.path()).unwrap().write(&svid(), moment(0)).unwrap();
    let public = |args: &[&str]| {
        let mut command = Command::new("openssl");
        let output = command.args(args).current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let of_key = public(&["pkey", "-in", "key.pem", "-pubout"]);
    let of_certificate = public(&["x509", "-in", "cert-chain.pem", "-noout", "-pubkey"]);
    assert_eq!(of_key, of_certificate);
}

#[test]
fn names_lead_through_data_and_the_key_is_private() {
    let dir = TempDir::new().unwrap();
    open(dir.path()).unwrap().write(&svid(), moment(0)).unwrap();
    for name in NAMES {
        let target = fs::read_link(dir.path().join(name)).unwrap();
        assert_eq!(target, Path::new("..data").join(name));
        let mode = fs::metadata(dir.path().join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777;
        assert_eq!(
            mode,
            if name == "key.pem" { 0o600 } else { 0o644 },
            "{name}"
        );
    }
}

#[test]
fn what_was_written_reads_back() {
    let dir = TempDir::new().unwrap();
    assert!(files::stored(dir.path()).unwrap().is_none());
    let written = svid();
    open(dir.path())
        .unwrap()
        .write(&written, moment(0))
        .unwrap();
    let read = files::stored(dir.path()).unwrap().unwrap();
    assert_eq!(read.serial(), written.serial());
    assert_eq!(
        read.private_key_pkcs8().der(),
        written.private_key_pkcs8().der()
    );
    assert_eq!(
        files::stored_roots(dir.path()).unwrap().unwrap(),
        written.roots()
    );
}

#[test]
fn a_reader_always_sees_one_whole_set() {
    let dir = TempDir::new().unwrap();
    let output = open(dir.path()).unwrap();
    let svids: Vec<Svid> = (0..4).map(|_| svid()).collect();
    let sets: Vec<[Vec<u8>; 3]> = svids.iter().map(set_of).collect();
    output.write(&svids[0], moment(0)).unwrap();
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| sets_seen(dir.path(), &sets, &done));
        for round in 0..200 {
            output
                .write(&svids[round % svids.len()], moment(0))
                .unwrap();
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(seen.len() > 1, "the reader was too slow to prove anything");
}

fn set_of(svid: &Svid) -> [Vec<u8>; 3] {
    let key = svid.private_key_pem().as_bytes().to_vec();
    [
        svid.chain_pem().into_bytes(),
        key,
        svid.roots_pem().into_bytes(),
    ]
}

/// Which of `sets` were seen; fails on anything that is none of them.
fn sets_seen(dir: &Path, sets: &[[Vec<u8>; 3]], done: &AtomicBool) -> HashSet<usize> {
    let mut seen = HashSet::new();
    while !done.load(Ordering::Relaxed) {
        // A generation may be gone after two swaps; a reader starts again then.
        let target = fs::read_link(dir.join("..data"));
        let generation = dir.join(target.unwrap());
        let [Ok(chain), Ok(key), Ok(roots)] = NAMES.map(|name| fs::read(generation.join(name)))
        else {
            continue;
        };
        let found = [chain, key, roots];
        let known = sets.iter().position(|set| *set == found);
        seen.insert(known.unwrap_or_else(|| panic!("a torn set")));
    }
    seen
}

#[test]
fn the_previous_generation_stays_until_the_next_swap() {
    let dir = TempDir::new().unwrap();
    let output = open(dir.path()).unwrap();
    for expected in [1, 2, 2, 2] {
        output.write(&svid(), moment(0)).unwrap();
        assert_eq!(generations(dir.path()), expected);
    }
}

type Put = fn(&Path);

#[test]
fn what_others_put_under_our_names_is_refused_or_replaced() {
    let strangers: [(&str, Put); 3] = [
        ("key.pem", |path| fs::write(path, "mine").unwrap()),
        ("cert-chain.pem", |path| {
            symlink("/etc/hostname", path).unwrap();
        }),
        ("..data", |path| symlink("elsewhere", path).unwrap()),
    ];
    for (name, put) in strangers {
        let dir = TempDir::new().unwrap();
        put(&dir.path().join(name));
        let error = open(dir.path()).unwrap_err();
        assert!(
            matches!(error, FilesError::Stranger { .. }),
            "{name}: {error:?}"
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

        let replacing = OutputOptions {
            existing: Existing::Replace,
            ..OutputOptions::default()
        };
        let output = OutputDir::open(dir.path(), replacing).unwrap();
        output.write(&svid(), moment(0)).unwrap();
        assert!(files::stored(dir.path()).unwrap().is_some(), "{name}");
    }
}

#[test]
fn a_directory_under_our_name_is_never_replaced() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("key.pem")).unwrap();
    for existing in [Existing::Refuse, Existing::Replace] {
        let options = OutputOptions {
            existing,
            ..OutputOptions::default()
        };
        let error = OutputDir::open(dir.path(), options).unwrap_err();
        assert!(matches!(error, FilesError::Directory { .. }), "{error:?}");
    }
}

#[test]
fn a_directory_that_cannot_be_written_to_is_refused_before_anything_is_asked() {
    // Even root cannot make directories there.
    let error = open(Path::new("/proc/self")).unwrap_err();
    assert!(matches!(error, FilesError::Io { .. }), "{error:?}");
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let dir = TempDir::new().unwrap();
    let first = open(dir.path()).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, FilesError::Busy { .. }), "{error:?}");
    drop(first);
    assert!(open(dir.path()).is_ok());
}

#[test]
fn leftovers_of_crashed_runs_are_removed_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    open(dir.path()).unwrap().write(&svid(), moment(0)).unwrap();
    open(dir.path())
        .unwrap()
        .write(&svid(), moment(60))
        .unwrap();
    for name in [LEFTOVER, "..others_dir", "..2020-01-01.x"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    symlink(LEFTOVER, dir.path().join("..ca-client-new")).unwrap();

    drop(open(dir.path()).unwrap());

    let is_there = |name: &str| fs::symlink_metadata(dir.path().join(name)).is_ok();
    assert!(!is_there(LEFTOVER) && !is_there("..ca-client-new"));
    assert!(is_there("..others_dir") && is_there("..2020-01-01.x"));
    assert!(files::stored(dir.path()).unwrap().is_some());
    assert_eq!(
        generations(dir.path()),
        3,
        "current, previous and a stranger's"
    );
}

/// Stands where the new link has to be made.
fn put_in_the_way(dir: &Path) -> std::path::PathBuf {
    let stuck = dir.join("..ca-client-new");
    fs::create_dir(&stuck).unwrap();
    stuck
}

#[test]
fn a_write_that_fails_leaves_the_old_generations_in_place() {
    let dir = TempDir::new().unwrap();
    let output = open(dir.path()).unwrap();
    let last = svid();
    output.write(&svid(), moment(0)).unwrap();
    output.write(&last, moment(0)).unwrap();
    put_in_the_way(dir.path());

    let error = output.write(&svid(), moment(0)).unwrap_err();

    assert!(matches!(error, FilesError::Io { .. }), "{error:?}");
    let still = files::stored(dir.path()).unwrap().unwrap();
    assert_eq!(still.serial(), last.serial());
    assert_eq!(generations(dir.path()), 2, "current and previous");
}

#[test]
fn the_key_that_was_asked_for_is_kept_until_its_certificate_is_in_place() {
    let dir = TempDir::new().unwrap();
    let output = open(dir.path()).unwrap();
    let asked_for = dir.path().join("..requested-key.pem");
    fs::write(&asked_for, "a key").unwrap();
    let stuck = put_in_the_way(dir.path());
    assert!(output.write(&svid(), moment(0)).is_err());
    assert!(asked_for.exists());
    fs::remove_dir(stuck).unwrap();
    output.write(&svid(), moment(0)).unwrap();
    assert!(!asked_for.exists());
}

#[test]
fn other_names_go_when_the_new_ones_are_there_and_not_before() {
    let dir = TempDir::new().unwrap();
    open(dir.path()).unwrap().write(&svid(), moment(0)).unwrap();
    let options = OutputOptions {
        names: FileNames::Kubernetes,
        ..OutputOptions::default()
    };
    let output = OutputDir::open(dir.path(), options).unwrap();
    let there = |names: [&str; 3]| names.map(|name| dir.path().join(name).exists());
    let stuck = put_in_the_way(dir.path());
    assert!(output.write(&svid(), moment(0)).is_err());
    assert_eq!(there(NAMES), [true; 3]);
    fs::remove_dir(stuck).unwrap();
    output.write(&svid(), moment(0)).unwrap();
    assert_eq!(there(NAMES), [false; 3]);
    assert_eq!(there(["tls.crt", "tls.key", "ca.crt"]), [true; 3]);
}
