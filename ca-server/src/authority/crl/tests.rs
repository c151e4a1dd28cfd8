//! Which lists a bundle may have, judged by openssl.

use super::*;
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
    let pem: String = crls
        .iter()
        .map(|der| pem::encode(&pem::Pem::new("X509 CRL", der.as_slice())))
        .collect();
    made.write("judged.crl", pem);
    let now = made.time_of("issuer");
    let signer = bundle::load(&made.bundle(), now).unwrap().generation;
    let at = now.duration_since(UNIX_EPOCH).unwrap().as_secs() + 60;
    let options = format!("-attime {at} -crl_check_all -CRLfile judged.crl");
    let leaf = leaf(&signer, now);
    made.openssl_accepts(&signer, &leaf, &["root"], &options)
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
