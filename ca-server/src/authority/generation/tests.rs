//! What a generation says of itself and refuses.

use crate::authority::Authority;
use crate::authority::bundle;
use crate::authority::test_bundle::CA;
use crate::authority::test_bundle::LONG;
use crate::authority::test_bundle::P256;
use crate::authority::test_bundle::TestBundle;
use crate::authority::test_bundle::leaf;
use crate::authority::trial;
use crate::x509::SystemEntropy;
use proto::certificate::Certificate;

#[test]
fn the_window_ends_with_whatever_ends_first() {
    let made = TestBundle::good();
    made.sign_by("middle", "root", "-sha256 -days 50", CA);
    made.istio("issuer", &["middle"], "root");
    let generation = bundle::load(&made.bundle(), made.time_of("middle"))
        .unwrap()
        .generation;
    let window = generation.window().unwrap();
    assert_eq!(
        window.not_after(),
        made.certificate("middle").facts().not_after
    );
    assert_eq!(
        window.not_before(),
        made.certificate("middle").facts().not_before
    );
}

#[test]
fn a_leaf_refers_to_the_sha1_of_the_key_where_the_issuer_has_no_key_id() {
    let made = TestBundle::good();
    let bare = "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none\n";
    made.sign_by("issuer", "middle", &format!("-sha256 -days {LONG}"), bare);
    made.istio("issuer", &["middle"], "root");
    let now = made.time_of("issuer");
    let generation = bundle::load(&made.bundle(), now).unwrap().generation;
    let leaf = Certificate::from_der(leaf(&generation, now).der()).unwrap();
    // openssl's own "hash" is the same SHA-1.
    made.sign_by("issuer", "middle", &format!("-sha256 -days {LONG}"), CA);
    let hashed = made.certificate("issuer").facts().subject_key_id.clone();
    assert!(hashed.is_some());
    assert_eq!(leaf.facts().authority_key_id, hashed);
}

#[test]
fn generations_are_numbered_as_they_come_into_force() {
    let made = TestBundle::good();
    let load = || {
        bundle::load(&made.bundle(), made.time_of("issuer"))
            .unwrap()
            .generation
    };
    let authority = Authority::new(load());
    let first = authority.current();
    authority.replace(load());
    authority.replace(load());
    assert_eq!((first.number(), authority.current().number()), (1, 3));
}

#[test]
fn a_trial_succeeds_whenever_the_chain_holds_together() {
    let made = TestBundle::good();
    let now = made.time_of("issuer");
    let generation = bundle::load(&made.bundle(), now).unwrap().generation;
    let window = generation.window().unwrap();
    for at in [window.not_before(), now, window.not_after()] {
        trial::sign_and_verify(&generation, at, &SystemEntropy).unwrap();
    }
}

#[test]
fn debug_output_of_a_generation_shows_no_key() {
    let made = TestBundle::empty();
    made.root("root", P256, CA);
    made.istio("root", &[], "root");
    let generation = bundle::load(&made.bundle(), made.time_of("root"))
        .unwrap()
        .generation;
    let shown = format!("{generation:?}");
    assert!(shown.contains("IssuerKey { kind: P256, .. }"), "{shown}");
}
