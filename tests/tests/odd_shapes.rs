//! Bundles that are not just another root: revocation lists, roots of one name, cross-certificates, chains that are over.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::cell::RefCell;
use std::fs;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use proto::certificate::Certificate;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::UnixTime;
use tests::CART;
use tests::agent::Agent;
use tests::agent::key_and_csr;
use tests::ca::TestCa;
use tests::poll::wait_for;
use tests::workshop::Workshop;
use tonic::Code;
use webpki::BorrowedCertRevocationList;
use webpki::CertRevocationList;
use webpki::EndEntityCert;
use webpki::ExpirationPolicy;
use webpki::KeyUsage;
use webpki::RevocationCheckDepth;
use webpki::RevocationOptionsBuilder;
use webpki::UnknownStatusPolicy;
use webpki::anchor_from_trusted_cert;

const LIMIT: Duration = Duration::from_secs(30);

fn number(ca: &TestCa) -> u64 {
    let document: serde_json::Value = serde_json::from_str(&ca.http_get("/bundle.json").1).unwrap();
    document["spiffe_sequence"].as_u64().unwrap()
}

fn wait_for_line(ca: &TestCa, words: &[&str]) {
    wait_for(LIMIT, || {
        let log = ca.log();
        let mut lines = log.iter().map(ToString::to_string);
        lines.find(|line| words.iter().all(|word| line.contains(word)))
    });
}

fn issue(ca: &TestCa) -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (token, roots) = (ca.token(CART), ca.roots_pem());
        let mut agent = Agent::connect(ca.grpc, &roots, &[&token], None).await;
        agent.create(&key_and_csr(CART).1, 0).await.unwrap()
    })
}

fn ders(pem: &str) -> Vec<Vec<u8>> {
    let blocks = pem::parse_many(pem).unwrap();
    blocks.into_iter().map(pem::Pem::into_contents).collect()
}

/// Whether webpki accepts `chain` (leaf, issuers, roots) and finds a list for each certificate below the root.
fn webpki_agrees(chain: &[String], lists: &str) -> Result<(), webpki::Error> {
    let all: Vec<Vec<u8>> = chain.iter().flat_map(|pem| ders(pem)).collect();
    let (leaf, rest) = all.split_first().unwrap();
    let (root, above) = rest.split_last().unwrap();
    let lists: Vec<CertRevocationList<'_>> = ders(lists)
        .iter()
        .map(|der| {
            let list = BorrowedCertRevocationList::from_der(der).unwrap();
            CertRevocationList::Owned(list.to_owned().unwrap())
        })
        .collect();
    let lists: Vec<&CertRevocationList<'_>> = lists.iter().collect();
    let revocation = RevocationOptionsBuilder::new(&lists)
        .unwrap()
        .with_depth(RevocationCheckDepth::Chain)
        .with_status_policy(UnknownStatusPolicy::Deny)
        .with_expiration_policy(ExpirationPolicy::Enforce)
        .build();
    #[expect(
        clippy::disallowed_methods,
        reason = "the server under test runs by the real clock"
    )]
    let now = std::time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap();
    let (leaf, root) = (
        CertificateDer::from(leaf.as_slice()),
        root.as_slice().into(),
    );
    let above: Vec<CertificateDer<'_>> = above.iter().map(|der| der.as_slice().into()).collect();
    let leaf = EndEntityCert::try_from(&leaf)?;
    let anchors = [anchor_from_trusted_cert(&root)?];
    let verified = leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &above,
        UnixTime::since_unix_epoch(now),
        KeyUsage::server_auth(),
        Some(revocation),
        None,
    );
    verified.map(|_path| ())
}

#[test]
fn a_revocation_list_that_ends_while_it_is_given_out_is_told_everywhere() {
    let work = Workshop::new();
    work.run("root a root-a; issuer a-ca a; put a-ca a; crl a; crl a-ca '-crlsec 15'; cat a.crl a-ca.crl > cacerts/ca-crl.pem");
    let ca = work.start();
    assert!(ca.http_get("/metrics").1.contains("role=\"crl\""));
    wait_for_line(&ca, &["WARN", "revocation list of CN=a-ca", "ended at"]);
    for command in [&["status"][..], &["rotate", "status"]] {
        let told = ca.operator(command);
        assert!(
            told.contains("warning: the revocation list of CN=a-ca"),
            "{told}"
        );
        let json = ca.operator(&[command, &["--output", "json"]].concat());
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["warnings"].as_array().unwrap().len(), 1, "{json}");
    }
    work.run("crl a-ca; cat a.crl a-ca.crl > t; mv t cacerts/ca-crl.pem");
    wait_for(LIMIT, || {
        (!ca.operator(&["status"]).contains("warning: the rev")).then_some(())
    });
}

#[test]
fn a_revocation_list_comes_and_goes_and_each_is_a_new_bundle() {
    let work = Workshop::new();
    work.run("root a root-a; issuer a-ca a; crl a; crl a-ca; put a-ca a");
    let ca = work.start();
    let before = number(&ca);
    assert_eq!(ca.http_get("/ca-crl.pem").0, 404);
    work.run("cat a.crl a-ca.crl > t; mv t cacerts/ca-crl.pem");
    let lists = wait_for(LIMIT, || {
        let (status, lists) = ca.http_get("/ca-crl.pem");
        (status == 200).then_some(lists)
    });
    let with = number(&ca);
    assert!(with > before);
    let chain = issue(&ca);
    for (name, pem) in [("leaf", &chain[0]), ("sent", &chain[1]), ("lists", &lists)] {
        fs::write(work.path(name), pem).unwrap();
    }
    work.run("openssl verify -crl_check_all -CRLfile lists -CAfile a.pem -untrusted sent leaf");
    webpki_agrees(&chain, &lists).unwrap();
    assert!(webpki_agrees(&chain, &work.read("a.crl")).is_err());
    work.run("rm cacerts/ca-crl.pem");
    wait_for(LIMIT, || {
        (ca.http_get("/ca-crl.pem").0 == 404).then_some(())
    });
    assert!(number(&ca) > with);
}

#[test]
fn a_revocation_list_that_lacks_a_ca_or_takes_it_back_changes_nothing() {
    let work = Workshop::new();
    work.run("root a root-a; issuer a-ca a; crl a; crl a-ca; put a-ca a; cat a.crl a-ca.crl > cacerts/ca-crl.pem");
    let ca = work.start();
    let (lists, before) = (ca.http_get("/ca-crl.pem"), number(&ca));
    assert_eq!(lists.0, 200);
    work.run("cp a.crl t; mv t cacerts/ca-crl.pem");
    wait_for_line(&ca, &["ca-crl.pem", "there is no list of CN=a-ca"]);
    work.run(
        "openssl ca -config a.cnf -revoke a-ca.pem -cert a.pem -keyfile a.key 2>/dev/null
         crl a; cat a.crl a-ca.crl > t; mv t cacerts/ca-crl.pem",
    );
    wait_for_line(&ca, &["ca-crl.pem", "revokes CN=a-ca", "retired"]);
    assert_eq!(ca.http_get("/ca-crl.pem"), lists);
    assert_eq!(number(&ca), before);
}

#[test]
fn a_new_issuer_without_a_list_of_its_own_waits_for_one_and_the_one_before_signs() {
    let work = Workshop::new();
    work.run("root a root-a; issuer one a; issuer two a; crl a; crl one; crl two; put one a; cat a.crl one.crl > cacerts/ca-crl.pem");
    let ca = work.start();
    let (lists, before) = (ca.http_get("/ca-crl.pem"), number(&ca));
    work.run("put two a");
    wait_for_line(&ca, &["ca-crl.pem", "there is no list of CN=two"]);
    assert_eq!(ders(&issue(&ca)[1]), ders(&work.read("one.pem")));
    assert_eq!((ca.http_get("/ca-crl.pem"), number(&ca)), (lists, before));
    work.run("cat a.crl one.crl two.crl > t; mv t cacerts/ca-crl.pem");
    wait_for(LIMIT, || {
        (ders(&ca.http_get("/ca-crl.pem").1).len() == 3).then_some(())
    });
    let chain = issue(&ca);
    webpki_agrees(&chain, &ca.http_get("/ca-crl.pem").1).unwrap();
}

#[test]
fn the_list_of_a_new_issuer_goes_out_before_its_first_leaf() {
    let work = Workshop::new();
    work.run("root a root-a; issuer one a; issuer two a; crl a; crl one; crl two; put one a; cat a.crl one.crl > cacerts/ca-crl.pem");
    let ca = work.start();
    issue(&ca);
    let two = work.read("two.crl");
    work.run("cat a.crl two.crl > t; put two a; mv t cacerts/ca-crl.pem");
    let lists = wait_for(LIMIT, || {
        let lists = ca.http_get("/ca-crl.pem").1;
        (ders(&lists).contains(&ders(&two)[0])).then_some(lists)
    });
    assert_eq!(ders(&lists).len(), 3, "the first one's leaves are alive");
    let chain = issue(&ca);
    assert_eq!(ders(&chain[1]), ders(&work.read("one.pem")));
    webpki_agrees(&chain, &lists).unwrap();
    wait_for_line(&ca, &["signs"]);
    let chain = wait_for(LIMIT, || {
        let chain = issue(&ca);
        (ders(&chain[1]) == ders(&work.read("two.pem"))).then_some(chain)
    });
    webpki_agrees(&chain, &lists).unwrap();
}

/// Leaves until one is of `issuer`: that one's chain, and the last one of before.
fn issue_until(ca: &TestCa, issuer: &str) -> (Vec<String>, Vec<String>) {
    let before = RefCell::default();
    let now = wait_for(LIMIT, || {
        let chain = issue(ca);
        if ders(&chain[1]) == ders(issuer) {
            return Some(chain);
        }
        before.replace(chain);
        None
    });
    (now, before.into_inner())
}

#[test]
fn a_signer_does_not_retire_while_its_leaves_need_its_list_unless_it_is_forced_to() {
    let work = Workshop::new();
    work.run("root a root-a; issuer one a; issuer two a; crl a; crl one; crl two; put one a; cat a.crl one.crl > cacerts/ca-crl.pem");
    let ca = work.start();
    issue(&ca);
    work.run("cat a.crl two.crl > t; put two a; mv t cacerts/ca-crl.pem");
    let (_of_two, of_one) = issue_until(&ca, &work.read("two.pem"));
    let refused = ca.try_operator(&["rotate", "retire"]);
    let refused = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.contains("has a leaf of"), "{refused}");
    let lists = ca.http_get("/ca-crl.pem").1;
    webpki_agrees(&of_one, &lists).unwrap();
    let one = Certificate::all_from_pem(work.read("one.pem").as_bytes()).unwrap();
    let one = one[0].fingerprint().to_string();
    let forced = ["rotate", "retire", "--force", &one, "--reason", "test"];
    let _said = ca.operator(&forced);
    let lists = ca.http_get("/ca-crl.pem").1;
    assert_eq!(ders(&lists).len(), 2, "those of the root and of the second");
}

#[test]
fn no_list_goes_out_that_refuses_leaves_of_a_signer_that_retired_without_one() {
    let work = Workshop::new();
    work.run("root a root-a; issuer one a; issuer two a; crl a; crl one; crl two; put one a; cat a.crl one.crl > cacerts/ca-crl.pem");
    let ca = work.start();
    assert_eq!(ca.http_get("/ca-crl.pem").0, 200);
    work.run("rm cacerts/ca-crl.pem");
    let no_lists = || (ca.http_get("/ca-crl.pem").0 == 404).then_some(());
    wait_for(LIMIT, no_lists);
    work.run("put two a");
    let (_of_two, of_one) = issue_until(&ca, &work.read("two.pem"));
    fs::write(work.path("leaf"), &of_one[0]).unwrap();
    wait_for_line(&ca, &["a retired signer was destroyed"]);
    work.run("cat a.crl two.crl > t; mv t cacerts/ca-crl.pem");
    wait_for_line(&ca, &["no revocation list goes out that refuses them"]);
    assert_eq!(ca.http_get("/ca-crl.pem").0, 404);
    work.run("openssl x509 -in leaf -noout -checkend 0");
    let lists_are_out = || (ca.http_get("/ca-crl.pem").0 == 200).then_some(());
    wait_for(LIMIT, lists_are_out);
    work.run("! openssl x509 -in leaf -noout -checkend 0");
}

#[test]
fn a_root_of_the_same_name_is_refused_and_the_ca_goes_on_also_after_a_restart() {
    let work = Workshop::new();
    work.run("root a same; issuer a-ca a; put a-ca a");
    let data = tempfile::tempdir().unwrap();
    let mut ca = work.start_on(Some(data.path()));
    let before = ca.roots_pem();
    work.run("EXTENSIONS=$BARE; root b same; issuer b-ca b; put b-ca b");
    wait_for_line(&ca, &["both called CN=same", "another subject"]);
    assert_eq!(ca.roots_pem(), before);
    ca.stop();
    let ca = work.start_on(Some(data.path()));
    wait_for_line(&ca, &["both called CN=same", "another subject"]);
    assert_eq!(ca.roots_pem(), before);
    assert_eq!(ders(&issue(&ca)[1]), ders(&work.read("a-ca.pem")));
}

#[test]
fn a_cross_certificate_lets_the_new_root_sign_while_leaves_know_only_the_old_one() {
    let work = Workshop::new();
    work.run("root a root-a; issuer a-ca a; put a-ca a");
    let ca = work.start();
    issue(&ca);
    work.run("root b root-b; sign across b a; issuer b-ca b; put b-ca b across.pem");
    wait_for_line(&ca, &["cross-certificate"]);
    let chain = issue(&ca);
    assert_eq!(chain.len(), 4);
    assert_eq!(ders(&chain[2]), ders(&work.read("across.pem")));
    fs::write(work.path("leaf"), &chain[0]).unwrap();
    fs::write(work.path("sent"), chain[1..3].concat()).unwrap();
    for root in ["a", "b"] {
        work.run(&format!(
            "openssl verify -CAfile {root}.pem -untrusted sent leaf"
        ));
    }
}

#[test]
fn a_chain_that_is_over_gives_way_to_a_new_bundle_without_a_restart() {
    for (root_end, issuer_end, end) in [
        ("21190101000000Z", "20200103000000Z", "2020-01-03"),
        ("20200102000000Z", "20200103000000Z", "2020-01-02"),
    ] {
        let work = Workshop::new();
        work.run(&format!(
            "req old old-root; ca -selfsign -keyfile old.key -in old.csr -startdate 20190101000000Z -enddate {root_end} -out old.pem
             req old-ca old-ca; ca -cert old.pem -keyfile old.key -in old-ca.csr -startdate 20200101000000Z -enddate {issuer_end} -out old-ca.pem
             put old-ca old"
        ));
        let ca = work.start();
        let (status, why) = ca.http_get("/readyz");
        assert_eq!(status, 503);
        assert!(why.contains(end), "{why}");
        assert_eq!(ders(&ca.roots_pem()), ders(&work.read("old.pem")));
        refused_with(&ca, end);
        work.run("root new new-root; issuer new-ca new; put new-ca new");
        wait_for(LIMIT, || (ca.http_get("/readyz").0 == 200).then_some(()));
        let only_new = || ders(&ca.roots_pem()) == ders(&work.read("new.pem"));
        wait_for(LIMIT, || only_new().then_some(()));
        assert_eq!(ders(&issue(&ca)[1]), ders(&work.read("new-ca.pem")));
    }
}

fn refused_with(ca: &TestCa, end: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let refused = runtime.block_on(async {
        let token = ca.token(CART);
        let mut agent = Agent::connect_unverified(ca.grpc, &[&token]).await;
        agent.create(&key_and_csr(CART).1, 0).await.unwrap_err()
    });
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains(end), "{refused}");
}
