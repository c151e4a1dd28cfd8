//! `bundle create` and `bundle import`: an operator's way to a CA, judged by openssl.

#![expect(clippy::unwrap_used, reason = "tests")]

mod refusals;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::time::Duration;

use proto::certificate::Certificate;
use tempfile::TempDir;
use tests::CART;
use tests::binaries::binaries;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::openssl::shell;

use self::refusals::refused;

const ROOT: &str = "bundle create root --out root";
const EAST: &str = "bundle create issuer --root root --name east --out east";
const CSR: &str = "bundle create csr --common-name Mesh --out request";
const IMPORT: &str = "bundle import --csr-dir request --certificate answer.pem --chain chain.pem --roots corp.pem --out east";

/// Runs `ca-server` with the words of `line` in `dir`.
fn run(dir: &Path, line: &str) -> Output {
    let mut command = Command::new(&binaries().ca_server);
    command.args(line.split_whitespace()).current_dir(dir);
    command.output().unwrap()
}

/// As [`run`], for what works.
fn done(dir: &Path, line: &str) -> String {
    let output = run(dir, line);
    assert_eq!(output.status.code(), Some(0), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Names, modes and contents.
fn everything_in(dir: &Path) -> String {
    let list = "find . ! -type f -printf '%p %m %y\\n' | sort; find . -type f | sort | xargs -r -d '\\n' sha256sum";
    shell(dir, list)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn certificates(path: &Path) -> Vec<Certificate> {
    Certificate::all_from_pem(&fs::read(path).unwrap()).unwrap()
}

fn text(dir: &Path, file: &str) -> String {
    shell(dir, &format!("openssl x509 -noout -text -in {file}"))
}

/// Serves from the bundle `east`, fetches with the real client, and lets openssl judge the leaf by `root` alone.
fn openssl_accepts_a_leaf_of(dir: &Path, root: &str) {
    let ca = TestCa::start_with(Setup {
        root_ca_dir: Some(dir.join("east")),
        ..Setup::default()
    });
    fs::write(dir.join("token"), ca.token(CART)).unwrap();
    let fetched = Command::new(&binaries().ca_client)
        .args(["fetch", "--ca-addr", &ca.grpc.to_string()])
        .args([
            "--ca-roots",
            root,
            "--token-file",
            "token",
            "--out",
            "certs",
        ])
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(fetched.status.success(), "{fetched:?}");
    for purpose in ["sslserver", "sslclient"] {
        let verify = format!(
            "openssl verify -x509_strict -purpose {purpose} -CAfile {root} -untrusted certs/cert-chain.pem certs/cert-chain.pem"
        );
        assert_eq!(shell(dir, &verify), "certs/cert-chain.pem: OK\n");
    }
}

#[test]
fn openssl_takes_an_offline_root_for_what_it_is() {
    for (kind, curve) in [("p256", "prime256v1"), ("p384", "secp384r1")] {
        let dir = tempfile::tempdir().unwrap();
        let more = "--ttl 100d --organization Acme --common-name Mesh-Root --key-type";
        let said = done(dir.path(), &format!("{ROOT} {more} {kind}"));
        assert!(
            said.contains("next: ca-server bundle create issuer --root root"),
            "{said}"
        );
        assert_eq!(
            names(&dir.path().join("root")),
            ["root-cert.pem", "root-key.pem"]
        );
        assert_eq!(mode(&dir.path().join("root/root-key.pem")), 0o600);
        let text = text(dir.path(), "root/root-cert.pem");
        for part in [
            curve,
            "Subject: O = Acme, CN = Mesh-Root ",
            "CA:TRUE",
            "Certificate Sign, CRL Sign",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let verify = "openssl verify -x509_strict -CAfile root/root-cert.pem root/root-cert.pem";
        assert_eq!(shell(dir.path(), verify), "root/root-cert.pem: OK\n");
        let keys = "diff <(openssl x509 -in root/root-cert.pem -noout -pubkey) <(openssl pkey -in root/root-key.pem -pubout)";
        assert_eq!(shell(dir.path(), keys), "");
        let facts = certificates(&dir.path().join("root/root-cert.pem")).remove(0);
        let facts = facts.facts();
        let life = facts.not_after.duration_since(facts.not_before).unwrap();
        // Half an hour of it is in the past, for clocks that are behind.
        assert_eq!(life, Duration::from_secs(100 * 24 * 60 * 60 + 30 * 60));
    }
}

#[test]
fn no_two_roots_and_no_two_issuers_share_a_subject() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), ROOT);
    done(dir.path(), "bundle create root --out other");
    done(dir.path(), EAST);
    done(
        dir.path(),
        "bundle create issuer --root root --name east --out again",
    );
    let files = [
        "root/root-cert.pem",
        "other/root-cert.pem",
        "east/ca-cert.pem",
        "again/ca-cert.pem",
    ];
    let mut subjects = files
        .map(|file| {
            certificates(&dir.path().join(file))
                .remove(0)
                .facts()
                .subject
                .clone()
        })
        .to_vec();
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), 4, "{subjects:?}");
}

#[test]
fn an_issuing_ca_is_exactly_four_good_files_that_serve_leaves_openssl_accepts() {
    let dir = tempfile::tempdir().unwrap();
    done(
        dir.path(),
        &format!("{ROOT} --organization Acme --key-type p384"),
    );
    let said = done(dir.path(), &format!("{EAST} --trust-domain cluster.local"));
    assert!(said.contains("good: the bundle in east works"), "{said}");
    let east = dir.path().join("east");
    assert_eq!(
        names(&east),
        [
            "ca-cert.pem",
            "ca-key.pem",
            "cert-chain.pem",
            "root-cert.pem"
        ]
    );
    assert_eq!(mode(&east.join("ca-key.pem")), 0o600);
    done(dir.path(), "bundle check east");
    let text = text(dir.path(), "east/ca-cert.pem");
    for part in [
        "O = Acme, CN = east Issuing CA ",
        "CA:TRUE, pathlen:0",
        "URI:spiffe://cluster.local",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let chain = [
        certificates(&east.join("ca-cert.pem")),
        certificates(&east.join("root-cert.pem")),
    ]
    .concat();
    assert_eq!(certificates(&east.join("cert-chain.pem")), chain);
    openssl_accepts_a_leaf_of(dir.path(), "root/root-cert.pem");
}

#[test]
fn an_issuing_ca_lives_no_longer_than_its_root() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &format!("{ROOT} --ttl 90d"));
    done(dir.path(), EAST);
    let end = |file: &str| {
        certificates(&dir.path().join(file))
            .remove(0)
            .facts()
            .not_after
    };
    assert_eq!(end("east/ca-cert.pem"), end("root/root-cert.pem"));
    let said = refused(
        dir.path(),
        "bundle create issuer --root root --name west --out west --ttl 91d",
    );
    assert!(
        said.contains("root/root-cert.pem ends at") && said.contains("shorter --ttl"),
        "{said}"
    );
    done(
        dir.path(),
        "bundle create issuer --root root --name west --out west --ttl 89d",
    );
}

/// A corporate root of RSA, two CAs under it (in `chain.pem`, the upper one first), and the answer of the lower one to
/// a request, with `days` and `extensions`. `copy` is what becomes of the extensions that the request asks for:
/// `copyall` or `none`.
fn corporate(copy: &str, days: &str, extensions: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    done(
        dir.path(),
        &format!("{CSR} --organization Acme --key-type p384"),
    );
    let script = format!(
        "printf 'basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign,cRLSign\\n{KEY_IDS}' > ca.ext
         touch index.txt; printf '{extensions}' > answer.ext
         printf '[ca]\\ndefault_ca=c\\n[c]\\ndatabase=index.txt\\nrand_serial=yes\\nnew_certs_dir=.\\ndefault_md=sha256\\npolicy=p\\nunique_subject=no\\ncopy_extensions={copy}\\n[p]\\ncommonName=supplied\\norganizationName=optional\\n' > ca.cnf
         sign() {{ openssl ca -batch -config ca.cnf -notext \"$@\"; }}
         long='-startdate 20190101000000Z -enddate 21190101000000Z -extfile ca.ext'
         openssl req -new -newkey rsa:2048 -nodes -subj /O=Acme/CN=Corp -keyout corp.key -out corp.csr
         sign -selfsign -keyfile corp.key -in corp.csr $long -out corp.pem
         above=corp; for ca in upper middle; do
           openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $ca.key
           openssl req -new -key $ca.key -subj /O=Acme/CN=$ca -out $ca.csr
           sign -cert $above.pem -keyfile $above.key -in $ca.csr $long -out $ca.pem
           above=$ca
         done
         cat upper.pem middle.pem > chain.pem
         sign -cert middle.pem -keyfile middle.key -in request/ca.csr -extfile answer.ext {days} -out answer.pem"
    );
    shell(dir.path(), &script);
    dir
}

/// What a request does not ask for, and a CA adds.
const KEY_IDS: &str = "subjectKeyIdentifier=hash\\nauthorityKeyIdentifier=keyid\\n";

#[test]
fn a_corporate_ca_that_grants_what_the_request_asks_for_makes_a_bundle_that_serves() {
    let dir = corporate("copyall", "-days 1000", KEY_IDS);
    let request = shell(
        dir.path(),
        "openssl req -in request/ca.csr -verify -noout -text",
    );
    for part in [
        "verify OK",
        "Subject: O = Acme, CN = Mesh",
        "CA:TRUE, pathlen:0",
        "Certificate Sign, CRL Sign",
    ] {
        assert!(request.contains(part), "{part} in {request}");
    }
    assert_eq!(names(&dir.path().join("request")), ["ca-key.pem", "ca.csr"]);
    assert_eq!(mode(&dir.path().join("request/ca-key.pem")), 0o600);
    let said = done(dir.path(), IMPORT);
    assert!(said.contains("good: the bundle in east works"), "{said}");
    let east = dir.path().join("east");
    assert_eq!(
        names(&east),
        [
            "ca-cert.pem",
            "ca-key.pem",
            "cert-chain.pem",
            "root-cert.pem"
        ]
    );
    assert_eq!(mode(&east.join("ca-key.pem")), 0o600);
    let chain = ["answer.pem", "middle.pem", "upper.pem", "corp.pem"]
        .map(|file| certificates(&dir.path().join(file)));
    assert_eq!(certificates(&east.join("cert-chain.pem")), chain.concat());
    openssl_accepts_a_leaf_of(dir.path(), "corp.pem");
}

#[test]
fn an_answer_in_any_shape_makes_the_same_bundle() {
    let dir = corporate("copyall", "-days 1000", KEY_IDS);
    done(dir.path(), IMPORT);
    let expected = everything_in(&dir.path().join("east"));
    for (what, prepare, line) in [
        (
            "all in one file, shuffled, with CRLF",
            "cat corp.pem upper.pem answer.pem middle.pem | sed 's/$/\\r/' > all.pem",
            "--certificate all.pem",
        ),
        (
            "DER",
            "for f in answer middle upper; do openssl x509 -in $f.pem -outform der -out $f.der; done; cat middle.der upper.der > chain.der",
            "--certificate answer.der --chain chain.der",
        ),
        (
            "the answer again in the chain",
            "cat middle.pem answer.pem corp.pem upper.pem > all.pem",
            "--certificate answer.pem --chain all.pem",
        ),
        (
            "text around it",
            "openssl x509 -in answer.pem -text > text.pem",
            "--certificate text.pem --chain chain.pem",
        ),
    ] {
        shell(dir.path(), &format!("rm -r east; {prepare}"));
        done(
            dir.path(),
            &format!("bundle import --csr-dir request --roots corp.pem --out east {line}"),
        );
        assert_eq!(everything_in(&dir.path().join("east")), expected, "{what}");
    }
}

#[test]
fn folders_above_are_made_and_an_empty_place_keeps_its_mode() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "bundle create root --out a/b/root");
    assert_eq!(mode(&dir.path().join("a/b/root")), 0o700);
    let refusal = refused(
        dir.path(),
        "bundle create issuer --root a/b/root --name east --ttl 1h --out c/d --trust-domain UPPER",
    );
    assert!(refusal.contains("--trust-domain"), "{refusal}");
    shell(dir.path(), "mkdir -m 750 real; ln -s real east");
    done(
        dir.path(),
        "bundle create issuer --root a/b/root --name east --out east",
    );
    assert_eq!(mode(&dir.path().join("real")), 0o750);
    assert_eq!(names(&dir.path().join("real")).len(), 4);
    assert_eq!(names(dir.path()), ["a", "east", "real"]);
}

#[test]
fn rsa_is_refused_with_openssl_commands_that_work() {
    let dir = tempfile::tempdir().unwrap();
    for (line, out) in [(ROOT, "root"), (CSR, "request"), (EAST, "east")] {
        let refused = run(dir.path(), &format!("{line} --key-type rsa"));
        assert_eq!(refused.status.code(), Some(2));
        let said = String::from_utf8(refused.stderr).unwrap();
        let commands = said.lines().filter_map(|line| line.strip_prefix("  "));
        let commands: Vec<String> = commands
            .map(|line| line.replace("DIR", out).replace("ROOT", "root"))
            .collect();
        assert!(commands.len() >= 2, "{said}");
        shell(dir.path(), &commands.join("\n"));
    }
    let import = "bundle import --csr-dir east --certificate east/answer.pem --roots root/root-cert.pem --out imported";
    done(dir.path(), import);
    let request = shell(dir.path(), "openssl req -in request/ca.csr -noout -text");
    assert!(request.contains("CA:TRUE, pathlen:0"), "{request}");
    // A root with an RSA key signs issuing CAs of the other kind.
    done(
        dir.path(),
        "bundle create issuer --root root --name mixed --out mixed",
    );
    let verify = "openssl verify -x509_strict -CAfile root/root-cert.pem mixed/ca-cert.pem imported/ca-cert.pem";
    assert_eq!(
        shell(dir.path(), verify),
        "mixed/ca-cert.pem: OK\nimported/ca-cert.pem: OK\n"
    );
}

#[test]
fn programs_read_what_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let json = |line: &str| -> serde_json::Value {
        serde_json::from_str(&done(dir.path(), &format!("{line} --output json"))).expect(line)
    };
    let root = json(ROOT);
    let fingerprint = certificates(&dir.path().join("root/root-cert.pem"))
        .remove(0)
        .fingerprint();
    assert_eq!(root["root"]["fingerprint"], fingerprint.to_string());
    assert_eq!(
        root["files"],
        serde_json::json!(["root-cert.pem", "root-key.pem"])
    );
    let issuer = json(EAST);
    assert_eq!(issuer["root"]["fingerprint"], fingerprint.to_string());
    assert_eq!(issuer["dir"], "east");
    let request = json(CSR);
    let file = fs::read_to_string(dir.path().join("request/ca.csr")).unwrap();
    assert_eq!(request["csr"], file.as_str());
    assert_eq!(request["ca_must_set"][0]["field"], "basicConstraints");
    for line in [ROOT, EAST, CSR] {
        let text = run(dir.path(), &format!("{line} --output json"));
        assert!(text.stdout.is_empty(), "{text:?}");
    }
}
