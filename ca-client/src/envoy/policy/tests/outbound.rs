//! Which rule decides what a workload speaks?

use super::*;

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
