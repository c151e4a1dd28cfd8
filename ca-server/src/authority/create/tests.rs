//! Places that get lost on the way; what openssl makes of the rest is tested from outside.

use std::fs;
use std::time::Duration;

use super::*;
use crate::authority::create::place::Place;
use crate::authority::test_bundle::CA;
use crate::authority::test_bundle::P256;
use crate::authority::test_bundle::TestBundle;

#[test]
fn a_place_that_is_given_up_leaves_nothing_not_even_the_folders_above_it() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::begin(&dir.path().join("a/b/out")).unwrap();
    place.write("key", "secret", 0o600).unwrap();
    assert!(place.path().join("key").exists());
    drop(place);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_place_that_somebody_filled_meanwhile_keeps_what_it_has() {
    for name in ["out/theirs", "out"] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let place = Place::begin(&out).unwrap();
        place.write("ours", "ours", 0o600).unwrap();
        if name != "out" {
            fs::create_dir(&out).unwrap();
        }
        fs::write(dir.path().join(name), "theirs").unwrap();
        let error = place.put().unwrap_err();
        assert!(matches!(error, CreateError::Occupied { .. }), "{error}");
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"theirs");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_bundle_with_an_error_in_it_never_gets_its_name() {
    let made = TestBundle::good();
    made.root("stranger", P256, CA);
    fs::create_dir(made.workshop().join("request")).unwrap();
    made.write("request/ca-key.pem", made.read("issuer.key"));
    let path = |name: &str| made.workshop().join(name);
    let import = |roots: &str| {
        let answer = Answer {
            csr_dir: &path("request"),
            certificate: &path("issuer.pem"),
            chain: Some(&path("middle.pem")),
            roots: &path(roots),
        };
        import(answer, &path("out"), made.time_of("issuer"))
    };
    let error = import("stranger.pem").unwrap_err();
    assert!(matches!(error, CreateError::Refused { .. }), "{error}");
    assert!(!path("out").exists());
    let report = import("root.pem").unwrap();
    assert_eq!(report.dir, path("out"));
    assert_eq!(report.chain.len(), 2);
}

#[test]
fn a_lifetime_is_an_hour_to_a_hundred_years() {
    let hours = |hours: u64| Lifetime::new(Duration::from_secs(hours * 60 * 60));
    assert!(hours(1).is_ok() && hours(36525 * 24).is_ok());
    for refused in [
        hours(0),
        hours(36525 * 24 + 1),
        Lifetime::new(Duration::MAX),
    ] {
        assert!(matches!(refused, Err(CreateError::Lifetime { .. })));
    }
}
