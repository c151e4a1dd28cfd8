//! What is refused as it is read, and what is passed over?

use super::*;

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

#[test]
fn no_beginning_of_a_file_is_a_panic() {
    let list = format!(
        "kind: List\napiVersion: v1\nitems:\n- {}",
        peer("shop", "STRICT", CART).replace('\n', "\n  ")
    );
    let settings = "trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}, subsets: [{name: x}], exportTo: ['.']";
    let targets =
        "targets: [{name: cart, ports: [{number: 8080}]}], peers: [{mtls: {mode: STRICT}}]";
    for whole in [
        list,
        rule_with("*.local", settings),
        older("Policy", "p", targets),
    ] {
        for end in 0..whole.len() {
            let beginning: String = whole.chars().take(end).collect();
            if let Ok(policies) = read(&[&beginning]) {
                drop(policies.inbound(&cart()));
                drop(policies.outbound(&cart(), &till(None)));
            }
        }
    }
}
