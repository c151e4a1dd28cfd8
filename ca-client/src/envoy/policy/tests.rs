use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::envoy::sidecar::Mode;
use crate::envoy::sidecar::Security;

/// Each document, as a file of its own: `0.yaml`, `1.yaml` and so on.
fn read(documents: &[&str]) -> Result<Policies, Vec<Refusal>> {
    let mesh = Mesh {
        root_namespace: "istio-system".to_owned(),
        cluster_domain: "cluster.local".to_owned(),
        default_namespace: "shop".to_owned(),
    };
    let name = |index| Arc::from(Path::new(&format!("{index}.yaml")));
    let files: Vec<(Arc<Path>, String)> = documents
        .iter()
        .enumerate()
        .map(|(index, text)| (name(index), (*text).to_owned()))
        .collect();
    Policies::read(&files, mesh)
}

fn cart() -> Workload {
    Workload {
        namespace: "shop".to_owned(),
        labels: vec![("app".to_owned(), "cart".to_owned())],
        service: Some("cart".to_owned()),
        ports: vec![8080, 15006],
    }
}

/// A `PeerAuthentication`; the mode is on line 3.
fn peer(namespace: &str, mode: &str, rest: &str) -> String {
    format!(
        "{{apiVersion: security.istio.io/v1beta1, kind: PeerAuthentication, metadata: {{name: {mode}, namespace: {namespace}}},\nspec: {{{rest}\nmtls: {{mode: {mode}}}}}}}\n"
    )
}

/// A `Policy` of OpenShift Service Mesh 1.
fn older(kind: &str, name: &str, spec: &str) -> String {
    let group = "authentication.maistra.io/v1";
    format!(
        "{{apiVersion: {group}, kind: {kind}, metadata: {{name: {name}}},\nspec: {{{spec}}}}}\n"
    )
}

/// A `DestinationRule`; the mode is on line 3.
fn rule(host: &str, mode: &str) -> String {
    rule_with(host, &format!("trafficPolicy: {{tls: {{\nmode: {mode}}}}}"))
}

fn rule_with(host: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1alpha3, kind: DestinationRule, metadata: {{name: r}},\nspec: {{host: '{host}', {spec}}}}}\n"
    )
}

const CART: &str = "selector: {matchLabels: {app: cart}},";
const TILL: &str = "selector: {matchLabels: {app: till}},";

fn refused<T: std::fmt::Debug>(answer: Result<T, Vec<Refusal>>) -> Vec<String> {
    let refusals = answer.unwrap_err();
    refusals.iter().map(ToString::to_string).collect()
}

#[test]
fn the_narrowest_policy_that_says_a_mode_decides() {
    let mesh = peer("istio-system", "STRICT", "");
    let port = |port: &str| format!("{CART} portLevelMtls: {{{port}: {{mode: DISABLE}}}},");
    let old = |targets: &str, mode: &str| {
        older(
            "Policy",
            "p",
            &format!("targets: [{targets}], peers: [{{mtls: {{mode: {mode}}}}}]"),
        )
    };
    for (documents, mode, line) in [
        (vec![], Mode::Permissive, "no policy says"),
        (vec![mesh.clone()], Mode::Strict, "(0.yaml:3)"),
        (
            vec![mesh.clone(), peer("shop", "DISABLE", "")],
            Mode::Disable,
            "(1.yaml:3)",
        ),
        (
            vec![mesh.clone(), peer("shop", "UNSET", "")],
            Mode::Strict,
            "(0.yaml:3)",
        ),
        (
            vec![mesh.clone(), peer("bank", "DISABLE", "")],
            Mode::Strict,
            "(0.yaml:3)",
        ),
        (
            vec![
                mesh.clone(),
                peer("shop", "DISABLE", ""),
                peer("shop", "PERMISSIVE", CART),
            ],
            Mode::Permissive,
            "(2.yaml:3)",
        ),
        (
            vec![mesh.clone(), peer("shop", "DISABLE", TILL)],
            Mode::Strict,
            "(0.yaml:3)",
        ),
        (
            vec![mesh.clone(), peer("bank", "DISABLE", CART)],
            Mode::Strict,
            "(0.yaml:3)",
        ),
        (
            vec![mesh.clone(), peer("shop", "UNSET", CART)],
            Mode::Strict,
            "(0.yaml:3)",
        ),
        (
            vec![mesh.clone(), peer("shop", "STRICT", &port("8080"))],
            Mode::Disable,
            "port 8080 of",
        ),
        (
            vec![mesh.clone(), peer("shop", "STRICT", &port("'8080'"))],
            Mode::Disable,
            "(1.yaml:2)",
        ),
        (
            vec![mesh.clone(), peer("shop", "PERMISSIVE", &port("9090"))],
            Mode::Permissive,
            "(1.yaml:3)",
        ),
        (
            vec![older("ServiceMeshPolicy", "default", "peers: [{mtls: {}}]")],
            Mode::Strict,
            "(0.yaml:2)",
        ),
        (
            vec![older("Policy", "default", "peers: [{mtls: }]")],
            Mode::Strict,
            "(0.yaml:2)",
        ),
        (
            vec![older("Policy", "default", "peers: []")],
            Mode::Disable,
            "(0.yaml:2)",
        ),
        (
            vec![older("Policy", "default", "")],
            Mode::Disable,
            "(0.yaml:1)",
        ),
        (
            vec![mesh.clone(), old("{name: cart}", "PERMISSIVE")],
            Mode::Permissive,
            "(1.yaml:2)",
        ),
        (
            vec![mesh.clone(), old("{name: till}", "PERMISSIVE")],
            Mode::Strict,
            "(0.yaml:3)",
        ),
        (
            vec![
                mesh.clone(),
                old("{name: cart, ports: [{number: 8080}]}", "PERMISSIVE"),
            ],
            Mode::Permissive,
            "port 8080",
        ),
        (
            vec![
                mesh.clone(),
                old("{name: cart, ports: [{number: 9090}]}", "PERMISSIVE"),
            ],
            Mode::Strict,
            "(0.yaml:3)",
        ),
    ] {
        let texts: Vec<&str> = documents.iter().map(String::as_str).collect();
        let decision = read(&texts).unwrap().inbound(&cart()).unwrap();
        assert_eq!(decision.value, mode, "{texts:#?}");
        assert!(
            decision.because.contains(line),
            "{}: {texts:#?}",
            decision.because
        );
    }
}

#[test]
fn policies_that_cannot_be_told_apart_are_refused_with_their_lines() {
    let strict = peer("shop", "STRICT", CART);
    let ports =
        format!("{CART} portLevelMtls: {{8080: {{mode: DISABLE}},\n15006: {{mode: STRICT}}}},");
    let target = older(
        "Policy",
        "p",
        "targets: [{name: cart}], peers: [{mtls: {}}]",
    );
    let nameless = Workload {
        labels: Vec::new(),
        service: None,
        ..cart()
    };
    for (documents, workload, answer) in [
        (
            vec![strict.clone(), peer("shop", "PERMISSIVE", CART)],
            cart(),
            "1.yaml:3: same-scope: PeerAuthentication shop/PERMISSIVE and PeerAuthentication shop/STRICT (0.yaml:3) are for the same workload; Istio takes the older one: keep one",
        ),
        (
            vec![strict.clone(), target.clone()],
            cart(),
            "1.yaml:2: same-scope: Policy shop/p and",
        ),
        (
            vec![peer("shop", "STRICT", ""), peer("shop", "STRICT", "")],
            cart(),
            "1.yaml:3: same-scope: ",
        ),
        (
            vec![strict.clone()],
            nameless.clone(),
            "0.yaml:3: undecided: PeerAuthentication shop/STRICT may be for this workload: say --labels",
        ),
        (
            vec![target],
            nameless,
            "0.yaml:2: undecided: Policy shop/p may be for this workload: say --service",
        ),
        (
            vec![peer("shop", "STRICT", &ports)],
            cart(),
            "0.yaml:3: undecided: port 15006 has STRICT, port 8080 has DISABLE: say which is the workload's with --port",
        ),
    ] {
        let texts: Vec<&str> = documents.iter().map(String::as_str).collect();
        let seen = refused(read(&texts).unwrap().inbound(&workload));
        assert!(seen.len() == 1 && seen[0].starts_with(answer), "{seen:#?}");
    }
}

#[test]
fn what_cannot_be_honoured_is_refused_with_file_line_rule_and_reason() {
    for (document, answer) in [
        (
            peer("shop", "strict", ""),
            "0.yaml:3: bad-value: expected UNSET, STRICT, PERMISSIVE or DISABLE, not \"strict\"",
        ),
        (
            peer("shop", "STRICT", "mtsl: {mode: STRICT},"),
            "0.yaml:2: unknown-field: PeerAuthentication has no field \"mtsl\"; did you mean mtls?",
        ),
        (
            peer("shop", "STRICT", "portLevelMtls: {80: {mode: STRICT}},"),
            "0.yaml:2: bad-value: portLevelMtls is for workloads: it needs a selector",
        ),
        (
            peer(
                "shop",
                "STRICT",
                &format!("{CART} portLevelMtls: {{http: {{mode: STRICT}}}},"),
            ),
            "0.yaml:2: bad-value: expected a port from 1 to 65535, not \"http\"",
        ),
        (
            peer("istio-system", "STRICT", CART),
            "0.yaml:2: not-honoured: a selector in the root namespace selects nobody",
        ),
        (
            peer("<namespace>", "STRICT", ""),
            "0.yaml:1: bad-value: the namespace is \"<namespace>\": put a name there",
        ),
        (
            peer("shop", "STRICT", "selector: {matchExpressions: []},"),
            "0.yaml:2: unknown-field: selector has no field \"matchExpressions\"",
        ),
        (
            peer("shop", "STRICT", "").replace("v1beta1", "v1alpha1"),
            "0.yaml:1: not-honoured: PeerAuthentication is known in v1beta1, v1, not in \"v1alpha1\"",
        ),
        (
            peer("shop", "STRICT", "").replace("spec:", "sepc:"),
            "0.yaml:2: unknown-field: PeerAuthentication has no field \"sepc\"; did you mean spec?",
        ),
        (
            older(
                "Policy",
                "default",
                "peerIsOptional: true, peers: [{mtls: {}}]",
            ),
            "0.yaml:2: not-honoured: peerIsOptional: ",
        ),
        (
            older("Policy", "default", "peer_is_optional: true"),
            "0.yaml:2: unknown-field: Policy has no field \"peer_is_optional\"; did you mean peerIsOptional?",
        ),
        (
            older("Policy", "default", "origins: [{jwt: {}}]"),
            "0.yaml:2: not-honoured: origins: this sidecar checks no tokens",
        ),
        (
            older("Policy", "default", "peers: [{jwt: {}}]"),
            "0.yaml:2: not-honoured: jwt: ",
        ),
        (
            older("Policy", "default", "peers: [{mtls: {allowTls: true}}]"),
            "0.yaml:2: not-honoured: allowTls: ",
        ),
        (
            older("Policy", "default", "peers: [{mtls: {mode: DISABLE}}]"),
            "0.yaml:2: bad-value: expected STRICT or PERMISSIVE, not \"DISABLE\"",
        ),
        (
            older("Policy", "other", "peers: [{mtls: {}}]"),
            "0.yaml:1: bad-value: without targets its name must be default",
        ),
        (
            older(
                "Policy",
                "p",
                "targets: [{name: cart, ports: [{name: http}]}]",
            ),
            "0.yaml:2: not-honoured: a port by name is not known here",
        ),
        (
            older("ServiceMeshPolicy", "default", "targets: [{name: cart}]"),
            "0.yaml:2: bad-value: a policy for the whole mesh has no targets",
        ),
        (
            older("ServiceMeshPolicy", "default, namespace: other", ""),
            "0.yaml:1: not-honoured: it holds for the mesh of other",
        ),
        (
            rule_with("cart", "trafficPolicy: {tls: {}}"),
            "0.yaml:2: bad-value: tls needs a mode",
        ),
        (
            rule_with("cart", "trafficPolicy: {tls: {mode: NONE}}"),
            "0.yaml:2: bad-value: expected DISABLE, SIMPLE, MUTUAL or ISTIO_MUTUAL, not \"NONE\"",
        ),
        (
            rule_with(
                "cart",
                "trafficPolicy: {portLevelSettings: [{tls: {mode: DISABLE}}]}",
            ),
            "0.yaml:2: bad-value: a port-level setting needs port.number",
        ),
        (
            rule_with("cart.shop.svc", ""),
            "0.yaml:2: bad-value: Istio completes no name with dots: write cart.shop.svc.cluster.local",
        ),
        (
            "kind: PeerAuthentication\n".to_owned(),
            "0.yaml:1: syntax: expected a resource with apiVersion and kind",
        ),
        (
            "a: 1\na: 2\n".to_owned(),
            "0.yaml:2: syntax: the key a is there twice, first on line 1",
        ),
        (
            "- 1\n".to_owned(),
            "0.yaml:1: bad-value: a resource must be a mapping, not a list",
        ),
    ] {
        let seen = refused(read(&[&document]));
        assert!(
            seen.iter().any(|line| line.starts_with(answer)),
            "{document}{seen:#?}"
        );
    }
}

#[test]
fn callers_that_are_made_to_speak_what_no_policy_takes_are_refused() {
    let policy = |documents: &[String]| documents.to_vec();
    let old = older(
        "Policy",
        "p",
        "targets: [{name: cart}], peers: [{mtls: {}}]",
    );
    for (host, others, is_refused) in [
        ("*.local", policy(&[]), true),
        (
            "*.local",
            policy(&[peer("istio-system", "PERMISSIVE", "")]),
            false,
        ),
        (
            "*.local",
            policy(&[peer("istio-system", "DISABLE", "")]),
            true,
        ),
        ("*.local", policy(&[peer("shop", "STRICT", "")]), true),
        (
            "*.shop.svc.cluster.local",
            policy(&[peer("shop", "STRICT", "")]),
            false,
        ),
        (
            "*.shop.svc.cluster.local",
            policy(&[peer("istio-system", "STRICT", "")]),
            false,
        ),
        (
            "*.shop.svc.cluster.local",
            policy(&[
                peer("istio-system", "STRICT", ""),
                peer("shop", "DISABLE", ""),
            ]),
            true,
        ),
        ("cart", policy(&[]), true),
        ("cart", policy(&[peer("shop", "DISABLE", "")]), true),
        (
            "cart",
            policy(&[peer("shop", "DISABLE", ""), peer("shop", "STRICT", TILL)]),
            false,
        ),
        ("cart", policy(&[old]), false),
        (
            "cart.bank.svc.cluster.local",
            policy(&[peer("shop", "STRICT", "")]),
            true,
        ),
        ("www.example.com", policy(&[]), false),
    ] {
        let documents: Vec<String> = [rule(host, "ISTIO_MUTUAL")]
            .into_iter()
            .chain(others)
            .collect();
        let texts: Vec<&str> = documents.iter().map(String::as_str).collect();
        match (read(&texts), is_refused) {
            (Ok(_), false) => {}
            (Err(seen), true) => {
                let line = seen[0].to_string();
                assert!(
                    line.starts_with("0.yaml:3: mtls-without-policy: "),
                    "{line}"
                );
            }
            (seen, _) => panic!("{host}: {texts:#?}\n{seen:#?}"),
        }
    }
}

#[test]
fn a_strict_policy_whose_callers_are_told_otherwise_is_refused() {
    let mesh = || peer("istio-system", "STRICT", "");
    let shop = || peer("shop", "STRICT", "");
    let old = older(
        "Policy",
        "p",
        "targets: [{name: cart}], peers: [{mtls: {}}]",
    );
    for (host, mode, others, is_refused) in [
        ("*.local", "DISABLE", vec![mesh()], true),
        ("*.local", "SIMPLE", vec![mesh()], true),
        ("*.local", "DISABLE", vec![shop()], true),
        (
            "*.local",
            "DISABLE",
            vec![peer("shop", "PERMISSIVE", "")],
            false,
        ),
        (
            "*.local",
            "DISABLE",
            vec![shop(), rule("*.shop.svc.cluster.local", "ISTIO_MUTUAL")],
            false,
        ),
        (
            "*.local",
            "DISABLE",
            vec![peer("shop", "STRICT", CART)],
            true,
        ),
        (
            "*.local",
            "DISABLE",
            vec![
                shop(),
                peer("shop", "STRICT", CART),
                rule("cart", "ISTIO_MUTUAL"),
            ],
            true,
        ),
        ("*.shop.svc.cluster.local", "DISABLE", vec![shop()], true),
        ("*.shop.svc.cluster.local", "DISABLE", vec![mesh()], true),
        (
            "*.shop.svc.cluster.local",
            "DISABLE",
            vec![mesh(), peer("shop", "PERMISSIVE", "")],
            false,
        ),
        ("*.bank.svc.cluster.local", "DISABLE", vec![shop()], false),
        ("cart", "DISABLE", vec![shop()], true),
        ("cart", "DISABLE", vec![mesh()], true),
        (
            "cart",
            "DISABLE",
            vec![shop(), peer("shop", "PERMISSIVE", CART)],
            false,
        ),
        ("cart", "DISABLE", vec![old], true),
        ("till", "DISABLE", vec![peer("shop", "STRICT", CART)], false),
    ] {
        let documents: Vec<String> = [rule(host, mode)].into_iter().chain(others).collect();
        let texts: Vec<&str> = documents.iter().map(String::as_str).collect();
        match (read(&texts), is_refused) {
            (Ok(_), false) => {}
            (Err(seen), true) => {
                let line = seen[0].to_string();
                let starts = format!(
                    "0.yaml:3: strict-without-mtls: DestinationRule shop/r has {mode} for callers, and "
                );
                assert!(
                    line.starts_with(&starts) && line.contains("yaml:"),
                    "{line}"
                );
            }
            (seen, _) => panic!("{host} {mode}: {texts:#?}\n{seen:#?}"),
        }
    }
}

#[test]
fn what_is_known_of_the_workload_itself_makes_more_certain() {
    let ports = "trafficPolicy: {tls: {mode: ISTIO_MUTUAL}, portLevelSettings: [{port: {number: 9090}, tls: {mode: DISABLE}}]}";
    let take = peer("shop", "PERMISSIVE", "");
    for (mode, selector, rule, answer) in [
        (
            "STRICT",
            CART,
            rule("cart", "DISABLE"),
            Some(
                "2.yaml:3: strict-without-mtls: DestinationRule shop/r has DISABLE for callers, and this workload has STRICT by PeerAuthentication shop/STRICT (1.yaml:3)",
            ),
        ),
        (
            "DISABLE",
            CART,
            rule("cart", "ISTIO_MUTUAL"),
            Some("2.yaml:3: mtls-without-policy: "),
        ),
        ("STRICT", CART, rule("till", "DISABLE"), None),
        ("STRICT", CART, rule_with("cart", ports), None),
        (
            "STRICT",
            CART,
            rule_with("cart", &ports.replace("9090", "8080")),
            Some("2.yaml:2: strict-without-mtls: "),
        ),
        ("PERMISSIVE", CART, rule("cart", "DISABLE"), None),
        ("STRICT", TILL, rule("cart", "DISABLE"), None),
    ] {
        let policies = read(&[&take, &peer("shop", mode, selector), &rule]).unwrap();
        let decided = policies.inbound(&cart()).unwrap();
        let seen = policies.check_callers(&cart(), &decided);
        match answer {
            None => assert_eq!(seen, Ok(()), "{rule}"),
            Some(answer) => {
                let line = refused(seen).remove(0);
                assert!(line.starts_with(answer), "{line}");
            }
        }
    }
}

#[test]
fn a_port_of_which_the_policies_say_otherwise_is_no_contradiction() {
    let level = |mode: &str| format!("{CART} portLevelMtls: {{9090: {{mode: {mode}}}}},");
    let ports = |mode: &str| {
        format!(
            "trafficPolicy: {{portLevelSettings: [{{port: {{number: 9090}}, tls: {{mode: {mode}}}}}]}}"
        )
    };
    for host in ["*.local", "*.shop.svc.cluster.local", "cart"] {
        let off = [
            peer("istio-system", "STRICT", ""),
            peer("shop", "UNSET", &level("DISABLE")),
            rule_with(host, &ports("DISABLE")),
        ];
        let on = [
            peer("istio-system", "DISABLE", ""),
            peer("shop", "UNSET", &level("STRICT")),
            rule_with(host, &ports("ISTIO_MUTUAL")),
        ];
        for documents in [off, on] {
            let [mesh, workload, rule] = &documents;
            assert!(read(&[mesh, workload, rule]).is_ok(), "{documents:#?}");
            assert!(read(&[mesh, rule]).is_err(), "{documents:#?}");
        }
    }
}

#[test]
fn the_nearest_rule_that_the_caller_sees_decides_what_it_speaks() {
    let take = peer("istio-system", "PERMISSIVE", "");
    let at = |text: String, namespace: &str| {
        text.replace("{name: r}", &format!("{{name: r, namespace: {namespace}}}"))
    };
    let port = "trafficPolicy: {tls: {mode: ISTIO_MUTUAL}, portLevelSettings: [{port: {number: 9080}, tls: {mode: DISABLE}}]}";
    let hidden = "exportTo: [.], trafficPolicy: {tls: {mode: DISABLE}}";
    let for_till =
        "workloadSelector: {matchLabels: {app: till}}, trafficPolicy: {tls: {mode: DISABLE}}";
    for (rules, is_mutual) in [
        (vec![], true),
        (vec![rule("till", "DISABLE")], false),
        (
            vec![rule("till", "ISTIO_MUTUAL"), rule("*.local", "DISABLE")],
            true,
        ),
        (
            vec![
                rule("*.shop.svc.cluster.local", "DISABLE"),
                rule("*", "ISTIO_MUTUAL"),
            ],
            false,
        ),
        (
            vec![
                at(rule("*", "ISTIO_MUTUAL"), "istio-system"),
                rule("*.local", "DISABLE"),
            ],
            false,
        ),
        (vec![at(rule("*", "DISABLE"), "istio-system")], false),
        (vec![at(rule("*", "DISABLE"), "bank")], true),
        (vec![rule_with("till", port)], false),
        (vec![rule_with("till", &port.replace("9080", "9081"))], true),
        (
            vec![at(
                rule_with("till.shop.svc.cluster.local", hidden),
                "istio-system",
            )],
            true,
        ),
        (vec![rule_with("till", hidden)], false),
        (vec![rule_with("till", for_till)], true),
        (
            vec![rule_with(
                "till",
                "subsets: [{name: v1, labels: {version: v1}}]",
            )],
            true,
        ),
    ] {
        let documents: Vec<String> = [take.clone()].into_iter().chain(rules).collect();
        let texts: Vec<&str> = documents.iter().map(String::as_str).collect();
        let decision = read(&texts)
            .unwrap()
            .outbound(&cart(), &till(None))
            .unwrap();
        assert_eq!(
            decision.value != Security::Plain,
            is_mutual,
            "{texts:#?}\n{decision:?}"
        );
    }
}

fn till(mtls: Option<bool>) -> Destination<'static> {
    Destination {
        host: "till",
        port: 9080,
        peers: &[],
        mtls,
    }
}

#[test]
fn without_a_rule_a_caller_speaks_what_the_peers_policies_take() {
    for (policies, is_mutual) in [
        (vec![peer("shop", "DISABLE", "")], Some(false)),
        (vec![peer("istio-system", "DISABLE", "")], Some(false)),
        (
            vec![
                peer("istio-system", "DISABLE", ""),
                peer("shop", "STRICT", ""),
            ],
            Some(true),
        ),
        (vec![peer("shop", "DISABLE", TILL)], None),
    ] {
        let texts: Vec<&str> = policies.iter().map(String::as_str).collect();
        let policies = read(&texts).unwrap();
        let seen = policies.outbound(&cart(), &till(None));
        assert_eq!(
            seen.as_ref().ok().map(|seen| seen.value != Security::Plain),
            is_mutual,
            "{texts:?}"
        );
        if is_mutual.is_none() {
            let line = refused(seen).remove(0);
            assert!(
                line.starts_with("0.yaml:3: undecided: ")
                    && line.ends_with("say mtls=on or mtls=off in --outbound"),
                "{line}"
            );
            assert!(policies.outbound(&cart(), &till(Some(false))).is_ok());
        }
    }
}

#[test]
fn a_rule_that_cannot_be_followed_is_refused_only_when_it_is_asked_for() {
    let take = peer("istio-system", "PERMISSIVE", "");
    let tls = |more: &str| format!("trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL, {more}}}}}");
    let refusals = [
        (
            "trafficPolicy: {tls: {mode: SIMPLE}}".to_owned(),
            "1.yaml:2: not-honoured: SIMPLE: ",
        ),
        (
            "trafficPolicy: {tls: {mode: MUTUAL}}".to_owned(),
            "1.yaml:2: not-honoured: MUTUAL: ",
        ),
        (
            "trafficPolicy: {connectionPool: {}}".to_owned(),
            "1.yaml:2: not-honoured: connectionPool: ",
        ),
        (
            tls("caCertificates: /x"),
            "1.yaml:2: not-honoured: caCertificates: ",
        ),
        (
            tls("subjectAltNames: [till.example.com]"),
            "1.yaml:2: not-honoured: a peer is known by its SPIFFE ID here",
        ),
        (
            "subsets: [{name: v1, trafficPolicy: {tls: {mode: DISABLE}}}]".to_owned(),
            "1.yaml:2: not-honoured: tls of a subset",
        ),
    ];
    for (spec, answer) in refusals {
        let document = rule_with("till", &spec);
        let policies = read(&[&take, &document]).unwrap();
        let seen = refused(policies.outbound(&cart(), &till(None)));
        assert!(seen[0].starts_with(answer), "{seen:?}");
        let other = Destination {
            host: "other",
            ..till(None)
        };
        assert!(policies.outbound(&cart(), &other).is_ok());
    }
    let two = [
        &take as &str,
        &rule("till", "DISABLE"),
        &rule("till", "DISABLE"),
    ]
    .map(str::to_owned);
    let two: Vec<&str> = two.iter().map(String::as_str).collect();
    let seen = refused(read(&two).unwrap().outbound(&cart(), &till(None)));
    assert!(seen[0].starts_with("2.yaml:2: same-scope: "), "{seen:?}");
    let off = read(&[&take, &rule("till", "ISTIO_MUTUAL")]).unwrap();
    let seen = refused(off.outbound(&cart(), &till(Some(false))));
    assert!(
        seen[0].ends_with("DestinationRule shop/r has ISTIO_MUTUAL, --outbound has mtls=off"),
        "{seen:?}"
    );
}

#[test]
fn a_rule_names_the_peer_and_the_name_asked_for() {
    let spec = "trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: till.example, subjectAltNames: ['spiffe://td/till']}}";
    let policies = read(&[&peer("shop", "STRICT", ""), &rule_with("till", spec)]).unwrap();
    let decision = policies.outbound(&cart(), &till(None)).unwrap();
    let peers = vec!["spiffe://td/till".parse().unwrap()];
    let sni = Some("till.example".to_owned());
    assert_eq!(decision.value, Security::Mutual { peers, sni });
    let other = ["spiffe://td/other".parse().unwrap()];
    let to = Destination {
        peers: &other,
        ..till(None)
    };
    let seen = refused(policies.outbound(&cart(), &to));
    assert!(
        seen[0].ends_with("and --outbound name other peers"),
        "{seen:?}"
    );
}

#[test]
fn lists_are_unpacked_and_other_kinds_are_passed_over_with_a_note() {
    let inner = peer("shop", "STRICT", "");
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {}",
        inner.replace('\n', "\n  ")
    );
    let other = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nspec: {x: 1}\n";
    let kyverno = "apiVersion: kyverno.io/v1\nkind: Policy\nmetadata: {namespace: '{{ns}}'}\n";
    let policies = read(&[&list, other, kyverno]).unwrap();
    assert_eq!(policies.inbound(&cart()).unwrap().value, Mode::Strict);
    assert_eq!(policies.notes.len(), 2);
    assert_eq!(
        policies.notes[0],
        "1.yaml:1: passed over: AuthorizationPolicy is not honoured here"
    );
}
