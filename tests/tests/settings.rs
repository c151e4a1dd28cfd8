//! Where settings come from, what is said of bad ones, and how each command ends.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::process::Command;
use std::process::Output;

use tests::CART;
use tests::agent::Agent;
use tests::agent::key_and_csr;
use tests::binaries::binaries;
use tests::ca::Setup;
use tests::ca::TestCa;
use tests::jwt::TokenIssuer;
use x509_parser::prelude::FromDer as _;
use x509_parser::prelude::X509Certificate;

fn ca_server(args: &[&str]) -> Output {
    Command::new(&binaries().ca_server)
        .args(args)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Minutes between now and the end of a leaf that asks for no lifetime.
async fn minutes_granted(ca: &TestCa) -> i64 {
    let mut agent = Agent::connect(ca.grpc, &ca.roots_pem(), &[&ca.token(CART)], None).await;
    let chain = agent.create(&key_and_csr(CART).1, 0).await.unwrap();
    let leaf = pem::parse(&chain[0]).unwrap();
    let (_, leaf) = X509Certificate::from_der(leaf.contents()).unwrap();
    let (from, to) = (leaf.validity().not_before, leaf.validity().not_after);
    // The two minutes, or the tenth, before now are no part of it.
    (to.timestamp() - from.timestamp()) / 60 - 2
}

/// A settings file in a directory of its own.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("signet.yaml");
    fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    (dir, path)
}

/// Flags, variables, and the lifetime in minutes that comes of them.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i64);

#[tokio::test]
async fn flags_beat_the_environment_which_beats_the_file_which_beats_the_defaults() {
    let (_dir, config) = file("default-ttl: 1h\n");
    let env = [("DEFAULT_WORKLOAD_CERT_TTL", "2h")];
    let table: [Case<'_>; 6] = [
        (&[], &[], 24 * 60),
        (&["--config", &config], &[], 60),
        (&[], &[("SIGNET_CONFIG", &config)], 60),
        (&["--config", &config], &env, 120),
        (&["--config", &config, "--default-ttl", "3h"], &env, 180),
        (&["--default-ttl", "3h"], &env, 180),
    ];
    for (flags, env, minutes) in table {
        let ca = TestCa::start_with(Setup {
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            env: env
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..Setup::default()
        });
        assert_eq!(minutes_granted(&ca).await, minutes, "{flags:?} {env:?}");
    }
}

#[test]
fn every_kind_of_value_works_from_a_file() {
    let text = "trust_domain: other.example\nserving-name: [ca.example, 127.0.0.1]\nmax-connections: 7\nlog-level: info\nfresh-ledger: false\nallow-new-root: true\n";
    let (_dir, config) = file(text);
    let ca = TestCa::start_with(Setup {
        flags: vec!["--config".to_owned(), config],
        ..Setup::default()
    });
    let status: serde_json::Value =
        serde_json::from_str(&ca.operator(&["status", "--output", "json"])).unwrap();
    assert_eq!(status["trust_domain"], "other.example");
    let listed = ca.operator(&["certs", "list"]);
    assert!(listed.contains("ca.example,127.0.0.1"), "{listed}");
}

#[test]
fn a_bad_settings_file_is_a_usage_error_that_says_where_and_why() {
    let table = [
        (
            "defaul-ttl: 1h",
            &["unknown key defaul-ttl", "did you mean default-ttl?"][..],
        ),
        (
            "serving_names: [a]",
            &["unknown key serving_names", "did you mean serving-name?"],
        ),
        ("default-ttl: soon", &["--default-ttl", "soon"]),
        (
            "default-ttl: 1h\ndefault_ttl: 2h",
            &["default_ttl is there twice"],
        ),
        ("default-ttl: {a: b}", &["default-ttl", "a mapping"]),
        ("grpc-addr: localhost", &["--grpc-addr", "localhost"]),
        ("log-format: xml", &["--log-format", "xml", "json"]),
        ("fresh-ledger: maybe", &["--fresh-ledger", "maybe"]),
        (
            "- a\n- b",
            &["not a YAML mapping", "invalid type: sequence"],
        ),
        ("a: [", &["line"]),
    ];
    for (text, parts) in table {
        let (_dir, config) = file(text);
        let output = ca_server(&["serve", "--config", &config]);
        assert_eq!(output.status.code(), Some(2), "{text}: {}", stderr(&output));
        for part in parts {
            assert!(
                stderr(&output).contains(part),
                "{text}: {part} in {}",
                stderr(&output)
            );
        }
    }
    let missing = ca_server(&["serve", "--config", "/nowhere/signet.yaml"]);
    assert_eq!(missing.status.code(), Some(2));
    for part in ["/nowhere/signet.yaml", "No such file"] {
        assert!(stderr(&missing).contains(part), "{}", stderr(&missing));
    }
}

#[test]
fn a_bad_flag_is_a_usage_error_that_names_it() {
    let table = [
        (&["--default-ttl", "soon"][..], "--default-ttl"),
        (&["--default-ttl", "60"], "--default-ttl"),
        (&["--grpc-addr", "nowhere"], "--grpc-addr"),
        (&["--max-connections", "-1"], "--max-connections"),
        (&["--max-connections", "many"], "--max-connections"),
        (&["--log-format", "xml"], "--log-format"),
        (&["--defaul-ttl", "1h"], "--default-ttl"),
        (&["surplus"], "surplus"),
    ];
    for (flags, part) in table {
        let output = ca_server(&[&["serve"], flags].concat());
        assert_eq!(
            output.status.code(),
            Some(2),
            "{flags:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(part),
            "{flags:?}: {}",
            stderr(&output)
        );
    }
    assert_eq!(ca_server(&[]).status.code(), Some(2));
    assert_eq!(ca_server(&["srve"]).status.code(), Some(2));
}

#[test]
fn settings_that_do_not_fit_together_are_refused_by_their_flags() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let table = [
        (
            &["--min-ttl", "2h", "--default-ttl", "1h"][..],
            &["--min-ttl", "--default-ttl", "2h0m0s"][..],
        ),
        (
            &["--default-ttl", "2h", "--max-ttl", "1h"],
            &["--default-ttl", "--max-ttl", "1h0m0s"],
        ),
        (
            &["--trust-domain", "Not One"],
            &["--trust-domain", "Not One"],
        ),
        (&["--trust-domain", ""], &["--trust-domain"]),
        (&["--serving-name", "a b"], &["--serving-name", "a b"]),
        (&["--log-level", "=!"], &["--log-level"]),
        (&["--max-connections", "0"], &["--max-connections is zero"]),
        (&["--min-ttl", "0s"], &["--min-ttl is zero"]),
        (
            &["--issuers", "/nowhere/issuers.yaml"],
            &["--issuers", "/nowhere/issuers.yaml", "No such file"],
        ),
    ];
    for (flags, parts) in table {
        let args = [&["serve", "--data-dir", data_dir.to_str().unwrap()], flags].concat();
        let output = ca_server(&args);
        assert!(
            matches!(output.status.code(), Some(1 | 2)),
            "{flags:?}: {}",
            stderr(&output)
        );
        for part in parts {
            assert!(
                stderr(&output).contains(part),
                "{flags:?}: {part} in {}",
                stderr(&output)
            );
        }
    }
    assert!(
        !data_dir.exists(),
        "nothing was made for settings that are refused"
    );
}

#[test]
fn a_bad_issuers_file_is_named_with_what_is_wrong_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let issuers = TokenIssuer::new().install(dir.path());
    let good = fs::read_to_string(&issuers).unwrap();
    let table = [
        (good.replace("audiences", "audience"), "audience"),
        (good.replace("jwks.json", "gone.json"), "gone.json"),
        (good.replace("jwks_file", "jwks_fil"), "jwks_file"),
        ("issuer: x".to_owned(), "issuers.yaml"),
    ];
    for (text, part) in table {
        fs::write(&issuers, &text).unwrap();
        let flags = vec!["--issuers".to_owned(), issuers.display().to_string()];
        let refused = TestCa::refused(Setup {
            flags,
            ..Setup::default()
        });
        assert_eq!(refused.code, Some(1), "{text}: {}", refused.said);
        assert!(
            refused.said.contains("--issuers") && refused.said.contains(part),
            "{text}: {}",
            refused.said
        );
    }
}

const COMMANDS: [&[&str]; 17] = [
    &[],
    &["serve"],
    &["bundle"],
    &["bundle", "check"],
    &["token"],
    &["token", "create"],
    &["token", "list"],
    &["token", "revoke"],
    &["certs"],
    &["certs", "list"],
    &["certs", "show"],
    &["certs", "deny"],
    &["certs", "allow"],
    &["certs", "denied"],
    &["status"],
    &["backup"],
    &["restore"],
];

#[test]
fn every_command_explains_itself() {
    for command in COMMANDS {
        let output = ca_server(&[command, &["--help"]].concat());
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(
            help.starts_with(|c: char| c.is_uppercase()),
            "{command:?} says what it is: {help}"
        );
        assert!(help.contains("Usage: ca-server"), "{command:?}: {help}");
        for line in help
            .lines()
            .filter(|line| line.trim_start().starts_with("--"))
        {
            let bare = !line.trim().contains("  ") && line.trim().split(' ').count() < 3;
            let explained = help.lines().skip_while(|other| *other != line).nth(1);
            assert!(
                !bare || explained.is_some_and(|next| !next.trim().is_empty()),
                "{command:?}: {line}"
            );
        }
    }
    let overview = String::from_utf8(ca_server(&["--help"]).stdout).unwrap();
    assert!(overview.contains("Examples:"), "{overview}");
}

#[test]
fn help_says_what_a_denial_does_not_do_and_where_denials_get_lost() {
    let table: [(&[&str], &str, &str); 4] = [
        (&["certs", "deny"], "", "This is not revocation"),
        (
            &["certs", "deny"],
            "",
            "already out there stays valid until it expires",
        ),
        (
            &["serve"],
            "--fresh-ledger",
            "has no denials: make them again with `ca-server certs deny`",
        ),
        (
            &["restore"],
            "--ledger-only",
            "Denials made since the backup are not in it: make them again with `ca-server certs deny`",
        ),
    ];
    for (command, flag, words) in table {
        let output = ca_server(&[command, &["--help"]].concat());
        let help = String::from_utf8(output.stdout).unwrap();
        let from = help.find(flag).expect(flag);
        let text: Vec<&str> = help[from..].split_whitespace().collect();
        assert!(text.join(" ").contains(words), "{command:?}: {help}");
    }
}

#[test]
fn without_a_running_server_operators_commands_name_the_socket_and_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let commands: [&[&str]; 6] = [
        &["token", "create", "--spiffe-id", CART],
        &["token", "list"],
        &["token", "revoke", "00"],
        &["certs", "list"],
        &["certs", "show", "00"],
        &["status"],
    ];
    for command in commands {
        let output = tests::ca::operator(&data_dir, command);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert!(output.stdout.is_empty(), "{command:?}");
        let said = stderr(&output);
        for part in [
            data_dir.join("admin.sock").to_str().unwrap(),
            "is `ca-server serve` running",
        ] {
            assert!(said.contains(part), "{command:?}: {said}");
        }
    }
    assert!(!data_dir.exists());
}

#[test]
fn what_an_operator_asks_for_and_is_not_there_is_said_in_a_sentence() {
    let ca = TestCa::start();
    let table: [(&[&str], &str); 7] = [
        (
            &["certs", "show", "0abc"],
            "no certificate with serial 00000000000000000000000000000abc",
        ),
        (
            &["certs", "show", "not-hex"],
            "a serial number is 1 to 32 hex digits",
        ),
        (
            &["certs", "list", "--spiffe-id", "cart"],
            "is not a SPIFFE ID",
        ),
        (
            &["token", "revoke", "0abc"],
            "no enrolment token 00000000000000000000000000000abc",
        ),
        (
            &["token", "create", "--spiffe-id", "spiffe://other.example/a"],
            "is not in the trust domain cluster.local",
        ),
        (
            &["token", "create", "--spiffe-id", "spiffe://cluster.local"],
            "names the trust domain, not a workload",
        ),
        (
            &["token", "create", "--spiffe-id", CART, "--ttl", "365d"],
            "between 1 second and 30 days",
        ),
    ];
    for (command, part) in table {
        let output = ca.try_operator(command);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert!(output.stdout.is_empty(), "{command:?}");
        assert!(
            stderr(&output).starts_with("error: ") && stderr(&output).contains(part),
            "{command:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn answers_for_programs_are_json() {
    let ca = TestCa::start();
    let json = |args: &[&str]| -> serde_json::Value {
        serde_json::from_str(&ca.operator(&[args, &["--output", "json"]].concat())).unwrap()
    };
    let status = json(&["status"]);
    assert_eq!(status["ready"], true);
    assert_eq!(status["grpc_addr"], ca.grpc.to_string());
    assert_eq!(status["source"], "self-signed");
    let roles: Vec<&str> = status["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|held| held["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["issuer", "root", "serving"]);
    let token = json(&["token", "create", "--spiffe-id", CART]);
    assert!(
        token["token"]
            .as_str()
            .unwrap()
            .starts_with("signet_enrol_")
    );
    assert_eq!(json(&["token", "list"])[0]["id"], token["id"]);
    assert_eq!(
        json(&["token", "revoke", token["id"].as_str().unwrap()])["state"],
        "revoked"
    );
    let serial = json(&["certs", "list"])[0]["serial"].clone();
    assert_eq!(
        json(&["certs", "show", serial.as_str().unwrap()])["state"],
        "recorded"
    );
}

#[test]
fn a_bundle_check_of_nothing_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().join("missing"), dir.path().to_owned()] {
        let path = path.to_str().unwrap();
        let output = ca_server(&["bundle", "check", path]);
        assert_eq!(output.status.code(), Some(4), "{path}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("ERROR") && said.contains(path), "{said}");
        let output = ca_server(&["bundle", "check", path, "--output", "json"]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["findings"][0]["severity"], "error");
    }
}

#[test]
fn the_readme_has_every_flag_of_serve() {
    let readme = tests::binaries::workspace().join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let help = String::from_utf8(ca_server(&["serve", "--help"]).stdout).unwrap();
    let flags = help
        .split_whitespace()
        .filter(|word| word.starts_with("--") && word.len() > 2);
    let missing: Vec<&str> = flags
        .map(|flag| flag.trim_matches(|c: char| !c.is_ascii_lowercase() && c != '-'))
        .filter(|flag| {
            !["--help", "--version"].contains(flag) && !readme.contains(&format!("`{flag}"))
        })
        .collect();
    assert!(missing.is_empty(), "not in README.md: {missing:?}");
}
