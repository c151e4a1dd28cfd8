//! What does the output directory do where the system says no? On threads without root's powers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use ca_client::OutputDir;
use ca_client::files::Combined;
use ca_client::files::FileAccess;
use ca_client::files::FilesError;
use ca_client::files::OutputOptions;
use rustix::thread::CapabilitySet;
use rustix::thread::CapabilitySets;
use tempfile::TempDir;

use crate::files::svid;
use crate::pki::moment;

/// Runs `work` on a thread that may do no more than anybody else.
fn as_anybody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            rustix::thread::set_capabilities(None, none).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

/// Somebody that this process is not.
fn somebody_else() -> ca_client::files::Owner {
    "65533:65533".parse().unwrap()
}

#[test]
fn owners_that_cannot_be_given_are_refused_before_anything_is_asked() {
    let table = [
        OutputOptions {
            key_owner: somebody_else(),
            ..OutputOptions::default()
        },
        OutputOptions {
            cert_owner: somebody_else(),
            ..OutputOptions::default()
        },
        OutputOptions {
            exceptions: vec![FileAccess {
                name: "root-cert.pem".to_owned(),
                mode: None,
                owner: Some(somebody_else()),
            }],
            ..OutputOptions::default()
        },
    ];
    for options in table {
        let dir = TempDir::new().unwrap();
        let error = as_anybody(|| OutputDir::open(dir.path(), options).unwrap_err());
        assert!(error.to_string().contains("owner"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let combined = Combined::new(dir.path().join("all.pem"), 0o600, somebody_else());
        let error = as_anybody(|| combined.probe().unwrap_err());
        assert!(matches!(error, FilesError::Io { .. }), "{error:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn an_old_generation_that_cannot_be_removed_stops_neither_renewal_nor_the_next_start() {
    let dir = TempDir::new().unwrap();
    let stuck = dir.path().join("..2020_01_01_00_00_00.deadbeef");
    let open = || OutputDir::open(dir.path(), OutputOptions::default());
    let output = open().unwrap();
    fs::create_dir(&stuck).unwrap();
    fs::write(stuck.join("held"), "").unwrap();
    fs::set_permissions(&stuck, fs::Permissions::from_mode(0o555)).unwrap();
    as_anybody(|| {
        for second in 0..4 {
            output.write(&svid(), moment(second)).unwrap();
        }
        drop(output);
        drop(open().unwrap());
    });
    assert!(stuck.join("held").exists(), "or this proves nothing");
    let all = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(
        all,
        4 + 2 + 1,
        "links, two generations, and the one that is stuck"
    );
}
