//! What can be wrong with a bundle, one thing at a time, and under which rule it is reported.

use super::*;

type Spoil = fn(&TestBundle);

/// Each entry makes one thing wrong with a good bundle; the errors that must come of it, and no others.
const REFUSALS: &[(&str, Spoil, &[&str])] = &[
    (
        "missing chain",
        |b| b.remove("bundle/cert-chain.pem"),
        &["complete"],
    ),
    (
        "missing key and root",
        |b| {
            b.remove("bundle/ca-key.pem");
            b.remove("bundle/root-cert.pem");
        },
        &["complete"],
    ),
    (
        "empty directory",
        |b| {
            for file in ["ca-cert", "ca-key", "cert-chain", "root-cert"] {
                b.remove(&format!("bundle/{file}.pem"));
            }
        },
        &["present"],
    ),
    (
        "a directory for a file",
        |b| {
            b.remove("bundle/cert-chain.pem");
            std::fs::create_dir(b.bundle().join("cert-chain.pem")).unwrap();
        },
        &["anchored", "regular-file"],
    ),
    (
        "empty roots",
        |b| b.write("bundle/root-cert.pem", ""),
        &["anchored", "not-empty"],
    ),
    (
        "huge chain",
        |b| b.write("bundle/cert-chain.pem", vec![b' '; 1024 * 1024 + 1]),
        &["anchored", "size"],
    ),
    (
        "no block",
        |b| b.write("bundle/root-cert.pem", "nothing"),
        &["anchored", "has-certificate"],
    ),
    (
        "DER",
        |b| {
            b.openssl("x509 -in root.pem -outform der -out bundle/root-cert.pem");
        },
        &["anchored", "has-certificate"],
    ),
    (
        "block cut off",
        |b| {
            let cut: String = b.read("root.pem").chars().take(200).collect();
            b.write("bundle/root-cert.pem", cut);
        },
        &["anchored", "certificate-parses"],
    ),
    (
        "another's key",
        |b| {
            b.key("other", P256);
            b.write("bundle/ca-key.pem", b.read("other.key"));
        },
        &["key-matches-certificate"],
    ),
    (
        "another RSA key",
        |b| {
            b.key("other", RSA_2048);
            b.ca("issuer", "middle", RSA_2048, CA);
            b.istio("issuer", &["middle"], "root");
            b.write("bundle/ca-key.pem", b.read("other.key"));
        },
        &["key-matches-certificate"],
    ),
    (
        "the root's key",
        |b| b.write("bundle/ca-key.pem", b.read("root.key")),
        &["key-matches-certificate"],
    ),
    (
        "certificate for a key",
        |b| b.write("bundle/ca-key.pem", b.read("issuer.pem")),
        &["key-parses"],
    ),
    (
        "two keys",
        |b| {
            b.write(
                "bundle/ca-key.pem",
                b.read("issuer.key") + &b.read("root.key"),
            );
        },
        &["key-parses"],
    ),
    (
        "Ed25519",
        |b| reissue_for(b, "-algorithm ED25519"),
        &["supported-key"],
    ),
    (
        "P-521",
        |b| reissue_for(b, "-algorithm EC -pkeyopt ec_paramgen_curve:P-521"),
        &["supported-key"],
    ),
    (
        "RSA-1024",
        |b| reissue_for(b, "-algorithm RSA -pkeyopt rsa_keygen_bits:1024"),
        &["supported-key", "weak-key"],
    ),
    (
        "leaf as issuer",
        |b| reissue(b, "basicConstraints=critical,CA:FALSE\n"),
        &["is-ca"],
    ),
    (
        "no basicConstraints",
        |b| reissue(b, "subjectKeyIdentifier=hash\n"),
        &["is-ca"],
    ),
    (
        "no subject",
        |b| {
            b.csr("issuer", "-subj /");
            reissue(b, CA);
        },
        &["has-subject"],
    ),
    (
        "no keyCertSign",
        |b| reissue(b, &CA.replace("keyCertSign", "digitalSignature")),
        &["key-cert-sign"],
    ),
    (
        "critical unknown",
        |b| reissue(b, &format!("{CA}1.2.3.4=critical,DER:0500\n")),
        &["unknown-critical-extension"],
    ),
    (
        "EKU for code",
        |b| reissue(b, &format!("{CA}extendedKeyUsage=codeSigning\n")),
        &["extended-key-usage"],
    ),
    (
        "path length",
        |b| {
            resign(
                b,
                "middle",
                "root",
                "-sha256",
                &CA.replace("TRUE", "TRUE,pathlen:0"),
            );
        },
        &["path-length"],
    ),
    (
        "root's path length",
        |b| {
            b.sign(
                "root",
                &format!("-signkey root.key -days {LONG}"),
                &CA.replace("TRUE", "TRUE,pathlen:1"),
            );
            resign(b, "middle", "root", "-sha256", CA);
        },
        &["path-length"],
    ),
    (
        "SHA-1",
        |b| resign(b, "issuer", "middle", "-sha1", CA),
        &["signature-algorithm"],
    ),
    (
        "weak intermediate",
        |b| {
            b.ca(
                "middle",
                "root",
                "-algorithm RSA -pkeyopt rsa_keygen_bits:1024",
                CA,
            );
            reissue(b, CA);
        },
        &["weak-key"],
    ),
    (
        "intermediate missing",
        |b| b.istio("issuer", &[], "root"),
        &["anchored"],
    ),
    (
        "root not trusted",
        |b| {
            b.root("other", P256, CA);
            b.istio("issuer", &["middle", "root"], "other");
        },
        &["anchored"],
    ),
    (
        "root with another key",
        |b| {
            b.root("root", P256, CA);
            b.write("bundle/root-cert.pem", b.read("root.pem"));
        },
        &["signature"],
    ),
    (
        "intermediate as root",
        |b| b.istio("issuer", &[], "middle"),
        &["root-self-signed"],
    ),
    (
        "leaf among roots",
        |b| {
            b.ca("leaf", "root", P256, "basicConstraints=CA:FALSE\n");
            b.write(
                "bundle/root-cert.pem",
                b.read("root.pem") + &b.read("leaf.pem"),
            );
        },
        &["is-ca"],
    ),
];

fn reissue(made: &TestBundle, extensions: &str) {
    resign(made, "issuer", "middle", "-sha256", extensions);
}

fn reissue_for(made: &TestBundle, kind: &str) {
    made.ca("issuer", "middle", kind, CA);
    made.istio("issuer", &["middle"], "root");
}

fn resign(made: &TestBundle, name: &str, issuer: &str, hash: &str, extensions: &str) {
    made.sign_by(name, issuer, &format!("{hash} -days {LONG}"), extensions);
    made.istio("issuer", &["middle"], "root");
}

#[test]
fn every_broken_rule_is_an_error_under_its_own_name() {
    for (what, spoil, expected) in REFUSALS {
        let made = TestBundle::good();
        spoil(&made);
        let now = made.time_of("issuer");
        let report = check(&made.bundle(), now);
        assert_eq!(
            rules(&report, Severity::Error),
            *expected,
            "{what}: {report:#?}"
        );
        assert_eq!(report.grade(), Grade::Errors, "{what}");
        assert!(load(&made.bundle(), now).is_err(), "{what}");
    }
}

/// Each entry makes something of a good bundle that works but should be known.
const WARNINGS: &[(&str, Spoil, &[&str])] = &[
    (
        "key for all",
        |b| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            std::fs::set_permissions(b.bundle().join("ca-key.pem"), mode).unwrap();
        },
        &["key-permissions"],
    ),
    (
        "no SKI, AKI, keyUsage",
        |b| {
            reissue(
                b,
                "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n",
            );
        },
        &[
            "has-authority-key-id",
            "has-key-usage",
            "has-subject-key-id",
        ],
    ),
    (
        "root with SHA-1",
        |b| {
            b.key("root", RSA_2048);
            b.csr("root", "-subj /O=Test/CN=root");
            b.sign("root", &format!("-signkey root.key -sha1 -days {LONG}"), CA);
            b.sign_by("middle", "root", &format!("-days {LONG}"), CA);
            b.istio("issuer", &["middle"], "root");
        },
        &["root-signature-algorithm"],
    ),
    (
        "name constraints",
        |b| {
            reissue(
                b,
                &format!("{CA}nameConstraints=permitted;URI:cluster.local\n"),
            );
        },
        &["name-constraints", "trial-leaf"],
    ),
    (
        "critical policy",
        |b| {
            reissue(b, &format!("{CA}certificatePolicies=critical,1.2.3.4\n"));
        },
        &["critical-policy-extension", "trial-leaf"],
    ),
    (
        "issuer second",
        |b| {
            b.write(
                "bundle/ca-cert.pem",
                b.read("middle.pem") + &b.read("issuer.pem"),
            );
        },
        &["issuer-first"],
    ),
    (
        "stranger in the chain",
        |b| {
            b.root("stranger", P256, CA);
            b.write(
                "bundle/cert-chain.pem",
                b.read("issuer.pem") + &b.read("stranger.pem") + &b.read("middle.pem"),
            );
        },
        &["needed-for-the-chain"],
    ),
    (
        "issuer not in the chain",
        |b| b.write("bundle/cert-chain.pem", b.read("middle.pem")),
        &["chain-file-complete"],
    ),
    (
        "second root",
        |b| {
            b.root("other", P256, CA);
            b.write(
                "bundle/root-cert.pem",
                b.read("other.pem") + &b.read("root.pem"),
            );
        },
        &["unused-root"],
    ),
    (
        "key in the chain",
        |b| {
            b.write(
                "bundle/cert-chain.pem",
                b.read("bundle/cert-chain.pem") + &b.read("issuer.key"),
            );
        },
        &["no-private-key-among-certificates"],
    ),
    (
        "both kinds of names",
        |b| {
            b.write("bundle/tls.crt", b.read("bundle/cert-chain.pem"));
            b.write("bundle/tls.key", b.read("issuer.key"));
            b.write("bundle/ca.crt", b.read("root.pem"));
        },
        &["one-naming-scheme"],
    ),
];

#[test]
fn what_works_but_should_be_known_is_a_warning_and_the_bundle_loads() {
    for (what, change, expected) in WARNINGS {
        let made = TestBundle::good();
        change(&made);
        let loaded = load(&made.bundle(), made.time_of("issuer")).unwrap();
        let report = loaded.report;
        assert_eq!(
            rules(&report, Severity::Warning),
            *expected,
            "{what}: {report:#?}"
        );
        assert_eq!(report.grade(), Grade::Warnings, "{what}");
    }
}
