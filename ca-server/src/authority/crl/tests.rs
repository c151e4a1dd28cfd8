//! Which lists a bundle may have, judged by openssl.

use super::*;
use crate::authority::Generation;
use crate::authority::bundle;
use crate::authority::bundle::Severity;
use crate::authority::test_bundle::CA;
use crate::authority::test_bundle::LONG;
use crate::authority::test_bundle::P256;
use crate::authority::test_bundle::TestBundle;
use crate::authority::test_bundle::leaf;

/// A good bundle with a list of each of its CAs.
fn listed() -> TestBundle {
    let made = TestBundle::good();
    for ca in ["issuer", "middle", "root"] {
        made.crl(ca, &[], 30);
    }
    put(&made, &["issuer", "middle", "root"]);
    made
}

fn put(made: &TestBundle, cas: &[&str]) {
    let lists: String = cas
        .iter()
        .map(|ca| made.read(&format!("{ca}.crl")))
        .collect();
    made.write("bundle/ca-crl.pem", lists);
}

fn errors(made: &TestBundle) -> Vec<&'static str> {
    let report = bundle::check(&made.bundle(), made.time_of("issuer"));
    let errors = report.findings.iter();
    errors
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| {
            assert_eq!(finding.file, "ca-crl.pem", "{finding:?}");
            finding.rule
        })
        .collect()
}

fn openssl_accepts(made: &TestBundle, crls: &[Vec<u8>]) -> Result<String, String> {
    let now = made.time_of("issuer");
    let signer = bundle::load(&made.bundle(), now).unwrap().generation;
    openssl_accepts_of(made, &signer, crls)
}

fn openssl_accepts_of(
    made: &TestBundle,
    signer: &Generation,
    crls: &[Vec<u8>],
) -> Result<String, String> {
    let pem: String = crls
        .iter()
        .map(|der| pem::encode(&pem::Pem::new("X509 CRL", der.as_slice())))
        .collect();
    made.write("judged.crl", pem);
    let now = made.time_of("issuer");
    let at = now.duration_since(UNIX_EPOCH).unwrap().as_secs() + 60;
    let options = format!("-attime {at} -crl_check_all -CRLfile judged.crl");
    let leaf = leaf(signer, now);
    made.openssl_accepts(signer, &leaf, &["root"], &options)
}

#[test]
fn a_list_of_each_ca_is_what_openssl_wants() {
    let made = listed();
    assert_eq!(errors(&made), [""; 0]);
    let now = made.time_of("issuer");
    let signer = bundle::load(&made.bundle(), now).unwrap().generation;
    let published = published(&[&signer]);
    assert_eq!(published.covered, [signer.issuer().fingerprint()]);
    assert_eq!(published.crls.len(), 3);
    openssl_accepts(&made, &published.crls).unwrap();
    for missing in 0..3 {
        let mut some = published.crls.clone();
        some.remove(missing);
        assert!(openssl_accepts(&made, &some).is_err(), "{missing}");
    }
}

type Case = (&'static str, fn(&TestBundle), &'static [&'static str]);

const REFUSED: &[Case] = &[
    (
        "none of the root",
        |b| put(b, &["issuer", "middle"]),
        &["crl-of-each-ca"],
    ),
    (
        "another key",
        |b| {
            b.key("middle", P256);
            b.csr("middle", "-subj /O=Test/CN=middle");
            let good = b.read("middle.pem");
            b.sign_by("middle", "root", &format!("-sha256 -days {LONG}"), CA);
            b.crl("middle", &[], 30);
            b.write("middle.pem", good);
            put(b, &["issuer", "middle", "root"]);
        },
        &["crl-signature", "crl-of-each-ca"],
    ),
    (
        "the issuer taken back",
        |b| {
            b.crl("middle", &["issuer"], 30);
            put(b, &["issuer", "middle", "root"]);
        },
        &["crl-revokes-no-ca-in-use"],
    ),
    (
        "no list at all",
        |b| b.write("bundle/ca-crl.pem", "text"),
        &["crl-parses"],
    ),
    (
        "half a list",
        |b| {
            let all = b.read("bundle/ca-crl.pem");
            b.write("bundle/ca-crl.pem", &all[..all.len() - 80]);
        },
        &["crl-parses", "crl-of-each-ca"],
    ),
    (
        "a certificate",
        |b| {
            let all = b.read("bundle/ca-crl.pem") + &b.read("root.pem");
            b.write("bundle/ca-crl.pem", all);
        },
        &["crl-parses"],
    ),
    (
        "empty",
        |b| b.write("bundle/ca-crl.pem", ""),
        &["not-empty"],
    ),
];

#[test]
fn lists_that_would_break_somebody_keep_the_bundle_out() {
    for (what, change, expected) in REFUSED {
        let made = listed();
        change(&made);
        assert_eq!(errors(&made), *expected, "{what}");
        let loaded = bundle::load(&made.bundle(), made.time_of("issuer"));
        assert!(loaded.is_err(), "{what}");
    }
}

/// The extensions of a CA that calls its key something else.
fn other_key_id() -> String {
    let usual = "subjectKeyIdentifier=hash";
    CA.replace(usual, "subjectKeyIdentifier=0102030405")
}

/// A list of the middle CA, made with a certificate for the same name and key that is not the one in the chain.
fn put_list_of_a_twin(made: &TestBundle, twin: &str, authority_key: &str) {
    let good = made.read("middle.pem");
    made.sign_by("middle", "root", &format!("-sha256 -days {LONG}"), twin);
    made.crl_with("middle", &[], 30, authority_key);
    made.write("middle.pem", good);
    put(made, &["issuer", "middle", "root"]);
}

#[test]
fn a_list_that_names_another_authority_key_keeps_the_bundle_out_as_openssl_does() {
    for (twin, authority_key, seen) in [
        (
            &*other_key_id(),
            "keyid:always",
            "has the key 01:02:03:04:05",
        ),
        (CA, "issuer:always", "has the serial number "),
    ] {
        let made = listed();
        put_list_of_a_twin(&made, twin, authority_key);
        let report = bundle::check(&made.bundle(), made.time_of("issuer"));
        let found: Vec<_> = report.errors().collect();
        let expected = ["crl-authority-key", "crl-of-each-ca"];
        assert_eq!(errors(&made), expected, "{found:#?}");
        assert!(found[0].seen.contains(seen), "{found:#?}");
        assert!(bundle::load(&made.bundle(), made.time_of("issuer")).is_err());
        let lists = ["issuer", "middle", "root"].map(|ca| made.read(&format!("{ca}.crl")));
        let lists = pem::parse_many(lists.concat()).unwrap();
        let lists: Vec<Vec<u8>> = lists.into_iter().map(pem::Pem::into_contents).collect();
        made.remove("bundle/ca-crl.pem");
        openssl_accepts(&made, &lists).unwrap_err();
    }
}

#[test]
fn two_certificates_of_one_ca_each_get_the_list_that_names_it() {
    let made = listed();
    let now = made.time_of("issuer");
    let first = bundle::load(&made.bundle(), now).unwrap().generation;
    let days = format!("-sha256 -days {LONG}");
    made.sign_by("middle", "root", &days, &other_key_id());
    made.ca("second", "middle", P256, CA);
    for ca in ["second", "middle"] {
        made.crl(ca, &[], 30);
    }
    made.istio("second", &["middle"], "root");
    put(&made, &["second", "middle", "root"]);
    let second = bundle::load(&made.bundle(), now).unwrap().generation;
    let published = published(&[&first, &second]);
    assert_eq!(published.covered.len(), 2);
    for signer in [&first, &second] {
        openssl_accepts_of(&made, signer, &published.crls).unwrap();
    }
}

#[test]
fn a_list_that_names_no_authority_key_or_the_right_one_in_full_is_good() {
    for authority_key in ["", "keyid:always,issuer:always"] {
        let made = listed();
        made.crl_with("middle", &[], 30, authority_key);
        put(&made, &["issuer", "middle", "root"]);
        assert_eq!(errors(&made), [""; 0], "{authority_key}");
        let now = made.time_of("issuer");
        let signer = bundle::load(&made.bundle(), now).unwrap().generation;
        openssl_accepts(&made, &published(&[&signer]).crls).unwrap();
    }
}

#[test]
fn a_list_that_grew_old_is_an_error_that_a_start_survives() {
    let made = listed();
    let later = made.time_of("issuer") + Duration::from_secs(40 * 24 * 60 * 60);
    let loaded = bundle::load(&made.bundle(), later).unwrap();
    let mut rules = loaded.report.errors().map(|finding| finding.rule);
    assert!(rules.all(|rule| rule == "crl-current"));
    assert!(!loaded.generation.crls()[0].is_current_at(later));
}

#[test]
fn the_newest_list_of_a_ca_is_given_out_and_no_strangers() {
    let made = listed();
    let old = made.read("middle.crl");
    made.crl("middle", &["root"], 30);
    made.root("stranger", P256, CA);
    made.crl("stranger", &[], 30);
    put(&made, &["issuer", "middle", "root", "stranger"]);
    let both = old + &made.read("bundle/ca-crl.pem");
    made.write("bundle/ca-crl.pem", both);
    let signer = bundle::load(&made.bundle(), made.time_of("issuer")).unwrap();
    let published = published(&[&signer.generation]);
    let crls: Vec<Crl> = published
        .crls
        .iter()
        .map(|der| Crl::from_der(der).unwrap())
        .collect();
    assert_eq!(crls.len(), 3);
    let middle = crls
        .iter()
        .find(|crl| crl.names(&made.certificate("middle")));
    assert_eq!(middle.unwrap().revoked.len(), 1);
}

#[test]
fn a_list_that_takes_back_anothers_issuer_is_seen() {
    let made = listed();
    let now = made.time_of("issuer");
    let first = bundle::load(&made.bundle(), now).unwrap().generation;
    made.ca("second", "middle", P256, CA);
    made.crl("second", &[], 30);
    made.crl("middle", &["issuer"], 30);
    made.istio("second", &["middle"], "root");
    put(&made, &["second", "middle", "root"]);
    let second = bundle::load(&made.bundle(), now).unwrap().generation;
    assert_eq!(revoked_ca(&[&second]), None);
    let revoked = revoked_ca(&[&first, &second]).unwrap();
    assert_eq!(revoked.issuer, first.issuer().fingerprint());
    assert_eq!(revoked.certificate, first.issuer().fingerprint());
}
