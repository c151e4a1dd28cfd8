//! What do `ca-client verify` and `ca-client inspect` do as processes: output, exit codes, absurd input?

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DistinguishedName;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose as Eku;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose as Usage;
use rcgen::SanType;
use rcgen::date_time_ymd;
use serde_json::Value;
use tempfile::TempDir;

const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";
const AT: [&str; 2] = ["--at", "2030-01-01T00:00:00Z"];

/// A directory with a root, an SVID below it, and both keys; good from 2025 to 2040.
struct Scene {
    dir: TempDir,
    leaf: rcgen::Certificate,
}

impl Scene {
    fn new() -> Self {
        Self::named("root")
    }

    fn named(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (root_key, leaf_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut root = CertificateParams::default();
        root.distinguished_name = DistinguishedName::new();
        root.distinguished_name.push(DnType::CommonName, name);
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![Usage::KeyCertSign];
        let mut leaf = CertificateParams::default();
        leaf.distinguished_name = DistinguishedName::new();
        leaf.subject_alt_names = vec![SanType::URI(CART.try_into().unwrap())];
        leaf.key_usages = vec![Usage::DigitalSignature];
        leaf.extended_key_usages = vec![Eku::ServerAuth, Eku::ClientAuth];
        for params in [&mut root, &mut leaf] {
            params.not_before = date_time_ymd(2025, 1, 1);
            params.not_after = date_time_ymd(2040, 1, 1);
        }
        let root_pem = root.self_signed(&root_key).unwrap().pem();
        let leaf = leaf
            .signed_by(&leaf_key, &Issuer::from_params(&root, &root_key))
            .unwrap();
        let scene = Self { dir, leaf };
        scene.write("roots.pem", &root_pem);
        scene.write("leaf.pem", scene.leaf.pem());
        scene.write("leaf.der", scene.leaf.der());
        scene.write("key.pem", leaf_key.serialize_pem());
        let both = leaf_key.serialize_pem() + &scene.leaf.pem();
        scene.write("combined.pem", &both);
        scene.write("empty.pem", "");
        let whole = scene.leaf.pem();
        let cut = whole.clone() + whole.split("-----END").next().unwrap_or_default();
        scene.write("cut.pem", cut);
        scene
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, args: &[&str], stdin: &[u8]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ca-client"));
        command.env_clear().current_dir(self.dir.path()).args(args);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It stops reading when it has seen too much.
        let _broken_pipe = child.stdin.take().unwrap().write_all(stdin);
        child.wait_with_output().unwrap()
    }

    fn verify(&self, args: &[&str]) -> Output {
        let head = ["verify", "--roots", "roots.pem"];
        self.run(&[&head, args].concat(), b"")
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--output", "json"]].concat(), b"");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn verify_exits_with_0_if_valid_3_if_not_1_if_unreadable_and_2_if_misunderstood() {
    let scene = Scene::new();
    let at = |rest: &[&'static str]| [&AT[..], rest].concat();
    let table = [
        (at(&["leaf.pem"]), 0),
        (at(&["leaf.der"]), 0),
        (at(&["combined.pem"]), 0),
        (
            at(&[
                "--spiffe-id",
                CART,
                "--trust-domain",
                "cluster.local",
                "leaf.pem",
            ]),
            0,
        ),
        (at(&["--profile", "pkix", "leaf.pem"]), 0),
        (vec!["--at", "2030-01-01T02:00:00+02:00", "leaf.pem"], 0),
        (vec!["--at", "2040-01-01T00:00:01Z", "leaf.pem"], 3),
        (vec!["--at", "1999-01-01T00:00:00Z", "leaf.pem"], 3),
        (at(&["--trust-domain", "elsewhere", "leaf.pem"]), 3),
        (
            at(&["--spiffe-id", "spiffe://cluster.local/x", "leaf.pem"]),
            3,
        ),
        (at(&["roots.pem"]), 3),
        (at(&["key.pem"]), 1),
        (at(&["empty.pem"]), 1),
        (at(&["cut.pem"]), 1),
        (at(&["missing.pem"]), 1),
        (at(&["."]), 1),
        (vec!["--at", "monday", "leaf.pem"], 2),
        (vec!["--at", "1960-01-01T00:00:00Z", "leaf.pem"], 2),
        (vec!["--at", "9999-12-31T23:59:59-01:00", "leaf.pem"], 2),
        (
            at(&["--profile", "pkix", "--trust-domain", "a", "leaf.pem"]),
            2,
        ),
        (at(&["--trust-domain", "A", "leaf.pem"]), 2),
        (at(&[]), 2),
    ];
    for (args, code) in table {
        let output = scene.verify(&args);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {}",
            stderr(&output)
        );
        assert_eq!(output.stdout.is_empty(), matches!(code, 1 | 2), "{args:?}");
    }
}

#[test]
fn verify_reads_standard_input() {
    let scene = Scene::new();
    let args = ["verify", "--roots", "roots.pem", AT[0], AT[1], "-"];
    let output = scene.run(&args, scene.leaf.der());
    assert!(
        stdout(&output).starts_with("verdict    valid\n"),
        "{}",
        stdout(&output)
    );
    let output = scene.run(&args, b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("standard input holds no whole certificate"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_verdict_in_json_has_rule_section_path_and_time_left() {
    let scene = Scene::new();
    let verify = |chain| scene.json(&["verify", "--roots", "roots.pem", AT[0], AT[1], chain]);
    let good = verify("leaf.pem");
    assert_eq!(good["verdict"], "valid");
    assert_eq!(good["spiffe_id"], CART);
    assert_eq!(good["seconds_left"], 3652 * 86_400);
    assert_eq!(good["path"][0]["names"][0], CART);
    assert_eq!(good["path"][1]["subject"], "CN=root");
    assert_eq!(good["path"][1]["not_after"], "2040-01-01T00:00:00Z");
    let bad = verify("roots.pem");
    assert_eq!(bad["verdict"], "not-an-x509-svid");
    assert_eq!(bad["rule"], "svid-not-ca");
    assert_eq!(bad["section"], "X509-SVID section 4.1");
    assert_eq!(bad["seconds_left"], Value::Null);
}

#[test]
fn absurd_input_is_answered_at_once() {
    let scene = Scene::new();
    let leaf = scene.leaf.pem();
    let many = leaf.repeat(1000);
    let huge = leaf.repeat(10_000_000 / leaf.len() + 1);
    let dashes = "-----BEGIN CERTIFICATE-----\n".repeat(100_000);
    let cases = [
        (many, Some(3), "chain-length (a limit of Signet)"),
        (huge, Some(1), "standard input has more than 4 MiB"),
        (
            dashes,
            Some(1),
            "the block that starts in line 1 has no end",
        ),
    ];
    for (input, code, said) in cases {
        let started = Instant::now();
        let args = ["verify", "--roots", "roots.pem", "-"];
        let output = scene.run(&args, input.as_bytes());
        let took = started.elapsed();
        assert_eq!(output.status.code(), code, "{}", stderr(&output));
        let text = stdout(&output) + &stderr(&output);
        assert!(text.contains(said), "{text}");
        assert!(took < Duration::from_secs(5), "{said}: {took:?}");
    }
}

#[test]
fn inspect_explains_each_block_and_prints_nothing_of_a_private_key() {
    let scene = Scene::new();
    let output = scene.run(&["inspect", "combined.pem"], b"");
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        text.contains("block 1, line 1: PRIVATE KEY, a private key\n  key         EC P-256\n"),
        "{text}"
    );
    assert!(text.contains(&format!("X509-SVID   yes, {CART}")), "{text}");
    assert!(
        text.contains("signed by   CN=root, not in this file"),
        "{text}"
    );
    let key = std::fs::read_to_string(scene.path("key.pem")).unwrap();
    let json = scene.json(&["inspect", "combined.pem"]);
    assert_eq!(json[1]["kind"], "certificate");
    assert_eq!(json[1]["role"], "leaf");
    assert_eq!(json[1]["subject"], Value::Null);
    assert_eq!(json[1]["names"][0], CART);
    assert_eq!(json[1]["valid_until"], "2040-01-01T00:00:00Z");
    for secret in key.lines().filter(|line| !line.starts_with('-')) {
        assert!(!text.contains(secret) && !json.to_string().contains(secret));
    }
}

#[test]
fn inspect_says_of_each_signature_whether_it_was_checked_and_by_whom_it_is() {
    let scene = Scene::new();
    let other = Scene::new();
    let request = CertificateParams::default();
    let request = request.serialize_request(&KeyPair::generate().unwrap());
    let request = request.unwrap().pem().unwrap();
    let read = |scene: &Scene, name: &str| std::fs::read_to_string(scene.path(name)).unwrap();
    let said = |files: &[String]| stdout(&scene.run(&["inspect", "-"], files.concat().as_bytes()));
    let [root, leaf] = ["roots.pem", "leaf.pem"].map(|name| read(&scene, name));
    let text = said(&[leaf.clone(), root, request]);
    assert!(text.contains("signed by   block 2: CN=root\n"), "{text}");
    assert!(text.contains("signed by   itself: CN=root\n"), "{text}");
    let proved = "possession  proved: the request is signed with its own key\n";
    assert!(text.contains(proved), "{text}");
    let text = said(&[leaf, read(&other, "roots.pem")]);
    let named = "signed by   block 2 by name: CN=root; but the signature is not by that key";
    assert!(text.contains(named), "{text}");
}

#[test]
fn inspect_exits_with_1_only_if_there_is_nothing_to_explain() {
    let scene = Scene::new();
    scene.write(
        "odd.pem",
        "-----BEGIN COFFEE-----\nAAEC\n-----END COFFEE-----\n",
    );
    for (file, code) in [
        ("odd.pem", 0),
        ("cut.pem", 0),
        ("roots.pem", 0),
        ("leaf.der", 0),
        ("empty.pem", 1),
        ("missing.pem", 1),
    ] {
        let output = scene.run(&["inspect", file], b"");
        assert_eq!(
            output.status.code(),
            Some(code),
            "{file}: {}",
            stderr(&output)
        );
    }
}

/// Strangers write the names in certificates.
#[test]
fn names_cannot_steer_the_terminal() {
    let scene = Scene::named("a\u{1b}[2Jb\nverdict    valid");
    for args in [
        &["inspect", "roots.pem"][..],
        &["verify", "--roots", "roots.pem", "leaf.pem"],
    ] {
        let text = stdout(&scene.run(args, b""));
        assert!(
            !text.contains('\u{1b}') && text.contains("\\u{1b}[2Jb\\nverdict"),
            "{text}"
        );
    }
}
