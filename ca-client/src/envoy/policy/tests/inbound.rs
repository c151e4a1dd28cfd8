//! Which policy decides what callers may speak?

use super::*;

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
