//! What does `ca-client envoy` promise as a program: documents on stdout, decisions on stderr, exit codes, nothing half done?

#![expect(clippy::unwrap_used, reason = "tests")]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;
use tests::binaries::binaries;

const STRICT: [&str; 6] = [
    "--mtls",
    "strict",
    "--listen",
    "0.0.0.0:15006",
    "--upstream",
    "127.0.0.1:8080",
];
const WAY_OUT: &str =
    "127.0.0.1:9080=ratings.bookinfo:15006,spiffe://cluster.local/ns/bookinfo/sa/ratings";

fn envoy(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(&binaries().ca_client);
    command.arg("envoy").args(args).current_dir(dir);
    command.env_remove("TRUST_DOMAIN").output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The bootstrap; the command must succeed.
fn bootstrap(dir: &Path, args: &[&str]) -> Value {
    let output = envoy(dir, &[args, &["--output", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn in_dir(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

#[test]
fn yaml_and_json_say_the_same() {
    let dir = in_dir(&[]);
    let args = [
        &STRICT[..],
        &["--outbound", WAY_OUT, "--admin", "127.0.0.1:15000"],
    ]
    .concat();
    let yaml = envoy(dir.path(), &args);
    let yaml: Value = serde_norway::from_slice(&yaml.stdout).unwrap();
    assert_eq!(yaml, bootstrap(dir.path(), &args));
    assert_eq!(
        yaml["admin"]["address"]["socket_address"]["port_value"],
        15000
    );
}

#[test]
fn a_peer_must_have_its_name_and_callers_any_of_the_trust_domain_or_those_allowed() {
    let dir = in_dir(&[]);
    let names = "/common_tls_context/combined_validation_context/default_validation_context/match_typed_subject_alt_names";
    let args = [
        &STRICT[..],
        &["--outbound", WAY_OUT, "--trust-domain", "td"],
    ]
    .concat();
    let seen = bootstrap(dir.path(), &args);
    let inbound = "/static_resources/listeners/0/filter_chains/0/transport_socket/typed_config";
    let outbound = "/static_resources/clusters/1/transport_socket/typed_config";
    let at = |seen: &Value, path: &str| {
        seen.pointer(&format!("{path}{names}/0/matcher"))
            .unwrap()
            .to_string()
    };
    assert_eq!(at(&seen, inbound), r#"{"prefix":"spiffe://td/"}"#);
    assert_eq!(
        at(&seen, outbound),
        r#"{"exact":"spiffe://cluster.local/ns/bookinfo/sa/ratings"}"#
    );
    let allowed = [&STRICT[..], &["--allow", "spiffe://td/ns/shop/*"]].concat();
    assert_eq!(
        at(&bootstrap(dir.path(), &allowed), inbound),
        r#"{"prefix":"spiffe://td/ns/shop/"}"#
    );
}

#[test]
fn certificates_come_from_istios_socket_or_by_two_files_that_name_the_agents() {
    let dir = in_dir(&[]);
    let socket = bootstrap(dir.path(), &STRICT).to_string();
    assert!(socket.contains(r#""pipe":{"path":"/var/run/secrets/workload-spiffe-uds/socket"}"#));
    let files = [
        "--certs",
        "certs",
        "--secrets-dir",
        "sds",
        "--names",
        "kubernetes",
    ];
    let printed = bootstrap(dir.path(), &[&STRICT[..], &files].concat()).to_string();
    for (file, pointer, name) in [
        (
            "sds-default.json",
            "/tls_certificate/private_key/filename",
            "tls.key",
        ),
        (
            "sds-ROOTCA.json",
            "/validation_context/trusted_ca/filename",
            "ca.crt",
        ),
    ] {
        let path = dir.path().canonicalize().unwrap().join("sds").join(file);
        assert!(printed.contains(path.to_str().unwrap()), "{printed}");
        let secret: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let named = Path::new(
            secret["resources"][0]
                .pointer(pointer)
                .unwrap()
                .as_str()
                .unwrap(),
        );
        assert!(
            named.is_absolute() && named.ends_with(Path::new("certs").join(name)),
            "{named:?}"
        );
    }
}

#[test]
fn what_decided_is_told_on_stderr() {
    let dir = in_dir(&[
        ("mesh/a.yaml", MESH),
        ("mesh/b.yml", NAMESPACE),
        ("mesh/readme.txt", "{"),
    ]);
    let args = [
        "--policies",
        "mesh",
        "--namespace",
        "bookinfo",
        "--listen",
        "0.0.0.0:15006",
        "--upstream",
        "127.0.0.1:9080",
        "--outbound",
        WAY_OUT,
    ];
    let output = envoy(dir.path(), &args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(
        stderr(&output),
        "mesh/b.yml:9: passed over: VirtualService is not honoured here\n\
         inbound 0.0.0.0:15006: PERMISSIVE: PeerAuthentication bookinfo/default (mesh/b.yml:7)\n\
         outbound 127.0.0.1:9080: mutual TLS: DestinationRule istio-system/default (mesh/a.yaml:18)\n"
    );
}

#[test]
fn policies_that_contradict_themselves_are_refused_with_file_line_and_reason_and_nothing_printed() {
    let off = MESH.replace("ISTIO_MUTUAL", "DISABLE");
    let alone = MESH.split_once("---").unwrap().1;
    for (text, answer) in [
        (
            off.as_str(),
            "error: the policies are refused:\n  p.yaml:18: strict-without-mtls: DestinationRule istio-system/default has DISABLE for callers, and PeerAuthentication istio-system/default (p.yaml:8) has STRICT: they would be turned away; make the one ISTIO_MUTUAL or the other PERMISSIVE\n",
        ),
        (
            alone,
            "error: the policies are refused:\n  p.yaml:10: mtls-without-policy: DestinationRule istio-system/default makes callers speak mutual TLS (ISTIO_MUTUAL), and no policy makes the mesh take it: add a PeerAuthentication with STRICT or PERMISSIVE\n",
        ),
        (
            "a: [\n",
            "error: the policies are refused:\n  p.yaml:2: syntax: not YAML: ",
        ),
    ] {
        let dir = in_dir(&[("p.yaml", text)]);
        let args = [
            "--policies",
            "p.yaml",
            "--listen",
            "0.0.0.0:15006",
            "--upstream",
            "127.0.0.1:80",
            "--certs",
            "c",
            "--secrets-dir",
            "s",
        ];
        let output = envoy(dir.path(), &args);
        assert!(stderr(&output).starts_with(answer), "{}", stderr(&output));
        assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0));
        assert!(
            !dir.path().join("s").exists(),
            "nothing is written for what is refused"
        );
    }
}

#[test]
fn a_command_line_that_leaves_something_open_is_refused() {
    let long = format!("/{}", "x".repeat(107));
    let way = |more: &[&'static str]| [&STRICT[..], more].concat();
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (vec![], "--listen"),
        (vec!["--listen", "0.0.0.0:1", "--upstream", "a:1"], "--mtls"),
        (
            vec!["--mtls", "strict", "--listen", "0.0.0.0:1"],
            "--upstream",
        ),
        (way(&["--policies", "p"]), "--policies"),
        (way(&["--certs", "c"]), "--secrets-dir"),
        (
            way(&["--certs", "c", "--secrets-dir", "s", "--sds-socket", "s"]),
            "--sds-socket",
        ),
        (way(&["--labels", "a=b"]), "--policies"),
        (way(&["--allow", "spiffe://td/a*"]), "a path takes letters"),
        (
            way(&["--max-connection-duration", "0s"]),
            "expected more than nothing",
        ),
        (
            way(&["--outbound", "127.0.0.1:1=a:2"]),
            "the peer at a:2 could be anybody",
        ),
        (
            way(&["--outbound", "0.0.0.0:15006=a:2,mtls=off"]),
            "two listeners at 0.0.0.0:15006",
        ),
        (way(&["--identity", "cart"]), "spiffe://"),
        (
            way(&["--identity", "spiffe://td"]),
            "names a trust domain and no workload",
        ),
        (
            way(&[
                "--identity",
                "spiffe://td/a",
                "--certs",
                "c",
                "--secrets-dir",
                "s",
            ]),
            "--identity chooses among the certificates of an agent's socket, and --certs has one",
        ),
        (
            [&STRICT[..], &["--sds-socket", &long]].concat(),
            "has 108 bytes, and a socket's path at most 107",
        ),
    ];
    for (args, part) in cases {
        let dir = in_dir(&[]);
        let output = envoy(dir.path(), &args);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(
            text.contains(part) && output.stdout.is_empty(),
            "{args:?}: {text}"
        );
    }
}

#[test]
fn policies_that_cannot_be_read_are_no_policies() {
    let dir = in_dir(&[("empty/readme.txt", "")]);
    for (path, part) in [
        ("none.yaml", "cannot read none.yaml"),
        ("empty", "empty has no file that ends in .yaml or .yml"),
    ] {
        std::fs::write(dir.path().join("latin.yaml"), b"a: \xe4").unwrap();
        let args = [
            "--policies",
            path,
            "--listen",
            "0.0.0.0:15006",
            "--upstream",
            "127.0.0.1:80",
        ];
        let output = envoy(dir.path(), &args);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
}

#[test]
fn ports_of_services_decide_only_when_they_are_said() {
    let dir = in_dir(&[("p.yaml", PORTS)]);
    let inbound = ["--listen", "0.0.0.0:1", "--upstream", "127.0.0.1:9080"];
    let policies = ["--policies", "p.yaml", "--namespace", "bookinfo"];
    let way_out = |port: &str| format!("127.0.0.1:2=127.0.0.1:9080,mtls=off,service=reviews{port}");
    let (unsaid, plain, mutual) = (way_out(""), way_out(",port=81"), way_out(",port=80"));
    let service = ["--service", "reviews"];
    for (flags, code, answer) in [
        (
            vec![&service[..], &inbound],
            3,
            "p.yaml:9: undecided: Policy bookinfo/reviews may be for this workload: say --service-port",
        ),
        (
            vec![&service, &inbound, &["--service-port", "80"]],
            0,
            "inbound 0.0.0.0:1: STRICT: port 80 of Policy bookinfo/reviews (p.yaml:9)",
        ),
        (
            vec![&service, &inbound, &["--service-port", "9080"]],
            0,
            "inbound 0.0.0.0:1: PERMISSIVE: no policy says",
        ),
        (
            vec![&["--outbound", &unsaid]],
            3,
            "p.yaml:20: undecided: DestinationRule bookinfo/reviews has other settings for single ports of reviews: say which is the service's with port=N in --outbound",
        ),
        (
            vec![&["--outbound", &plain]],
            0,
            "outbound 127.0.0.1:2: plain text: --outbound",
        ),
        (
            vec![&["--outbound", &mutual]],
            3,
            "p.yaml:21: not-honoured: DestinationRule bookinfo/reviews has ISTIO_MUTUAL, --outbound has mtls=off",
        ),
    ] {
        let args = [&policies[..], &flags.concat()].concat();
        let output = envoy(dir.path(), &args);
        let said = stderr(&output);
        assert!(said.contains(answer), "{args:?}: {said}");
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    }
}

#[test]
fn a_path_that_no_settings_of_envoys_can_have_is_refused() {
    let dir = in_dir(&[]);
    let odd = OsStr::from_bytes(b"w\xe4g");
    for flags in [
        vec![OsStr::new("--sds-socket"), odd],
        [
            ["--certs".as_ref(), odd],
            ["--secrets-dir".as_ref(), "s".as_ref()],
        ]
        .concat(),
        [
            ["--certs".as_ref(), "c".as_ref()],
            ["--secrets-dir".as_ref(), odd],
        ]
        .concat(),
    ] {
        let mut command = Command::new(&binaries().ca_client);
        command.arg("envoy").args(STRICT).args(&flags);
        let output = command.current_dir(dir.path()).output().unwrap();
        let said = stderr(&output);
        assert!(said.contains("is not text in UTF-8"), "{flags:?}: {said}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    }
}

#[test]
fn policies_in_a_file_whose_name_is_no_utf8_are_read_and_named() {
    let dir = in_dir(&[]);
    let odd = OsStr::from_bytes(b"mesh-\xe4.yaml");
    std::fs::write(dir.path().join(odd), MESH).unwrap();
    let mut command = Command::new(&binaries().ca_client);
    command.args([
        "envoy",
        "--listen",
        "0.0.0.0:1",
        "--upstream",
        "a:1",
        "--policies",
    ]);
    let output = command.arg(odd).current_dir(dir.path()).output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("(mesh-\u{fffd}.yaml:8)"), "{said}");
}

#[test]
fn a_sidecar_may_ask_for_its_certificate_by_its_spiffe_id() {
    let dir = in_dir(&[]);
    let names = |more: &[&str]| {
        let printed = bootstrap(dir.path(), &[&STRICT[..], more].concat());
        let common = "/static_resources/listeners/0/filter_chains/0/transport_socket/typed_config/common_tls_context";
        let at = |path: &str| {
            let name = printed.pointer(&format!("{common}{path}/name"));
            name.unwrap().as_str().unwrap().to_owned()
        };
        let leaf = at("/tls_certificate_sds_secret_configs/0");
        (
            leaf,
            at("/combined_validation_context/validation_context_sds_secret_config"),
        )
    };
    let both = |leaf: &str| (leaf.to_owned(), "ROOTCA".to_owned());
    assert_eq!(names(&[]), both("default"));
    let id = "spiffe://cluster.local/ns/shop/sa/cart";
    assert_eq!(names(&["--identity", id]), both(id));
}

/// A mesh that is strict, and callers that are told so.
const MESH: &str = "\
apiVersion: security.istio.io/v1beta1
kind: PeerAuthentication
metadata:
  name: default
  namespace: istio-system
spec:
  mtls:
    mode: STRICT
---
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: default
  namespace: istio-system
spec:
  host: \"*.local\"
  trafficPolicy:
    tls: {mode: ISTIO_MUTUAL}
";

/// One port of a service that is strict, and its callers that are told so.
const PORTS: &str = "\
apiVersion: authentication.maistra.io/v1
kind: Policy
metadata: {name: reviews, namespace: bookinfo}
spec:
  targets:
  - name: reviews
    ports: [{number: 80}]
  peers:
  - mtls: {}
---
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: reviews
  namespace: bookinfo
spec:
  host: reviews
  trafficPolicy:
    portLevelSettings:
    - port: {number: 80}
      tls: {mode: ISTIO_MUTUAL}
";

/// A namespace that is not.
const NAMESPACE: &str = "\
apiVersion: security.istio.io/v1beta1
kind: PeerAuthentication
metadata:
  name: default
  namespace: bookinfo
spec:
  mtls: {mode: PERMISSIVE}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
spec: {}
";
