//! What is refused, with which words, and that nothing is left of it.

use std::path::Path;

use tests::openssl::shell;

use super::EAST;
use super::IMPORT;
use super::KEY_IDS;
use super::ROOT;
use super::corporate;
use super::done;
use super::everything_in;
use super::run;

/// What it is, the shell that makes it, and the parts of the answer.
type Spoilt = (&'static str, &'static str, &'static [&'static str]);

/// As [`run`], for what is refused with exit status 1 and leaves `dir` as it was. Answers what it says.
pub(super) fn refused(dir: &Path, line: &str) -> String {
    let before = everything_in(dir);
    let output = run(dir, line);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{line}: {output:?}");
    assert_eq!(everything_in(dir), before, "{line}: {said}");
    said
}

/// Runs `line` in copies of `good`, spoilt one by one.
fn each_is_refused(good: &Path, line: &str, spoilt: &[Spoilt]) {
    for (what, spoil, says) in spoilt {
        let dir = tempfile::tempdir().unwrap();
        shell(good, &format!("cp -r . {}", dir.path().display()));
        shell(dir.path(), spoil);
        let said = refused(dir.path(), line);
        for part in *says {
            assert!(said.contains(part), "{what}: {part} in {said}");
        }
    }
}

#[test]
fn an_answer_that_would_not_work_is_refused_by_file_and_reason_and_nothing_is_left() {
    let good = corporate("copyall", "-days 1000", KEY_IDS);
    each_is_refused(good.path(), IMPORT, SPOILT_ANSWERS);
}

#[test]
fn an_answer_that_is_no_ca_or_is_over_is_refused_as_the_check_grades_it() {
    let ca =
        format!("basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign\\n{KEY_IDS}");
    let leaf =
        format!("basicConstraints=critical,CA:FALSE\\nkeyUsage=digitalSignature\\n{KEY_IDS}");
    let server = format!("extendedKeyUsage=serverAuth\\n{ca}");
    for (days, extensions, rule) in [
        ("-days 1000", &leaf, "is-ca"),
        (
            "-startdate 20200101000000Z -enddate 20200103000000Z",
            &ca,
            "expired",
        ),
        (
            "-startdate 29990101000000Z -enddate 29990103000000Z",
            &ca,
            "not-yet-valid",
        ),
        ("-days 1000", &server, "extended-key-usage"),
    ] {
        let dir = corporate("none", days, extensions);
        let said = refused(dir.path(), IMPORT);
        assert!(
            said.contains(&format!("({rule})")) && said.contains("CN=Mesh"),
            "{rule}: {said}"
        );
        let printed = run(dir.path(), &format!("{IMPORT} --output json")).stdout;
        let report: serde_json::Value = serde_json::from_slice(&printed).unwrap();
        let findings = report["findings"].as_array().unwrap();
        assert!(
            findings.iter().any(|finding| finding["rule"] == rule),
            "{report:#}"
        );
        assert_eq!(report["dir"], "east");
    }
}

#[test]
fn a_root_that_cannot_sign_is_refused_by_file_and_reason_and_nothing_is_left() {
    let good = tempfile::tempdir().unwrap();
    done(good.path(), ROOT);
    done(good.path(), "bundle create root --out other");
    each_is_refused(good.path(), EAST, SPOILT_ROOTS);
}

#[test]
fn what_cannot_be_in_a_certificate_is_refused_and_bad_usage_exits_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(65);
    for (line, says) in [
        (
            format!("{ROOT} --common-name {long}"),
            "expected 1 to 55 printable characters, seen 65",
        ),
        (
            format!("{ROOT} --organization {long}"),
            "expected 1 to 64 printable characters",
        ),
        (format!("{ROOT} --common-name a\u{7}b"), "control character"),
        (
            format!("{ROOT} --ttl 5m"),
            "at least an hour and at most 36525 days, asked was 5m",
        ),
        (format!("{ROOT} --ttl 99999999999d"), "at most 36525 days"),
        (
            "bundle create root --out /proc/signet".to_owned(),
            "cannot write /proc",
        ),
        (
            "bundle create root --out .".to_owned() + "/a/..",
            "cannot write",
        ),
    ] {
        let said = refused(dir.path(), &line);
        assert!(said.contains(says), "{line}: {said}");
    }
    for line in [
        &format!("{ROOT} --key-type dsa"),
        "bundle create root",
        "bundle create",
    ] {
        assert_eq!(run(dir.path(), line).status.code(), Some(2), "{line}");
    }
}

/// What may come back, or be there, instead of a good answer.
const SPOILT_ANSWERS: &[Spoilt] = &[
    (
        "another key",
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out request/ca-key.pem",
        &[
            "answer.pem is not the answer to the request of request/ca-key.pem",
            "CN=Mesh",
            "openssl pkey",
        ],
    ),
    (
        "the wrong file",
        "cp middle.pem answer.pem",
        &["answer.pem is not the answer", "CN=middle"],
    ),
    (
        "no chain",
        "cp corp.pem chain.pem",
        &["CN=middle", "not in the bundle", "(anchored)"],
    ),
    (
        "another root",
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=Corp2 -keyout k -out corp.pem",
        &["CN=Corp", "(anchored)"],
    ),
    (
        "half an answer",
        "head -c 500 answer.pem > half; mv half answer.pem",
        &[
            "answer.pem has a certificate that cannot be read",
            "block 1",
        ],
    ),
    (
        "half a chain",
        "head -c 1000 chain.pem > half; mv half chain.pem",
        &["chain.pem has a certificate that cannot be read: block 2"],
    ),
    (
        "half a key",
        "head -c 150 request/ca-key.pem > half; mv half request/ca-key.pem",
        &["private key in request/ca-key.pem cannot be used"],
    ),
    (
        "an empty answer",
        ": > answer.pem",
        &["answer.pem has no certificate", "an empty file"],
    ),
    (
        "no answer",
        "rm answer.pem",
        &["cannot read answer.pem: No such file"],
    ),
    (
        "a directory",
        "rm answer.pem; mkdir answer.pem",
        &["answer.pem: it is not a regular file"],
    ),
    (
        "the request",
        "cp request/ca.csr answer.pem",
        &["CERTIFICATE REQUEST", "have the corporate CA sign it"],
    ),
    (
        "PKCS#7",
        "openssl crl2pkcs7 -nocrl -certfile answer.pem -out p7; mv p7 answer.pem",
        &["PKCS7", "openssl pkcs7"],
    ),
    (
        "PKCS#7 in DER",
        "openssl crl2pkcs7 -nocrl -certfile answer.pem -outform der -out p7; mv p7 answer.pem",
        &["answer.pem", "openssl pkcs7"],
    ),
    (
        "an encrypted key",
        "openssl pkcs8 -topk8 -in request/ca-key.pem -passout pass:x -out k; mv k request/ca-key.pem",
        &[
            "request/ca-key.pem",
            "encrypted",
            "openssl pkey -in request/ca-key.pem",
        ],
    ),
    (
        "a place that is taken",
        "mkdir east; touch east/ca-cert.pem",
        &["east is taken: found ca-cert.pem", "nothing is overwritten"],
    ),
];

/// What may be in place of a good root.
const SPOILT_ROOTS: &[Spoilt] = &[
    ("no root", "rm -r root", &["cannot read root/root-cert.pem"]),
    (
        "no key",
        "rm root/root-key.pem",
        &["cannot read root/root-key.pem"],
    ),
    (
        "another key",
        "cp other/root-key.pem root",
        &["root/root-key.pem", "not that of the certificate"],
    ),
    (
        "half a key",
        "head -c 100 other/root-key.pem > root/root-key.pem",
        &["root/root-key.pem"],
    ),
    (
        "half a root",
        "head -c 300 other/root-cert.pem > root/root-cert.pem",
        &["root/root-cert.pem has a certificate that cannot be read"],
    ),
    (
        "no CA",
        "openssl req -x509 -key root/root-key.pem -subj /CN=x -addext basicConstraints=critical,CA:FALSE -days 900 -out root/root-cert.pem",
        &["CN=x", "(is-ca)"],
    ),
    (
        "no keyCertSign",
        "openssl req -x509 -key root/root-key.pem -subj /CN=x -addext keyUsage=digitalSignature -days 900 -out root/root-cert.pem",
        &["key"],
    ),
    (
        "a name with two domain components",
        "openssl req -x509 -key root/root-key.pem -subj /DC=corp/DC=acme/CN=x -days 900 -out root/root-cert.pem",
        &["DC=corp", "bundle import"],
    ),
    (
        "a taken place",
        "mkdir east; touch east/.keep",
        &["east is taken: found .keep"],
    ),
    (
        "a file in its place",
        "touch east",
        &["east is taken: found something that is not a directory"],
    ),
    (
        "a dangling link in its place",
        "ln -s nowhere east",
        &["cannot write east"],
    ),
];
