use std::time::Duration;

use super::*;

fn parsed(args: &[&str]) -> Result<FetchOptions, CliError> {
    let args = ["ca-client", "fetch"].iter().chain(args);
    match parse(args.map(OsString::from))? {
        Command::Fetch(options) => Ok(*options),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definitions_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn durations_carry_units_and_modes_are_octal() {
    let options = parsed(&["--ttl", "24h0m0s", "--key-mode", "0640"]).unwrap();
    assert_eq!(options.ca.ttl, Duration::from_secs(24 * 3600));
    assert_eq!(options.ca.files.key_mode, 0o640);
    let bad = [
        ["--ttl", "3600"],
        ["--timeout", "0s"],
        ["--key-mode", "0999"],
        ["--key-mode", "0200"],
        ["--attempts", "0"],
        ["--ca-addr", "nowhere"],
        ["--ca-fingerprint", "abcd"],
        ["--spiffe-id", "http://x"],
    ];
    for args in bad {
        assert!(matches!(parsed(&args), Err(CliError::Clap(_))), "{args:?}");
    }
}

#[test]
fn roots_and_a_fingerprint_from_the_same_source_are_refused() {
    let fingerprint = "ab".repeat(32);
    let both = ["--ca-roots", "r.pem", "--ca-fingerprint", &fingerprint];
    assert!(matches!(parsed(&both), Err(CliError::TwoTrusts)));
}

#[test]
fn the_sds_socket_is_where_istio_has_it_unless_a_path_is_given() {
    let socket = |args: &[&str]| {
        let args = ["ca-client", "agent"].iter().chain(args);
        match parse(args.map(OsString::from)).unwrap() {
            Command::Agent(options) => options.sds_socket,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(socket(&[]), None);
    let istio = "./var/run/secrets/workload-spiffe-uds/socket";
    assert_eq!(socket(&["--sds-socket", "--out=x"]), Some(istio.into()));
    for args in [&["--sds-socket=/s"][..], &["--sds-socket", "/s"]] {
        assert_eq!(socket(args), Some("/s".into()));
    }
}

#[test]
fn the_workload_apis_socket_is_a_path_or_what_spiffes_clients_are_told() {
    let socket = |value: &str| {
        let args = ["ca-client", "agent", "--workload-api-socket", value];
        match parse(args.map(OsString::from)) {
            Ok(Command::Agent(options)) => Ok(options.workload_api_socket),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(format!("{error:?}")),
        }
    };
    for (value, path) in [
        ("unix:///run/api.sock", "/run/api.sock"),
        ("/run/api.sock", "/run/api.sock"),
        ("api.sock", "api.sock"),
    ] {
        assert_eq!(socket(value).unwrap(), Some(path.into()), "{value}");
    }
    for value in [
        "unix://run/api.sock",
        "unix:",
        "unix:///a?b",
        "tcp://127.0.0.1:8081",
        "http://x",
    ] {
        let refused = socket(value).unwrap_err();
        assert!(refused.contains("unix:///PATH"), "{value}: {refused}");
    }
}
