//! What is refused as it is read, and what is passed over?

use super::*;

/// One of the lines that `document` is refused with begins so.
fn check(document: &str, answer: &str) {
    let seen = refused(read(&[document]));
    let answer = format!("0.yaml:{answer}");
    assert!(
        seen.iter().any(|line| line.starts_with(&answer)),
        "{document}{seen:#?}"
    );
}

#[test]
fn what_a_peer_authentication_cannot_have_is_refused_where_it_stands() {
    for (short, answer) in [
        (
            "peer shop strict",
            "3: bad-value: expected UNSET, STRICT, PERMISSIVE or DISABLE, not \"strict\"",
        ),
        (
            "peer shop STRICT 80:STRICT",
            "2: bad-value: portLevelMtls is for workloads: it needs a selector",
        ),
        (
            "peer shop STRICT app=cart http:STRICT",
            "2: bad-value: expected a port from 1 to 65535, not \"http\"",
        ),
        (
            "peer istio-system STRICT app=cart",
            "2: not-honoured: a selector in the root namespace selects nobody",
        ),
        (
            "peer <namespace> STRICT",
            "1: bad-value: the namespace is \"<namespace>\": put a name there",
        ),
    ] {
        check(&one(short), answer);
    }
    let strict = one("peer shop STRICT app=cart");
    for (from, to, answer) in [
        (
            "selector",
            "selecter",
            "2: unknown-field: PeerAuthentication has no field \"selecter\"; did you mean selector?",
        ),
        (
            "matchLabels",
            "matchExpressions",
            "2: unknown-field: selector has no field \"matchExpressions\"",
        ),
        (
            "v1beta1",
            "v1alpha1",
            "1: not-honoured: PeerAuthentication is known in v1beta1, v1, not in \"v1alpha1\"",
        ),
        (
            "spec:",
            "sepc:",
            "2: unknown-field: PeerAuthentication has no field \"sepc\"; did you mean spec?",
        ),
        (
            "mode: ",
            "mode: ,x: ",
            "3: unknown-field: mtls has no field \"x\"",
        ),
    ] {
        check(&strict.replace(from, to), answer);
    }
}

#[test]
fn what_an_older_policy_cannot_have_is_refused_where_it_stands() {
    for (short, answer) in [
        (
            "Policy default peerIsOptional: true",
            "2: not-honoured: peerIsOptional: ",
        ),
        (
            "Policy default peer_is_optional: true",
            "2: unknown-field: Policy has no field \"peer_is_optional\"; did you mean peerIsOptional?",
        ),
        (
            "Policy default origins: [{jwt: {}}]",
            "2: not-honoured: origins: this sidecar checks no tokens",
        ),
        (
            "Policy default peers: [{jwt: {}}]",
            "2: not-honoured: jwt: ",
        ),
        (
            "Policy default peers: [{mtls: {allowTls: true}}]",
            "2: not-honoured: allowTls: ",
        ),
        (
            "Policy default peers: [{mtls: {mode: DISABLE}}]",
            "2: bad-value: expected STRICT or PERMISSIVE, not \"DISABLE\"",
        ),
        (
            "Policy other peers: [{mtls: {}}]",
            "1: bad-value: without targets its name must be default",
        ),
        (
            "Policy p targets: [{name: cart, ports: [{name: http}]}]",
            "2: not-honoured: a port by name is not known here",
        ),
        (
            "Policy p targets: []",
            "2: bad-value: no target is listed: without the field it holds for the whole namespace",
        ),
        (
            "Policy p targets: [{name: cart, ports: []}]",
            "2: bad-value: no port is listed: without the field it holds for all of them",
        ),
        (
            "Policy p targets: [{name: cart, ports: [{}]}]",
            "2: bad-value: a port needs its number",
        ),
        (
            "ServiceMeshPolicy default targets: [{name: cart}]",
            "2: bad-value: a policy for the whole mesh has no targets",
        ),
    ] {
        check(&one(&format!("old {short}")), answer);
    }
    let elsewhere = older("ServiceMeshPolicy", "default, namespace: other", "");
    check(
        &elsewhere,
        "1: not-honoured: it holds for the mesh of other",
    );
}

#[test]
fn what_a_destination_rule_cannot_have_is_refused_where_it_stands() {
    for (short, answer) in [
        (
            "cart {trafficPolicy: {tls: {}}}",
            "2: bad-value: tls needs a mode",
        ),
        (
            "cart NONE",
            "3: bad-value: expected DISABLE, SIMPLE, MUTUAL or ISTIO_MUTUAL, not \"NONE\"",
        ),
        (
            "cart {trafficPolicy: {portLevelSettings: [{tls: {mode: DISABLE}}]}}",
            "2: bad-value: a port-level setting needs port.number",
        ),
        (
            "cart.shop.svc DISABLE",
            "2: bad-value: Istio completes no name with dots: write cart.shop.svc.cluster.local",
        ),
        (
            "<host> DISABLE",
            "2: bad-value: the host is \"<host>\": put a name there",
        ),
        (
            "cart {trafficpolicy: {}}",
            "2: unknown-field: DestinationRule has no field \"trafficpolicy\"; did you mean trafficPolicy?",
        ),
        (
            "cart {exportTo: all}",
            "2: bad-value: exportTo must be a list, not a scalar",
        ),
    ] {
        check(&one(&format!("rule {short}")), answer);
    }
}

#[test]
fn what_is_no_resource_is_refused_where_it_stands() {
    for (document, answer) in [
        (
            "kind: PeerAuthentication\n",
            "1: syntax: expected a resource with apiVersion and kind",
        ),
        (
            "a: 1\na: 2\n",
            "2: syntax: the key a is there twice, first on line 1",
        ),
        (
            "- 1\n",
            "1: bad-value: a resource must be a mapping, not a list",
        ),
    ] {
        check(document, answer);
    }
}

#[test]
fn lists_are_unpacked_and_other_kinds_are_passed_over_with_a_note() {
    let inner = one("peer shop STRICT").replace('\n', "\n  ");
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {inner}");
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
    for short in [
        "peer shop STRICT app=cart 8080:DISABLE",
        "rule *.local {trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}, exportTo: ['.']}",
        "old Policy p targets: [{name: cart, ports: [{number: 8080}]}], peers: [{mtls: {mode: STRICT}}]",
    ] {
        let whole = one(short);
        for end in 0..whole.len() {
            let beginning: String = whole.chars().take(end).collect();
            if let Ok(policies) = read(&[&beginning]) {
                drop(policies.inbound(&cart()));
                drop(policies.outbound(&cart(), &till(None)));
            }
        }
    }
}
