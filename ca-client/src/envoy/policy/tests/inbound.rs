//! Which policy decides what callers may speak?

use super::*;

#[test]
fn the_narrowest_policy_that_says_a_mode_decides() {
    use Mode::Disable;
    use Mode::Permissive;
    use Mode::Strict;
    const MESH: &str = "peer istio-system STRICT; ";
    for (narrower, mode, because) in [
        ("", Strict, "(0.yaml:3)"),
        ("peer shop DISABLE", Disable, "(1.yaml:3)"),
        ("peer shop UNSET", Strict, "(0.yaml:3)"),
        ("peer bank DISABLE", Strict, "(0.yaml:3)"),
        (
            "peer shop DISABLE; peer shop PERMISSIVE app=cart",
            Permissive,
            "(2.yaml:3)",
        ),
        ("peer shop DISABLE app=till", Strict, "(0.yaml:3)"),
        ("peer bank DISABLE app=cart", Strict, "(0.yaml:3)"),
        ("peer shop UNSET app=cart", Strict, "(0.yaml:3)"),
        (
            "peer shop DISABLE; peer shop UNSET app=cart",
            Disable,
            "(1.yaml:3)",
        ),
        (
            "peer shop STRICT app=cart 8080:DISABLE",
            Disable,
            "port 8080 of",
        ),
        (
            "peer shop STRICT app=cart '8080':DISABLE",
            Disable,
            "(1.yaml:2)",
        ),
        (
            "peer shop PERMISSIVE app=cart 9090:DISABLE",
            Permissive,
            "(1.yaml:3)",
        ),
        (
            "peer shop PERMISSIVE app=cart 8080:UNSET",
            Permissive,
            "(1.yaml:3)",
        ),
    ] {
        let decision = world(&format!("{MESH}{narrower}")).unwrap();
        let decision = decision.inbound(&cart()).unwrap();
        assert_eq!(decision.value, mode, "{narrower}");
        assert!(
            decision.because.contains(because),
            "{narrower}: {decision:?}"
        );
    }
    let nothing = world("").unwrap().inbound(&cart()).unwrap();
    assert_eq!(nothing.value, Permissive);
}

#[test]
fn older_policies_have_the_same_scopes_and_say_it_by_peers() {
    use Mode::Disable;
    use Mode::Permissive;
    use Mode::Strict;
    const MTLS: &str = "peers: [{mtls: {mode: PERMISSIVE}}]";
    let target = |target: &str| {
        format!(
            "old ServiceMeshPolicy default peers: [{{mtls: }}]; old Policy p targets: [{target}], {MTLS}"
        )
    };
    for (short, mode, because) in [
        (
            "old ServiceMeshPolicy default peers: [{mtls: {}}]",
            Strict,
            "(0.yaml:2)",
        ),
        ("old Policy default peers: [{mtls: }]", Strict, "(0.yaml:2)"),
        ("old Policy default peers: []", Disable, "(0.yaml:2)"),
        ("old Policy default ", Disable, "(0.yaml:1)"),
        (&target("{name: cart}"), Permissive, "(1.yaml:2)"),
        (&target("{name: till}"), Strict, "(0.yaml:2)"),
        (
            &target("{name: cart, ports: [{number: 80}]}"),
            Permissive,
            "port 80 of",
        ),
        (
            &target("{name: cart, ports: [{number: 8080}]}"),
            Strict,
            "(0.yaml:2)",
        ),
    ] {
        let decision = world(short).unwrap().inbound(&cart()).unwrap();
        assert_eq!(decision.value, mode, "{short}");
        assert!(decision.because.contains(because), "{short}: {decision:?}");
    }
}

#[test]
fn policies_of_one_scope_are_refused_with_both_lines() {
    const TARGET: &str = "old Policy p targets: [{name: cart}], peers: [{mtls: {}}]";
    for (short, answer) in [
        (
            "peer shop STRICT app=cart; peer shop PERMISSIVE app=cart",
            "1.yaml:3: same-scope: PeerAuthentication shop/PERMISSIVE and PeerAuthentication shop/STRICT (0.yaml:3) are for the same workload; Istio takes the older one: keep one",
        ),
        (&format!("{TARGET}; {TARGET}"), "1.yaml:2: same-scope: "),
        (
            "peer shop STRICT; peer shop STRICT",
            "1.yaml:3: same-scope: ",
        ),
        (
            "peer istio-system STRICT; peer istio-system DISABLE",
            "1.yaml:3: same-scope: ",
        ),
    ] {
        let seen = refused(world(short));
        assert!(seen.len() == 1 && seen[0].starts_with(answer), "{seen:#?}");
    }
    let both = world(&format!("peer shop STRICT app=cart; {TARGET}")).unwrap();
    let seen = refused(both.inbound(&cart()));
    let answer =
        "1.yaml:2: same-scope: Policy shop/p and PeerAuthentication shop/STRICT (0.yaml:3)";
    assert!(seen.len() == 1 && seen[0].starts_with(answer), "{seen:#?}");
    let other_port = TARGET.replace("cart}", "cart, ports: [{number: 9090}]}");
    assert!(
        world(&format!("{TARGET}; {other_port}"))
            .unwrap()
            .inbound(&cart())
            .is_ok()
    );
}

#[test]
fn a_policy_that_may_or_may_not_be_meant_asks_for_the_flag_that_says_so() {
    let nameless = Workload {
        labels: Vec::new(),
        service: None,
        ..cart()
    };
    for (short, answer) in [
        (
            "peer shop STRICT app=cart",
            "0.yaml:3: undecided: PeerAuthentication shop/STRICT may be for this workload: say --labels",
        ),
        (
            "old Policy p targets: [{name: cart}]",
            "0.yaml:1: undecided: Policy shop/p may be for this workload: say --service",
        ),
    ] {
        let seen = refused(world(short).unwrap().inbound(&nameless));
        assert!(seen.len() == 1 && seen[0].starts_with(answer), "{seen:#?}");
    }
    let ports = "selector: {matchLabels: {app: cart}}, portLevelMtls: {8080: {mode: DISABLE}, 15006: {mode: STRICT}},";
    let seen = refused(
        read(&[&peer("shop", "STRICT", ports)])
            .unwrap()
            .inbound(&cart()),
    );
    assert_eq!(
        seen,
        [
            "0.yaml:2: undecided: port 15006 has STRICT, port 8080 has DISABLE: say which is the workload's with --port"
        ]
    );
}

#[test]
fn policies_of_one_scope_are_refused_in_every_namespace() {
    const TARGET: &str = "old Policy p targets: [{name: cart}], peers: [{mtls: {}}]";
    let pairs = "selector: {matchLabels: {app: till, tier: one}},";
    let turned = "selector: {matchLabels: {tier: one, app: till}},";
    for documents in [
        written("peer bank STRICT; peer bank DISABLE"),
        written("peer bank STRICT app=till; peer bank DISABLE app=till"),
        vec![
            peer("bank", "STRICT", pairs),
            peer("bank", "DISABLE", turned),
        ],
        written(&format!("{TARGET}; {TARGET}").replace("cart", "till")),
        written("peer istio-system STRICT; old ServiceMeshPolicy default peers: []"),
    ] {
        let texts: Vec<&str> = documents.iter().map(String::as_str).collect();
        let seen = refused(read(&texts));
        let is_first = seen[0].starts_with("1.yaml:") && seen[0].contains(": same-scope: ");
        assert!(seen.len() == 1 && is_first, "{documents:?}: {seen:?}");
    }
    let apart = "peer bank STRICT app=till; peer bank STRICT app=cart; peer shop STRICT app=till";
    assert!(world(apart).is_ok());
}

#[test]
fn an_older_policys_ports_are_those_of_the_service() {
    let short = "old Policy p targets: [{name: cart, ports: [{number: 8080}]}]";
    let unknown = Workload {
        service_port: None,
        ..cart()
    };
    let policies = world(&format!("peer istio-system STRICT; {short}")).unwrap();
    assert_eq!(
        refused(policies.inbound(&unknown)),
        ["1.yaml:1: undecided: Policy shop/p may be for this workload: say --service-port"]
    );
    assert_eq!(policies.inbound(&cart()).unwrap().value, Mode::Strict);
    let at = Workload {
        service_port: Some(8080),
        ports: vec![80],
        ..cart()
    };
    assert_eq!(policies.inbound(&at).unwrap().value, Mode::Disable);
    let other = Workload {
        service: Some("till".to_owned()),
        ..unknown
    };
    assert_eq!(policies.inbound(&other).unwrap().value, Mode::Strict);
}
