//! What the command `ca-client agent` refuses, and what it takes from a settings file.

use std::process::Output;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

const GOOD: [&str; 8] = [
    "--ca-addr",
    "127.0.0.1:1",
    "--ca-roots",
    "roots.pem",
    "--token-file",
    "token",
    "--out",
    "out",
];

/// Runs an agent in `dir`, which has a second to say no; `None` if it started.
async fn refused(dir: &std::path::Path, args: &[&str]) -> Option<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ca-client"));
    command
        .env_clear()
        .current_dir(dir)
        .arg("agent")
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(Duration::from_secs(2), command.output()).await;
    ended.ok().map(Result::unwrap)
}

#[tokio::test]
async fn what_no_attempt_could_cure_ends_it_at_the_start_with_the_flags_name() {
    let dir = tempfile::tempdir().unwrap();
    let table: [(&[&str], i32, &str); 13] = [
        (&["--ttl", "10ms"], 2, "lifetime"),
        (&["--server-name", "not a name"], 2, "server name"),
        (&["--cluster-id", "a\nb"], 2, "cluster id"),
        (&["--hook-signal", "HUP"], 2, "--hook-pid-file"),
        (&["--hook-pid-file", "pid"], 2, "--hook-signal"),
        (
            &[
                "--hook-command",
                "true",
                "--hook-signal",
                "HUP",
                "--hook-pid-file",
                "pid",
            ],
            2,
            "not both",
        ),
        (&["--combined", "out/key.pem"], 1, "another name"),
        (&["--combined", "out/../out/..data"], 1, "another name"),
        (&["--key-owner", "4294967295"], 2, "--key-owner"),
        (&["--file-mode", "keystore.p12=0640"], 2, "keystore.p12"),
        (&["--file-mode", "key.pem"], 2, "NAME=MODE"),
        (&["--file-mode", "key.pem=0240"], 2, "octal"),
        (&["--file-owner", "key.pem=root"], 2, "'root' is not UID"),
    ];
    for (args, code, named) in table {
        let output = refused(dir.path(), &[&GOOD[..], args].concat()).await;
        let output = output.unwrap_or_else(|| panic!("{args:?} was not refused"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(named), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn a_password_file_that_is_none_ends_it_at_the_start_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("empty"), "\n").unwrap();
    std::fs::write(at("long"), "secret".repeat(50)).unwrap();
    std::fs::write(at("lines"), "secret\nsecret").unwrap();
    std::fs::create_dir(at("directory")).unwrap();
    let table = [
        ("missing", "cannot read the password file missing"),
        ("directory", "cannot read the password file directory"),
        ("empty", "empty is empty"),
        ("long", "longer than 256"),
        ("lines", "one line"),
    ];
    for (file, reason) in table {
        let args = [&GOOD[..], &["--pkcs12-password-file", file]].concat();
        let output = refused(dir.path(), &args).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{file}: {said}");
        assert!(
            said.contains(reason) && said.contains("--pkcs12-password-file"),
            "{said}"
        );
        assert!(!said.contains("secret"), "{said}");
        assert!(!at("out").exists());
    }
}

#[tokio::test]
async fn a_list_of_modes_can_stand_in_the_settings_file() {
    let args = [&GOOD[..], &["--config", "agent.yaml"]].concat();
    let table = [
        (
            "pkcs12: true\nfile-mode: [key.pem=0640, keystore.p12=0440]",
            None,
        ),
        (
            "combined: all.pem\nfile-mode: [all.pem=0640]\nfile-owner: []",
            None,
        ),
        ("file-mode: [key.pem=0640, keystore.p12=0440]", Some(2)),
        ("file-mode: [key.pem=0640, key.pem]", Some(2)),
        ("ttl: [1h, 2h]", Some(2)),
    ];
    for (settings, code) in table {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("agent.yaml"), settings).unwrap();
        let refused = refused(dir.path(), &args).await;
        let seen = refused.as_ref().map(|output| output.status.code().unwrap());
        assert_eq!(seen, code, "{settings}: {refused:?}");
    }
}

#[tokio::test]
async fn a_hook_of_either_kind_can_stand_in_the_settings_file() {
    let args = [&GOOD[..], &["--config", "agent.yaml"]].concat();
    let table = [
        ("hook-command: 'true'", None),
        ("hook-signal: HUP\nhook-pid-file: pid", None),
        ("hook-signal: HUP", Some(2)),
    ];
    for (settings, code) in table {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("agent.yaml"), settings).unwrap();
        let refused = refused(dir.path(), &args).await;
        let seen = refused.as_ref().map(|output| output.status.code().unwrap());
        assert_eq!(seen, code, "{settings}: {refused:?}");
    }
}
