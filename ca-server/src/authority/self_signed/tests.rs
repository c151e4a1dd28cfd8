//! Our own CA, judged by openssl at its strictest and by our own rules for others' bundles.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use proto::certificate::Certificate;
use proto::chain;
use proto::chain::Profile;

use super::*;
use crate::authority::Conditions;
use crate::authority::StandingBy;
use crate::authority::bundle::Grade;
use crate::authority::compatibility;
use crate::authority::state::TrustDomainChange;
use crate::authority::test_bundle::TestBundle;
use crate::authority::test_bundle::leaf;
use crate::x509::SystemEntropy;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn open_at(dir: &Path, new_root: NewRoot, now: SystemTime) -> Result<Opened, SelfSignedError> {
    let domain = "cluster.local".parse().unwrap();
    let mut state = State::open(dir, &domain, TrustDomainChange::Refuse).unwrap();
    open_or_create(dir, &mut state, new_root, now, &SystemEntropy)
}

fn try_open(dir: &Path, new_root: NewRoot) -> Result<Opened, SelfSignedError> {
    open_at(dir, new_root, now())
}

fn open_ca(dir: &Path) -> Opened {
    try_open(dir, NewRoot::Refuse).unwrap()
}

fn renew(dir: &Path, now: SystemTime) -> Result<Generation, SelfSignedError> {
    let domain = "cluster.local".parse().unwrap();
    let before = bundle::load(&dir.join("ca"), now)?.generation;
    let made = make_issuer(dir, &domain, now, &SystemEntropy)?;
    put_in_force_at(dir, &made.issuer().fingerprint(), now)?;
    destroy_at(dir, &before.issuer().fingerprint())?;
    Ok(made)
}

fn state(dir: &Path) -> State {
    let domain = "cluster.local".parse().unwrap();
    State::open(dir, &domain, TrustDomainChange::Refuse).unwrap()
}

fn destroy_at(dir: &Path, issuer: &Fingerprint) -> Result<(), SelfSignedError> {
    destroy(dir, &mut state(dir), issuer)
}

fn put_in_force_at(
    dir: &Path,
    issuer: &Fingerprint,
    now: SystemTime,
) -> Result<(), SelfSignedError> {
    put_in_force(dir, &mut state(dir), issuer, now)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn a_root_is_made_once_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = open_ca(dir.path());
    let second = open_ca(dir.path());
    assert!(first.is_new && !second.is_new);
    assert_eq!(first.generation.root(), second.generation.root());
    assert_eq!(first.generation.chain(), second.generation.chain());
    assert_eq!(names(dir.path()), ["ca", "ca.1", "state.json"]);
}

#[test]
fn keys_and_directory_are_their_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    open_ca(dir.path());
    for (name, expected) in [
        ("ca/.", 0o700),
        ("ca/ca-key.pem", 0o600),
        ("ca/root-key.pem", 0o600),
        ("state.json", 0o600),
    ] {
        let mode = fs::metadata(dir.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, expected, "{name}");
    }
}

#[test]
fn openssl_at_its_strictest_accepts_what_our_own_ca_signs() {
    let dir = tempfile::tempdir().unwrap();
    let made = TestBundle::empty();
    let generation = open_ca(dir.path()).generation;
    let leaf = leaf(&generation, now());
    let elements = generation.leaf_chain_pem(&leaf);
    assert_eq!(elements.len(), 3);
    for (name, element) in ["leaf.pem", "issuer.pem", "root.pem"].iter().zip(&elements) {
        made.write(name, element);
    }
    made.openssl("verify -x509_strict -check_ss_sig -attime 1800000000 -CAfile root.pem -untrusted issuer.pem leaf.pem");
    let presented = generation.presented_chain(&leaf);
    let path: Vec<Certificate> = presented
        .iter()
        .map(|der| Certificate::from_der(der).unwrap())
        .collect();
    let domain = "cluster.local".parse().unwrap();
    let roots = generation.roots();
    chain::verify(&path, roots, Some(&domain), Profile::X509Svid, now()).unwrap();
}

#[test]
fn our_own_cas_say_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let generation = open_ca(dir.path()).generation;
    let (root, issuer) = (generation.root(), generation.issuer());
    for (certificate, path_len, days) in [(root, None, 3652), (issuer, Some(0), 365)] {
        let facts = certificate.facts();
        let constraints = facts.basic_constraints.unwrap();
        let usage = facts.key_usage.unwrap();
        assert!(constraints.ca && constraints.critical && usage.critical);
        assert!(usage.key_cert_sign && usage.crl_sign && !usage.digital_signature);
        assert_eq!(constraints.path_len, path_len);
        assert_eq!(facts.not_before, now() - Duration::from_secs(1800));
        assert_eq!(facts.not_after, now() + DAY * days);
        let san = facts.subject_alt_name.as_ref().unwrap();
        assert_eq!(san.uris, ["spiffe://cluster.local"]);
        assert!(
            facts.subject.contains("O=cluster.local"),
            "{}",
            facts.subject
        );
    }
    assert_eq!(issuer.facts().authority_key_id, root.facts().subject_key_id);
    assert_ne!(issuer.facts().serial, root.facts().serial);
}

#[test]
fn a_trust_domain_longer_than_an_organization_may_be_makes_a_ca_too() {
    let dir = tempfile::tempdir().unwrap();
    let domain = format!("{}.example", "d".repeat(200)).parse().unwrap();
    let mut state = State::open(dir.path(), &domain, TrustDomainChange::Refuse).unwrap();
    let made = open_or_create(
        dir.path(),
        &mut state,
        NewRoot::Refuse,
        now(),
        &SystemEntropy,
    );
    let generation = made.unwrap().generation;
    let id = format!("spiffe://{domain}");
    let san = generation.root().facts().subject_alt_name.clone().unwrap();
    assert_eq!(san.uris, [id]);
}

#[test]
fn our_own_directory_is_a_good_bundle_for_others() {
    let dir = tempfile::tempdir().unwrap();
    open_ca(dir.path());
    let report = bundle::check(&dir.path().join("ca"), now());
    assert_eq!((report.grade(), report.findings), (Grade::Good, Vec::new()));
}

#[test]
fn what_a_crash_left_is_cleared_away() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("ca.new")).unwrap();
    fs::write(dir.path().join("ca.new/ca-key.pem"), "torn").unwrap();
    std::os::unix::fs::symlink("ca.7", dir.path().join("ca.new-link")).unwrap();
    assert!(open_ca(dir.path()).is_new);
    assert_eq!(names(dir.path()), ["ca", "ca.1", "state.json"]);
}

#[test]
fn a_link_that_a_crash_left_stops_nobody_who_puts_a_signer_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let issuer = open_ca(dir.path()).generation.issuer().fingerprint();
    std::os::unix::fs::symlink("ca.7", dir.path().join("ca.new-link")).unwrap();
    put_in_force_at(dir.path(), &issuer, now()).unwrap();
    assert_eq!(names(dir.path()), ["ca", "ca.1", "state.json"]);
}

#[test]
fn a_whole_set_whose_link_a_crash_prevented_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let root = open_ca(dir.path()).generation.root().clone();
    fs::remove_file(dir.path().join("ca")).unwrap();
    assert_eq!(*open_ca(dir.path()).generation.root(), root);
    fs::remove_file(dir.path().join("ca")).unwrap();
    fs::remove_file(dir.path().join("state.json")).unwrap();
    assert_eq!(*open_ca(dir.path()).generation.root(), root);
}

#[test]
fn a_set_of_another_root_is_neither_used_nor_removed() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = open_ca(dir.path()).generation.root().clone();
    open_ca(other.path());
    fs::rename(other.path().join("ca.1"), dir.path().join("ca.9")).unwrap();
    fs::remove_file(dir.path().join("ca")).unwrap();
    assert_eq!(*open_ca(dir.path()).generation.root(), root);
    renew(dir.path(), now()).unwrap();
    assert_eq!(names(dir.path()), ["ca", "ca.10", "ca.9", "state.json"]);
}

#[test]
fn a_lost_ca_is_not_replaced_until_that_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let root = open_ca(dir.path()).generation.root().clone();
    fs::remove_dir_all(dir.path().join("ca.1")).unwrap();
    let error = try_open(dir.path(), NewRoot::Refuse).unwrap_err();
    assert!(matches!(error, SelfSignedError::Lost { .. }), "{error}");
    assert!(error.to_string().contains("--allow-new-root"), "{error}");
    let new = try_open(dir.path(), NewRoot::Allow).unwrap();
    assert!(new.is_new && *new.generation.root() != root);
    assert_eq!(open_ca(dir.path()).generation.root(), new.generation.root());
}

#[test]
fn another_root_in_place_of_ours_is_refused() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    open_ca(dir.path());
    open_ca(other.path());
    fs::remove_dir_all(dir.path().join("ca.1")).unwrap();
    fs::rename(other.path().join("ca.1"), dir.path().join("ca.1")).unwrap();
    let error = try_open(dir.path(), NewRoot::Refuse).unwrap_err();
    assert!(
        matches!(error, SelfSignedError::OtherRoot { .. }),
        "{error}"
    );
    try_open(dir.path(), NewRoot::Allow).unwrap();
    open_ca(dir.path());
}

#[test]
fn half_a_ca_is_refused_naming_what_is_missing() {
    for file in [
        "ca-cert.pem",
        "ca-key.pem",
        "cert-chain.pem",
        "root-cert.pem",
    ] {
        let dir = tempfile::tempdir().unwrap();
        open_ca(dir.path());
        fs::remove_file(dir.path().join("ca").join(file)).unwrap();
        let error = try_open(dir.path(), NewRoot::Allow).unwrap_err();
        let SelfSignedError::Bundle(source) = error else {
            panic!("{file}: {error}");
        };
        assert!(source.to_string().contains(file), "{file}: {source}");
    }
}

#[test]
fn a_renewed_issuer_stands_under_the_same_root() {
    let dir = tempfile::tempdir().unwrap();
    let before = open_ca(dir.path()).generation;
    let later = now() + DAY * 300;
    let after = renew(dir.path(), later).unwrap();
    assert_eq!(before.root(), after.root());
    assert_ne!(before.issuer(), after.issuer());
    assert_ne!(
        before.issuer().facts().spki_der,
        after.issuer().facts().spki_der
    );
    assert_eq!(after.issuer().facts().not_after, later + DAY * 365);
    let reopened = open_at(dir.path(), NewRoot::Refuse, later).unwrap();
    assert_eq!(reopened.generation.issuer(), after.issuer());
    assert_eq!(names(dir.path()), ["ca", "ca.2", "state.json"]);
    let made = TestBundle::empty();
    let elements = after.leaf_chain_pem(&leaf(&after, later));
    for (name, element) in ["leaf.pem", "issuer.pem", "root.pem"].iter().zip(&elements) {
        made.write(name, element);
    }
    let at = later.duration_since(UNIX_EPOCH).unwrap().as_secs();
    made.openssl(&format!(
        "verify -x509_strict -attime {at} -CAfile root.pem -untrusted issuer.pem leaf.pem"
    ));
}

#[test]
fn a_renewal_without_the_roots_key_leaves_the_issuer_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let before = open_ca(dir.path()).generation;
    fs::remove_file(dir.path().join("ca/root-key.pem")).unwrap();
    let error = renew(dir.path(), now()).unwrap_err();
    assert!(error.to_string().contains("root-key.pem"), "{error}");
    assert_eq!(open_ca(dir.path()).generation.issuer(), before.issuer());
}

#[test]
fn a_renewal_with_another_roots_key_leaves_the_issuer_in_force() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let before = open_ca(dir.path()).generation;
    open_ca(other.path());
    let key = "ca/root-key.pem";
    fs::copy(other.path().join(key), dir.path().join(key)).unwrap();
    renew(dir.path(), now()).unwrap_err();
    assert_eq!(names(dir.path()), ["ca", "ca.1", "state.json"]);
    assert_eq!(open_ca(dir.path()).generation.issuer(), before.issuer());
}

#[test]
fn a_restored_directory_without_links_is_opened_and_renewed() {
    let dir = tempfile::tempdir().unwrap();
    let before = open_ca(dir.path()).generation;
    fs::remove_file(dir.path().join("ca")).unwrap();
    fs::rename(dir.path().join("ca.1"), dir.path().join("ca")).unwrap();
    assert_eq!(open_ca(dir.path()).generation.issuer(), before.issuer());
    let after = renew(dir.path(), now()).unwrap();
    assert_eq!(open_ca(dir.path()).generation.issuer(), after.issuer());
    assert!(
        fs::symlink_metadata(dir.path().join("ca"))
            .unwrap()
            .is_symlink()
    );
}

#[test]
fn what_was_made_waits_until_it_is_put_in_force_and_then_outlives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let before = open_ca(dir.path()).generation;
    let domain = "cluster.local".parse().unwrap();
    let made = make_root(dir.path(), &domain, now(), &SystemEntropy).unwrap();
    assert_ne!(
        made.root().facts().subject_der,
        before.root().facts().subject_der
    );
    assert_eq!(open_ca(dir.path()).generation.issuer(), before.issuer());
    let issuer = made.issuer().fingerprint();
    let found = find(dir.path(), &issuer, now()).unwrap().unwrap();
    assert_eq!(found.issuer(), made.issuer());
    put_in_force_at(dir.path(), &issuer, now()).unwrap();
    assert_eq!(open_ca(dir.path()).generation.issuer(), made.issuer());
}

#[test]
fn a_signer_that_is_destroyed_is_gone_and_one_in_force_leaves_room_for_another_root() {
    let dir = tempfile::tempdir().unwrap();
    let first = open_ca(dir.path()).generation.issuer().fingerprint();
    let domain = "cluster.local".parse().unwrap();
    let made = make_issuer(dir.path(), &domain, now(), &SystemEntropy).unwrap();
    put_in_force_at(dir.path(), &made.issuer().fingerprint(), now()).unwrap();
    destroy_at(dir.path(), &first).unwrap();
    assert!(find(dir.path(), &first, now()).unwrap().is_none());
    let gone = put_in_force_at(dir.path(), &first, now()).unwrap_err();
    assert!(
        matches!(gone, SelfSignedError::NoSuchIssuer { .. }),
        "{gone}"
    );
    destroy_at(dir.path(), &made.issuer().fingerprint()).unwrap();
    assert_eq!(names(dir.path()), ["state.json"]);
    let another = open_ca(dir.path());
    assert!(another.is_new && another.generation.root() != made.root());
}

#[test]
fn leftovers_of_known_roots_are_removed_and_what_others_put_there_is_not() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = open_ca(dir.path()).generation;
    let domain = "cluster.local".parse().unwrap();
    let made = || make_issuer(dir.path(), &domain, now(), &SystemEntropy).unwrap();
    let (held, left) = (made().issuer().fingerprint(), made().issuer().fingerprint());
    open_ca(other.path());
    fs::rename(other.path().join("ca.1"), dir.path().join("ca.9")).unwrap();
    let known = [first.root().fingerprint()];
    let held = [first.issuer().fingerprint(), held];
    let removed = remove_leftovers(dir.path(), &mut state(dir.path()), &held, &known).unwrap();
    assert_eq!(removed, [left]);
    assert_eq!(
        names(dir.path()),
        ["ca", "ca.1", "ca.2", "ca.9", "state.json"]
    );
}

/// The crash came between the record of its retirement and the end of its keys: the link still leads there.
#[test]
fn a_retired_signer_that_the_link_still_names_is_removed_with_its_keys() {
    let dir = tempfile::tempdir().unwrap();
    let first = open_ca(dir.path()).generation;
    let known = [first.root().fingerprint()];
    let removed = remove_leftovers(dir.path(), &mut state(dir.path()), &[], &known).unwrap();
    assert_eq!(removed, [first.issuer().fingerprint()]);
    assert_eq!(names(dir.path()), ["state.json"]);
    assert_eq!(state(dir.path()).self_signed_root(), None);
}

#[test]
fn a_set_whose_removal_was_cut_short_loses_its_keys_however_little_is_left_of_it() {
    let dir = tempfile::tempdir().unwrap();
    open_ca(dir.path());
    for name in ["ca.old", "ca.new"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("root-key.pem"), "a key").unwrap();
    }
    remove_leftovers(dir.path(), &mut state(dir.path()), &[], &[]).unwrap();
    assert_eq!(names(dir.path()), ["ca", "ca.1", "ca.new", "state.json"]);
    open_ca(dir.path());
    assert_eq!(names(dir.path()), ["ca", "ca.1", "state.json"]);
}

#[test]
fn a_root_is_due_at_a_fifth_of_its_life_or_three_lives_of_a_leaf() {
    let dir = tempfile::tempdir().unwrap();
    let generation = open_ca(dir.path()).generation;
    let end = generation.root().facts().not_after;
    for (longest_ttl, days_left, is_due) in [
        (DAY, 731, false),
        (DAY, 729, true),
        (DAY * 300, 901, false),
        (DAY * 300, 899, true),
    ] {
        let now = end - DAY * days_left;
        assert_eq!(
            root_renewal_due(&generation, longest_ttl, now),
            is_due,
            "{days_left}"
        );
    }
}

#[test]
fn an_issuer_is_due_past_two_thirds_of_its_life() {
    let dir = tempfile::tempdir().unwrap();
    let generation = open_ca(dir.path()).generation;
    assert!(!issuer_renewal_due(&generation, now() + DAY * 243));
    assert!(issuer_renewal_due(&generation, now() + DAY * 244));
    assert!(issuer_renewal_due(&generation, now() + DAY * 400));
    let plugged_in = bundle::load(&dir.path().join("ca"), now())
        .unwrap()
        .generation;
    assert!(!issuer_renewal_due(&plugged_in, now() + DAY * 300));
}

#[test]
fn an_issuer_that_lives_as_long_as_its_root_is_not_due() {
    let dir = tempfile::tempdir().unwrap();
    open_ca(dir.path());
    let late = now() + DAY * 3600;
    let renewed = renew(dir.path(), late).unwrap();
    assert_eq!(
        renewed.issuer().facts().not_after,
        renewed.root().facts().not_after
    );
    assert!(!issuer_renewal_due(&renewed, late + DAY * 50));
}

#[test]
fn an_expired_issuer_opens_so_that_it_can_be_renewed() {
    let dir = tempfile::tempdir().unwrap();
    open_ca(dir.path());
    let late = now() + DAY * 400;
    let opened = open_at(dir.path(), NewRoot::Refuse, late).unwrap();
    assert_eq!(opened.expired, Some(now() + DAY * 365));
    assert!(issuer_renewal_due(&opened.generation, late));
    let renewed = renew(dir.path(), late).unwrap();
    assert!(renewed.window().unwrap().not_after() > late);
}

#[test]
fn a_new_root_is_signed_across_by_the_one_before_as_long_as_that_is_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let made = TestBundle::empty();
    let old = open_ca(dir.path()).generation;
    let domain = "cluster.local".parse().unwrap();
    let new = make_root(dir.path(), &domain, now(), &SystemEntropy).unwrap();
    made.write("old.pem", old.root().to_pem());
    made.write("new.pem", new.root().to_pem());
    assert_eq!(new.chain().len(), 2);
    let leaf = leaf(&new, now());
    let strict = "-x509_strict -check_ss_sig -attime 1800000000";
    for root in ["old", "new"] {
        made.openssl_accepts(&new, &leaf, &[root], strict).unwrap();
        let path = [&[Certificate::from_der(leaf.der()).unwrap()], new.chain()].concat();
        let roots = [made.certificate(root)];
        chain::verify(&path, &roots, Some(&domain), Profile::X509Svid, now()).unwrap();
    }
    // As peers send it, with the new root at the end.
    made.write("sent.pem", new.leaf_chain_pem(&leaf).concat());
    made.write("leaf.pem", leaf.to_pem());
    for root in ["old", "new"] {
        made.openssl(&format!(
            "verify {strict} -CAfile {root}.pem -untrusted sent.pem leaf.pem"
        ));
    }
    let with = |roots: &[Certificate]| {
        let conditions = Conditions {
            roots: roots.to_vec(),
            ..Conditions::default()
        };
        new.in_force(conditions, StandingBy::default())
    };
    let (both, alone) = (with(&[old.root().clone()]), with(&[new.root().clone()]));
    assert_eq!(both.leaf_chain_pem(&leaf).len(), 4);
    assert_eq!(alone.leaf_chain_pem(&leaf).len(), 3);
    assert!(
        made.openssl_accepts(&alone, &leaf, &["old"], strict)
            .is_err()
    );
}

#[test]
fn another_issuer_under_a_root_that_is_signed_across_is_accepted_as_that_is() {
    let dir = tempfile::tempdir().unwrap();
    let old = open_ca(dir.path()).generation;
    let domain = "cluster.local".parse().unwrap();
    let new = make_root(dir.path(), &domain, now(), &SystemEntropy).unwrap();
    let issuer = new.issuer().fingerprint();
    put_in_force_at(dir.path(), &issuer, now()).unwrap();
    let next = make_issuer(dir.path(), &domain, now(), &SystemEntropy).unwrap();
    assert_eq!(next.cross(), new.cross());
    assert!(compatibility::is_accepted_by(
        &next,
        old.root(),
        now(),
        &SystemEntropy
    ));
}
