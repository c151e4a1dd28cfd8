//! Which roots may stand side by side, judged by openssl and webpki.

use proto::chain;
use proto::chain::Profile;

use super::*;
use crate::authority::bundle;
use crate::authority::test_bundle::CA;
use crate::authority::test_bundle::LONG;
use crate::authority::test_bundle::P256;
use crate::authority::test_bundle::TestBundle;
use crate::authority::test_bundle::leaf;
use crate::x509::SystemEntropy;

const NO_IDS: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n";
const NO_AKI: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=none\n";

/// Two CAs, `old` and `new`, whose roots have one name and different keys.
struct Pair {
    made: TestBundle,
    now: SystemTime,
}

impl Pair {
    fn new(root_extensions: &str, issuer_extensions: &str) -> Self {
        let made = TestBundle::empty();
        for name in ["old", "new"] {
            made.key(name, P256);
            made.csr(name, "-subj /O=Test/CN=One-Name");
            let by = format!("-signkey {name}.key -sha256 -days {LONG}");
            made.sign(name, &by, root_extensions);
            made.ca(&format!("{name}-issuer"), name, P256, issuer_extensions);
        }
        let now = made.time_of("new-issuer");
        Self { made, now }
    }

    fn signer(&self, name: &str) -> Generation {
        self.made.istio(&format!("{name}-issuer"), &[], name);
        let loaded = bundle::load(&self.made.bundle(), self.now).unwrap();
        loaded.generation
    }

    fn roots(&self) -> [Certificate; 2] {
        ["old", "new"].map(|name| self.made.certificate(name))
    }

    fn check(&self) -> Result<(), Incompatible> {
        let (old, new) = (self.signer("old"), self.signer("new"));
        check(&[&old, &new], &self.roots(), self.now, &SystemEntropy)
    }

    /// How many of the four openssl accepts: leaves of both, with the roots in both orders.
    fn accepted_by_openssl(&self) -> usize {
        let mut accepted = 0;
        for name in ["old", "new"] {
            let signer = self.signer(name);
            let leaf = leaf(&signer, self.now);
            for roots in [["old", "new"], ["new", "old"]] {
                let verdict = self
                    .made
                    .openssl_accepts(&signer, &leaf, &roots, "-no_check_time");
                accepted += usize::from(verdict.is_ok());
            }
        }
        accepted
    }
}

#[test]
fn roots_of_one_name_that_nothing_tells_apart_are_refused_as_openssl_mixes_them_up() {
    for (roots, issuers) in [(NO_IDS, NO_IDS), (CA, NO_AKI)] {
        let pair = Pair::new(roots, issuers);
        let refusal = pair.check().unwrap_err();
        let [old, new] = pair.roots().map(|root| root.fingerprint().to_string());
        let words = refusal.to_string();
        assert!(words.contains(&old) && words.contains(&new), "{words}");
        assert!(words.contains("another subject"), "{words}");
        assert!(pair.accepted_by_openssl() < 4, "{roots} {issuers}");
    }
}

#[test]
fn roots_of_one_name_that_key_identifiers_tell_apart_live_together() {
    let pair = Pair::new(CA, CA);
    pair.check().unwrap();
    assert_eq!(pair.accepted_by_openssl(), 4);
    for name in ["old", "new"] {
        let signer = pair.signer(name);
        let leaf = Certificate::from_der(leaf(&signer, pair.now).der()).unwrap();
        let sent = [&[leaf], signer.chain()].concat();
        let roots = pair.roots();
        chain::verify(&sent, &roots, None, Profile::X509Svid, pair.now).unwrap();
    }
}

#[test]
fn a_root_called_like_an_issuing_ca_is_refused_where_it_could_pass_for_it() {
    for (extensions, works) in [(CA, true), (NO_IDS, false)] {
        let made = TestBundle::empty();
        made.root("root", P256, CA);
        made.ca("issuer", "root", P256, CA);
        made.key("namesake", P256);
        made.csr("namesake", "-subj /O=Test/CN=issuer");
        let by = format!("-signkey namesake.key -sha256 -days {LONG}");
        made.sign("namesake", &by, extensions);
        made.istio("issuer", &[], "root");
        let now = made.time_of("issuer");
        let signer = bundle::load(&made.bundle(), now).unwrap().generation;
        let roots = ["root", "namesake"].map(|name| made.certificate(name));
        let checked = check(&[&signer], &roots, now, &SystemEntropy);
        assert_eq!(checked.is_ok(), works, "{checked:?}");
        let leaf = leaf(&signer, now);
        let verdict = made.openssl_accepts(&signer, &leaf, &["root", "namesake"], "-no_check_time");
        assert_eq!(verdict.is_ok(), works, "{verdict:?}");
    }
}

/// A root `old` that is certified again as `renewed`, and an issuing CA under it.
fn renewed_root() -> TestBundle {
    let made = TestBundle::empty();
    made.root("old", P256, CA);
    made.csr("old", "-subj /O=Test/CN=old");
    let again = format!("-signkey old.key -sha256 -days {}", LONG + 100);
    let first = made.read("old.pem");
    made.sign("old", &again, CA);
    made.write("renewed.pem", made.read("old.pem"));
    made.write("old.pem", first);
    made.ca("issuer", "old", P256, CA);
    made
}

#[test]
fn a_root_that_was_certified_again_goes_first_and_both_accept() {
    let made = renewed_root();
    made.istio("issuer", &[], "old");
    made.write(
        "bundle/root-cert.pem",
        made.read("old.pem") + &made.read("renewed.pem"),
    );
    let now = made.time_of("issuer");
    let signer = bundle::load(&made.bundle(), now).unwrap().generation;
    let [old, renewed] = ["old", "renewed"].map(|name| made.certificate(name));
    assert_eq!(*signer.root(), renewed);
    let roots = twins::longest_lived_first(&[old.clone(), renewed.clone()]);
    assert_eq!(roots, [renewed, old.clone()]);
    assert!(is_accepted_by(&signer, &old, now, &SystemEntropy));
    let leaf = leaf(&signer, now);
    for roots in [&["old"][..], &["renewed"], &["old", "renewed"]] {
        made.openssl_accepts(&signer, &leaf, roots, "-no_check_time")
            .unwrap();
    }
}

#[test]
fn a_root_leaves_before_its_end_when_it_lives_on_in_another_certificate() {
    let made = renewed_root();
    let [old, renewed] = ["old", "renewed"].map(|name| made.certificate(name));
    let roots = [old.clone(), renewed.clone()];
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    let end = old.facts().not_after;
    assert!(twins::is_outlived(&old, &roots, end - day));
    assert!(!twins::is_outlived(&old, &roots, end - 2 * day));
    assert!(!twins::is_outlived(&old, std::slice::from_ref(&old), end));
    assert!(!twins::is_outlived(&renewed, &roots, end));
}

/// `old` and `new` are roots, and `across` is a certificate by `old` for `new`.
fn signed_across() -> TestBundle {
    let made = TestBundle::empty();
    made.root("old", P256, CA);
    made.root("new", P256, CA);
    made.write("across.csr", made.read("new.csr"));
    made.sign_by("across", "old", &format!("-sha256 -days {LONG}"), CA);
    made.ca("issuer", "new", P256, CA);
    made
}

#[test]
fn a_cross_certificate_is_sent_before_the_root_and_opens_the_other_root() {
    let made = signed_across();
    made.istio("issuer", &["across"], "new");
    let now = made.time_of("issuer");
    let loaded = bundle::load(&made.bundle(), now).unwrap();
    assert!(loaded.report.errors().next().is_none());
    let signer = loaded.generation;
    let sent = ["issuer", "across"].map(|name| made.certificate(name));
    assert_eq!(signer.chain(), sent);
    assert!(is_accepted_by(
        &signer,
        &made.certificate("old"),
        now,
        &SystemEntropy
    ));
    let leaf = leaf(&signer, now);
    for root in ["old", "new"] {
        made.openssl_accepts(&signer, &leaf, &[root], "-no_check_time")
            .unwrap();
    }
}

#[test]
fn without_a_cross_certificate_an_unrelated_root_accepts_nothing() {
    let made = signed_across();
    made.istio("issuer", &[], "new");
    let now = made.time_of("issuer");
    let signer = bundle::load(&made.bundle(), now).unwrap().generation;
    let old = made.certificate("old");
    assert!(!is_accepted_by(&signer, &old, now, &SystemEntropy));
    let leaf = leaf(&signer, now);
    let verdict = made.openssl_accepts(&signer, &leaf, &["old"], "-no_check_time");
    assert!(verdict.is_err());
}
