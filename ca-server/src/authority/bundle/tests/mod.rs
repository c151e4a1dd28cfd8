//! Bundles made by openssl; leaves judged by openssl and by rustls-webpki.

use std::time::Duration;

use proto::certificate::Certificate;
use proto::chain;
use proto::chain::Profile;

use super::*;
use crate::authority::test_bundle::CA;
use crate::authority::test_bundle::LONG;
use crate::authority::test_bundle::P256;
use crate::authority::test_bundle::P384;
use crate::authority::test_bundle::RSA_2048;
use crate::authority::test_bundle::RSA_4096;
use crate::authority::test_bundle::TestBundle;
use crate::authority::test_bundle::leaf;

mod tables;

/// Signs a leaf and lets openssl and rustls-webpki verify what would go over the wire.
fn assert_peers_accept(made: &TestBundle, generation: &Generation, now: SystemTime) {
    let leaf = leaf(generation, now);
    let elements = generation.leaf_chain_pem(&leaf);
    let (roots, chain) = elements.split_last().unwrap();
    made.write("leaf.pem", &chain[0]);
    made.write("untrusted.pem", chain.concat());
    made.write("trusted.pem", roots);
    let at = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    made.openssl(&format!(
        "verify -attime {at} -CAfile trusted.pem -untrusted untrusted.pem leaf.pem"
    ));
    let path = Certificate::all_from_pem(chain.concat().as_bytes()).unwrap();
    let roots = Certificate::all_from_pem(roots.as_bytes()).unwrap();
    chain::verify(&path, &roots, None, Profile::X509Svid, now).unwrap();
}

fn rules(report: &Report, severity: Severity) -> Vec<&'static str> {
    let findings = report.findings.iter();
    let mut rules: Vec<_> = findings
        .filter(|finding| finding.severity == severity)
        .map(|finding| finding.rule)
        .collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

/// The forms in which openssl writes the key `issuer.key`.
fn key_forms(made: &TestBundle, kind: &str) -> Vec<String> {
    let mut forms = vec![made.read("issuer.key")];
    made.openssl("pkey -in issuer.key -traditional -out traditional.key");
    let traditional = made.read("traditional.key");
    if kind.contains("EC") {
        let curve = kind.rsplit(':').next().unwrap();
        made.openssl(&format!("ecparam -name {curve} -out parameters.pem"));
        forms.push(format!("{}{traditional}", made.read("parameters.pem")));
        made.openssl("ec -in issuer.key -no_public -out bare.key");
        let bare = made.read("bare.key");
        made.openssl("pkcs8 -topk8 -nocrypt -in bare.key -out bare8.key");
        forms.extend([bare, made.read("bare8.key")]);
    }
    forms.push(traditional);
    forms
}

fn every_form_of_key_and_chain_signs(kind: &str) {
    let made = TestBundle::empty();
    made.root("root", P256, CA);
    made.ca("upper", "root", P256, CA);
    made.ca("lower", "upper", P256, CA);
    let shapes: [(&str, &[&str]); 5] = [
        ("root", &[]),
        ("upper", &["upper"]),
        ("lower", &["lower", "upper"]),
        ("lower", &["upper", "root", "lower"]),
        ("lower", &["lower", "lower", "upper", "upper"]),
    ];
    made.ca("issuer", "root", kind, CA);
    let keys = key_forms(&made, kind);
    for (above, intermediates) in shapes {
        made.sign_by("issuer", above, &format!("-sha256 -days {LONG}"), CA);
        made.istio("issuer", intermediates, "root");
        for key in &keys {
            made.write("bundle/ca-key.pem", key);
            let now = made.time_of("issuer");
            let loaded = load(&made.bundle(), now).unwrap();
            assert_eq!(rules(&loaded.report, Severity::Warning), [""; 0]);
            assert_peers_accept(&made, &loaded.generation, now);
        }
    }
}

#[test]
fn every_form_of_an_rsa_2048_bundle_signs() {
    every_form_of_key_and_chain_signs(RSA_2048);
}

#[test]
fn every_form_of_an_rsa_4096_bundle_signs() {
    every_form_of_key_and_chain_signs(RSA_4096);
}

#[test]
fn every_form_of_a_p256_bundle_signs() {
    every_form_of_key_and_chain_signs(P256);
}

#[test]
fn every_form_of_a_p384_bundle_signs() {
    every_form_of_key_and_chain_signs(P384);
}

#[test]
fn a_root_that_signs_itself_is_the_last_and_only_element_after_the_leaf() {
    let made = TestBundle::good();
    made.istio("root", &[], "root");
    let now = made.time_of("root");
    let generation = load(&made.bundle(), now).unwrap().generation;
    let leaf = leaf(&generation, now);
    let elements = generation.leaf_chain_pem(&leaf);
    assert_eq!(elements, [leaf.to_pem(), made.certificate("root").to_pem()]);
    assert!(generation.chain().is_empty());
    assert_peers_accept(&made, &generation, now);
}

#[test]
fn an_issuers_subject_is_kept_byte_for_byte() {
    for subject in [
        "/DC=com/DC=example/CN=ca",
        "/O=Test/OU=one/OU=two/CN=ca",
        "-multivalue-rdn -subj /O=a+O=b/CN=ca",
    ] {
        let made = TestBundle::good();
        let subject = match subject.starts_with('/') {
            true => format!("-subj {subject}"),
            false => subject.to_owned(),
        };
        made.csr("issuer", &subject);
        made.sign_by("issuer", "middle", &format!("-sha256 -days {LONG}"), CA);
        made.istio("issuer", &["middle"], "root");
        let now = made.time_of("issuer");
        let generation = load(&made.bundle(), now).unwrap().generation;
        let leaf = Certificate::from_der(leaf(&generation, now).der()).unwrap();
        let issuer = made.certificate("issuer");
        assert_eq!(leaf.facts().issuer_der, issuer.facts().subject_der);
        assert_peers_accept(&made, &generation, now);
    }
}

#[test]
fn a_good_bundle_is_described_in_order() {
    let made = TestBundle::good();
    let report = check(&made.bundle(), made.time_of("issuer"));
    assert_eq!((report.grade(), report.findings.len()), (Grade::Good, 0));
    let of = |name| Summary::of(&made.certificate(name));
    assert_eq!(report.chain, [of("issuer"), of("middle")]);
    assert_eq!(
        (report.issuer, report.root),
        (Some(of("issuer")), Some(of("root")))
    );
    assert_eq!(report.chain[0].key, "P-256");
}

#[test]
fn a_chain_goes_over_the_wire_leaf_first_and_all_roots_last() {
    let made = TestBundle::good();
    made.root("other", P256, CA);
    let roots = format!(
        "{}{}{}",
        made.read("other.pem"),
        made.read("root.pem"),
        made.read("root.pem")
    );
    made.write("bundle/root-cert.pem", roots);
    let now = made.time_of("other");
    let generation = load(&made.bundle(), now).unwrap().generation;
    let pem = |name| made.certificate(name).to_pem();
    let elements = generation.leaf_chain_pem(&leaf(&generation, now));
    assert_eq!(
        elements[1..],
        [pem("issuer"), pem("middle"), pem("root") + &pem("other")]
    );
}

#[test]
fn a_chain_that_only_rustls_refuses_says_so_on_its_generation() {
    let made = TestBundle::good();
    let constrained = format!("{CA}nameConstraints=permitted;URI:cluster.local\n");
    made.sign_by(
        "issuer",
        "middle",
        &format!("-sha256 -days {LONG}"),
        &constrained,
    );
    made.istio("issuer", &["middle"], "root");
    let generation = load(&made.bundle(), made.time_of("issuer"))
        .unwrap()
        .generation;
    assert!(generation.rustls_refuses().is_some());
    trial::sign_and_verify(&generation, made.time_of("issuer"), &SystemEntropy).unwrap();
}

#[test]
fn an_expired_chain_loads_and_says_since_when() {
    let made = TestBundle::good();
    made.sign_by("issuer", "middle", "-sha256 -days 10", CA);
    made.istio("issuer", &["middle"], "root");
    let not_after = made.certificate("issuer").facts().not_after;
    let now = not_after + Duration::from_secs(60);
    let loaded = load(&made.bundle(), now).unwrap();
    assert_eq!(loaded.expired, Some(not_after));
    assert_eq!(rules(&loaded.report, Severity::Error), ["expired"]);
    let soon = check(&made.bundle(), made.time_of("issuer"));
    assert_eq!(rules(&soon, Severity::Warning), ["expires-soon"]);
}

#[test]
fn a_chain_that_is_not_valid_yet_does_not_load() {
    let made = TestBundle::good();
    let before = made.time_of("root") - Duration::from_secs(2 * 60 * 60);
    let report = check(&made.bundle(), before);
    assert_eq!(rules(&report, Severity::Error), ["not-yet-valid"]);
    assert!(load(&made.bundle(), before).is_err());
}

#[test]
fn the_names_of_a_kubernetes_secret_load_too() {
    let made = TestBundle::good();
    let chain = made.read("bundle/cert-chain.pem");
    std::fs::remove_dir_all(made.bundle()).unwrap();
    assert_eq!(detect(&made.bundle()).unwrap(), Presence::Absent);
    std::fs::create_dir(made.bundle()).unwrap();
    made.write("bundle/tls.crt", chain);
    made.write("bundle/tls.key", made.read("issuer.key"));
    let missing = vec!["ca.crt"];
    let layout = Layout::KubernetesTls;
    assert_eq!(
        detect(&made.bundle()).unwrap(),
        Presence::Incomplete { layout, missing }
    );
    made.write("bundle/ca.crt", made.read("root.pem"));
    assert_eq!(detect(&made.bundle()).unwrap(), Presence::Complete(layout));
    let now = made.time_of("issuer");
    let loaded = load(&made.bundle(), now).unwrap();
    assert_eq!(loaded.report.grade(), Grade::Good);
    assert_peers_accept(&made, &loaded.generation, now);
}

#[test]
fn editors_traces_in_the_files_do_no_harm() {
    let made = TestBundle::good();
    for file in [
        "ca-cert.pem",
        "ca-key.pem",
        "cert-chain.pem",
        "root-cert.pem",
    ] {
        let file = format!("bundle/{file}");
        let text = made.read(&file).replace('\n', "\r\n");
        made.write(&file, format!("\u{feff}# made by hand\r\n{text}\r\n\r\n  "));
    }
    let loaded = load(&made.bundle(), made.time_of("issuer")).unwrap();
    assert_eq!(loaded.report.grade(), Grade::Good);
}

#[test]
fn an_encrypted_key_is_refused_with_the_command_that_decrypts_it() {
    let made = TestBundle::good();
    for form in ["-aes256", "-aes256 -traditional"] {
        made.openssl(&format!(
            "pkey -in issuer.key {form} -passout pass:secret -out locked.key"
        ));
        made.write("bundle/ca-key.pem", made.read("locked.key"));
        let error = load(&made.bundle(), made.time_of("issuer"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("openssl pkey -in ca-key.pem -out"),
            "{form}: {error}"
        );
    }
}

#[test]
fn a_report_goes_to_json_with_stable_words() {
    let made = TestBundle::good();
    made.remove("bundle/cert-chain.pem");
    let report = check(&made.bundle(), made.time_of("issuer"));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["layout"], "istio");
    assert_eq!(json["findings"][0]["severity"], "error");
    assert_eq!(json["findings"][0]["rule"], "complete");
    assert_eq!(json["findings"][0]["file"], "cert-chain.pem");
}

#[test]
fn a_whole_chain_among_the_roots_is_anchored_by_its_root_alone() {
    let made = TestBundle::good();
    let all = ["issuer", "middle", "root"].map(|name| made.read(&format!("{name}.pem")));
    made.write("bundle/root-cert.pem", all.concat());
    let loaded = load(&made.bundle(), made.time_of("issuer")).unwrap();
    assert_eq!(loaded.generation.roots(), [made.certificate("root")]);
    assert_eq!(loaded.generation.chain().len(), 2);
    assert_eq!(
        rules(&loaded.report, Severity::Warning),
        ["only-roots-among-roots"]
    );
}

#[test]
fn of_two_roots_with_one_key_the_one_that_is_still_valid_anchors() {
    let made = TestBundle::good();
    made.sign("root", "-signkey root.key -sha256 -days 10", CA);
    made.openssl("x509 -in root.pem -out old.pem");
    made.sign(
        "root",
        &format!("-signkey root.key -sha256 -days {LONG}"),
        CA,
    );
    made.write(
        "bundle/root-cert.pem",
        made.read("old.pem") + &made.read("root.pem"),
    );
    let later = made.time_of("root") + Duration::from_secs(20 * 24 * 60 * 60);
    let loaded = load(&made.bundle(), later).unwrap();
    assert_eq!(
        (loaded.generation.root(), loaded.expired),
        (&made.certificate("root"), None)
    );
}

#[test]
fn an_issuer_named_in_other_string_types_is_explained() {
    let made = TestBundle::good();
    let config = "[req]\nstring_mask=nombstr\ndistinguished_name=dn\n[dn]\n";
    made.write("config", config);
    made.openssl("req -new -config config -key middle.key -subj /O=Test/CN=middle -out middle.csr");
    made.sign_by("middle", "root", &format!("-sha256 -days {LONG}"), CA);
    made.istio("issuer", &["middle"], "root");
    let report = check(&made.bundle(), made.time_of("middle"));
    let seen = &report.errors().next().unwrap().seen;
    assert!(seen.contains("other string types"), "{report:#?}");
}

#[test]
fn a_kubernetes_volume_is_read_as_of_one_moment() {
    let made = TestBundle::good();
    let dir = made.bundle();
    std::fs::create_dir(dir.join("..moment")).unwrap();
    std::os::unix::fs::symlink("..moment", dir.join("..data")).unwrap();
    for file in [
        "ca-cert.pem",
        "ca-key.pem",
        "cert-chain.pem",
        "root-cert.pem",
    ] {
        std::fs::rename(dir.join(file), dir.join("..moment").join(file)).unwrap();
        // As if the kubelet had already renamed the link: what is read through it is of another moment.
        std::fs::write(dir.join(file), "of another moment").unwrap();
    }
    let loaded = load(&dir, made.time_of("issuer")).unwrap();
    assert_eq!(loaded.report.grade(), Grade::Good);
    assert_eq!(loaded.generation.source(), &Source::PluggedIn { dir });
}
