//! Which rule decides what a workload speaks?

use super::*;

#[test]
fn the_nearest_rule_that_the_caller_sees_decides_what_it_speaks() {
    const PORT: &str = "rule till {trafficPolicy: {tls: {mode: ISTIO_MUTUAL}, portLevelSettings: [{port: {number: 9080}, tls: {mode: DISABLE}}]}}";
    const HIDDEN: &str = "{exportTo: [.], trafficPolicy: {tls: {mode: DISABLE}}}";
    const FOR_TILL: &str = "rule till {workloadSelector: {matchLabels: {app: till}}, trafficPolicy: {tls: {mode: DISABLE}}}";
    for (rules, is_mutual) in [
        ("", true),
        ("rule till DISABLE", false),
        ("rule till ISTIO_MUTUAL; rule *.local DISABLE", true),
        (
            "rule *.shop.svc.cluster.local DISABLE; rule * ISTIO_MUTUAL",
            false,
        ),
        (
            "rule *@istio-system ISTIO_MUTUAL; rule *.local DISABLE",
            false,
        ),
        ("rule *@istio-system DISABLE", false),
        ("rule *@bank DISABLE", true),
        (PORT, false),
        (&PORT.replace("9080", "9081"), true),
        (
            &format!("rule till.shop.svc.cluster.local@istio-system {HIDDEN}"),
            true,
        ),
        (&format!("rule till {HIDDEN}"), false),
        (FOR_TILL, true),
        (
            "rule till {subsets: [{name: v1, labels: {version: v1}}]}",
            true,
        ),
    ] {
        let policies = world(&format!("peer istio-system PERMISSIVE; {rules}")).unwrap();
        let decision = policies.outbound(&cart(), &till(None)).unwrap();
        assert_eq!(
            decision.value != Security::Plain,
            is_mutual,
            "{rules}\n{decision:?}"
        );
    }
}

#[test]
fn without_a_rule_a_caller_speaks_what_the_peers_policies_take() {
    for (short, is_mutual) in [
        ("peer shop DISABLE", false),
        ("peer istio-system DISABLE", false),
        ("peer istio-system DISABLE; peer shop STRICT", true),
        ("peer shop STRICT app=till", true),
    ] {
        let decision = world(short)
            .unwrap()
            .outbound(&cart(), &till(None))
            .unwrap();
        assert_eq!(decision.value != Security::Plain, is_mutual, "{short}");
    }
    let policies = world("peer shop DISABLE app=till").unwrap();
    let seen = refused(policies.outbound(&cart(), &till(None)));
    assert_eq!(
        seen,
        [
            "0.yaml:3: undecided: PeerAuthentication shop/DISABLE may turn mutual TLS off for till: say mtls=on or mtls=off in --outbound"
        ]
    );
    assert!(policies.outbound(&cart(), &till(Some(false))).is_ok());
}

#[test]
fn a_rule_that_cannot_be_followed_is_refused_only_when_it_is_asked_for() {
    for (spec, answer) in [
        ("trafficPolicy: {tls: {mode: SIMPLE}}", "SIMPLE: "),
        ("trafficPolicy: {tls: {mode: MUTUAL}}", "MUTUAL: "),
        ("trafficPolicy: {connectionPool: {}}", "connectionPool: "),
        (
            "trafficPolicy: {tls: {mode: ISTIO_MUTUAL, caCertificates: /x}}",
            "caCertificates: ",
        ),
        (
            "trafficPolicy: {tls: {mode: ISTIO_MUTUAL, subjectAltNames: [till]}}",
            "a peer is known by",
        ),
        (
            "subsets: [{name: v1, trafficPolicy: {tls: {mode: DISABLE}}}]",
            "tls of a subset",
        ),
    ] {
        let policies = world(&format!("peer shop PERMISSIVE; rule till {{{spec}}}")).unwrap();
        let seen = refused(policies.outbound(&cart(), &till(None)));
        let answer = format!("1.yaml:2: not-honoured: {answer}");
        assert!(seen[0].starts_with(&answer), "{seen:?}");
        let other = Destination {
            host: "other",
            ..till(None)
        };
        assert!(policies.outbound(&cart(), &other).is_ok());
    }
    let two = world("rule till DISABLE; rule till DISABLE").unwrap();
    let seen = refused(two.outbound(&cart(), &till(None)));
    assert!(seen[0].starts_with("1.yaml:2: same-scope: "), "{seen:?}");
    let on = world("peer shop STRICT; rule till ISTIO_MUTUAL").unwrap();
    let seen = refused(on.outbound(&cart(), &till(Some(false))));
    assert!(
        seen[0].ends_with("DestinationRule shop/r has ISTIO_MUTUAL, --outbound has mtls=off"),
        "{seen:?}"
    );
}

#[test]
fn a_rule_names_the_peer_and_the_name_asked_for() {
    let tls = "mode: ISTIO_MUTUAL, sni: till.example, subjectAltNames: ['spiffe://td/till']";
    let short = format!("peer shop STRICT; rule till {{trafficPolicy: {{tls: {{{tls}}}}}}}");
    let policies = world(&short).unwrap();
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
fn a_port_level_setting_is_for_a_port_of_the_service() {
    const HOST: &str = "tls: {mode: ISTIO_MUTUAL}, ";
    let to = |service_port| Destination {
        service_port,
        ..till(None)
    };
    for (host, level, is_decided) in [
        (HOST, "DISABLE", false),
        ("", "DISABLE", false),
        (HOST, "ISTIO_MUTUAL", true),
        (HOST, "ISTIO_MUTUAL, sni: x", false),
    ] {
        let level =
            format!("portLevelSettings: [{{port: {{number: 80}}, tls: {{mode: {level}}}}}]");
        let short = format!("peer shop PERMISSIVE; rule till {{trafficPolicy: {{{host}{level}}}}}");
        let policies = world(&short).unwrap();
        match policies.outbound(&cart(), &to(None)) {
            Ok(_) if is_decided => {}
            seen @ Err(_) if !is_decided => assert_eq!(
                refused(seen),
                [
                    "1.yaml:2: undecided: DestinationRule shop/r has other settings for single ports of till: say which is the service's with port=N in --outbound"
                ]
            ),
            seen => panic!("{short}: {seen:?}"),
        }
        let mutual = policies.outbound(&cart(), &to(Some(81))).unwrap();
        assert_ne!(mutual.value, Security::Plain, "{short}");
        let at = policies.outbound(&cart(), &to(Some(80))).unwrap();
        let is_plain = level.contains("DISABLE");
        assert_eq!(at.value == Security::Plain, is_plain, "{short}");
    }
}

#[test]
fn a_peer_with_a_name_is_never_spoken_to_in_plain_text() {
    let named = ["spiffe://td/till".parse().unwrap()];
    let to = Destination {
        peers: &named,
        ..till(None)
    };
    for (short, answer) in [
        (
            "peer shop DISABLE",
            "0.yaml:3: not-honoured: PeerAuthentication shop/DISABLE has DISABLE",
        ),
        (
            "peer istio-system DISABLE",
            "0.yaml:3: not-honoured: PeerAuthentication istio-system/DISABLE has DISABLE",
        ),
        (
            "rule till DISABLE",
            "0.yaml:3: not-honoured: DestinationRule shop/r has DISABLE",
        ),
    ] {
        let seen = refused(world(short).unwrap().outbound(&cart(), &to));
        let why = "and --outbound names the peer's SPIFFE ID, which nobody proves in plain text: drop one of the two";
        assert_eq!(seen, [format!("{answer}, {why}")], "{short}");
    }
}
