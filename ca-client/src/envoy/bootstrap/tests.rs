use std::path::Path;

use super::*;
use crate::envoy::sidecar::Inbound;
use crate::envoy::sidecar::Mode;
use crate::envoy::sidecar::Outbound;
use crate::envoy::sidecar::Protocol;
use crate::envoy::sidecar::Secrets;
use crate::envoy::sidecar::Security;
use crate::envoy::whole_path::WholePath;

fn with(mode: Mode, protocol: Protocol) -> Sidecar {
    Sidecar {
        node: "sidecar".to_owned(),
        inbound: Some(Inbound {
            mode,
            listen: "0.0.0.0:15006".parse().unwrap(),
            upstream: "127.0.0.1:8080".parse().unwrap(),
            protocol,
            callers: vec!["spiffe://td/*".parse().unwrap()],
        }),
        outbound: vec![],
        secrets: socket_at("/run/sds"),
        max_connection_duration: Duration::from_millis(1500),
        admin: None,
    }
}

fn socket_at(path: &str) -> Secrets {
    Secrets::Socket {
        path: WholePath::of(Path::new(path)).unwrap(),
        identity: None,
    }
}

fn chains(bootstrap: &Value) -> Vec<(&str, Option<&str>, bool)> {
    let chains = bootstrap["static_resources"]["listeners"][0]["filter_chains"]
        .as_array()
        .unwrap();
    chains
        .iter()
        .map(|chain| {
            let on = chain["filter_chain_match"]["transport_protocol"].as_str();
            let is_tls = chain["transport_socket"].is_object();
            (chain["name"].as_str().unwrap(), on, is_tls)
        })
        .collect()
}

#[test]
fn each_mode_has_its_filter_chains_and_only_permissive_looks_at_first_bytes() {
    for (mode, expected) in [
        (Mode::Strict, vec![("mtls", None, true)]),
        (
            Mode::Permissive,
            vec![
                ("mtls", Some("tls"), true),
                ("plain", Some("raw_buffer"), false),
            ],
        ),
        (Mode::Disable, vec![("plain", None, false)]),
    ] {
        let bootstrap = bootstrap(&with(mode, Protocol::Http));
        assert_eq!(chains(&bootstrap), expected);
        let listener = &bootstrap["static_resources"]["listeners"][0];
        assert_eq!(
            listener["listener_filters"].is_array(),
            mode == Mode::Permissive
        );
        let clusters = bootstrap["static_resources"]["clusters"]
            .as_array()
            .unwrap();
        assert_eq!(
            clusters.len(),
            if mode == Mode::Disable { 1 } else { 2 },
            "no certificate, no socket"
        );
    }
}

#[test]
fn over_tls_a_certificate_is_demanded_named_and_never_resumed() {
    let bootstrap = bootstrap(&with(Mode::Strict, Protocol::Http));
    let chain = &bootstrap["static_resources"]["listeners"][0]["filter_chains"][0];
    let tls = &chain["transport_socket"]["typed_config"];
    assert_eq!(tls["require_client_certificate"], true);
    assert_eq!(tls["disable_stateless_session_resumption"], true);
    assert_eq!(tls["disable_stateful_session_resumption"], true);
    let common = &tls["common_tls_context"];
    assert_eq!(
        common["tls_params"]["tls_minimum_protocol_version"],
        "TLSv1_2"
    );
    let names = &common["combined_validation_context"]["default_validation_context"]["match_typed_subject_alt_names"];
    assert_eq!(
        *names,
        json!([{"san_type": "URI", "matcher": {"prefix": "spiffe://td/"}}])
    );
}

#[test]
fn every_connection_over_tls_has_an_end() {
    let peer = |protocol| Outbound {
        listen: "127.0.0.1:9080".parse().unwrap(),
        upstream: "ratings:9080".parse().unwrap(),
        protocol,
        security: Security::Mutual {
            peers: vec!["spiffe://td/a".parse().unwrap()],
            sni: None,
        },
    };
    for (protocol, inbound, outbound) in [
        (
            Protocol::Http,
            "/common_http_protocol_options/max_connection_duration",
            None,
        ),
        (
            Protocol::Tcp,
            "/max_downstream_connection_duration",
            Some("/max_downstream_connection_duration"),
        ),
    ] {
        let mut sidecar = with(Mode::Permissive, protocol);
        sidecar.outbound = vec![peer(protocol)];
        let bootstrap = bootstrap(&sidecar);
        let listeners = &bootstrap["static_resources"]["listeners"];
        let filter = |listener: usize, chain: usize| {
            &listeners[listener]["filter_chains"][chain]["filters"][0]["typed_config"]
        };
        assert_eq!(filter(0, 0).pointer(inbound), Some(&json!("1.500000000s")));
        assert_eq!(
            filter(0, 1).pointer(inbound),
            None,
            "plain text has no certificate that could grow old"
        );
        let cluster = &bootstrap["static_resources"]["clusters"][1];
        assert_eq!(
            cluster["transport_socket"]["typed_config"]["max_session_keys"],
            0
        );
        let of_cluster = format!(
            "/typed_extension_protocol_options/{}{inbound}",
            secrets::HTTP_OPTIONS
        );
        match outbound {
            Some(path) => assert!(filter(1, 0).pointer(path).is_some()),
            None => assert_eq!(cluster.pointer(&of_cluster), Some(&json!("1.500000000s"))),
        }
    }
}

#[test]
fn envoy_asks_for_secrets_again_within_seconds_when_the_agent_was_away() {
    for name in [secrets::LEAF, secrets::ROOTS] {
        let printed = secrets::reference(&socket_at("/run/sds"), name);
        let retried = printed.pointer(
            "/sds_config/api_config_source/grpc_services/0/envoy_grpc/retry_policy/retry_back_off",
        );
        let expected = json!({"base_interval": "0.5s", "max_interval": "2s"});
        assert_eq!(retried, Some(&expected), "{name}");
    }
}
