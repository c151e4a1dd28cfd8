//! Which policies cannot both be meant?

use super::*;

/// Whether `short` is refused, and then by `answer` first.
fn check(short: &str, answer: Option<&str>) {
    match (world(short), answer) {
        (Ok(_), None) => {}
        (Err(seen), Some(answer)) => {
            let line = seen[0].to_string();
            assert!(line.starts_with(answer), "{short}\n{line}");
        }
        (seen, _) => panic!("{short}\n{seen:#?}"),
    }
}

#[test]
fn callers_that_are_made_to_speak_what_no_policy_takes_are_refused() {
    const REFUSED: Option<&str> =
        Some("0.yaml:3: mtls-without-policy: DestinationRule shop/r makes ");
    const SHOP: &str = "*.shop.svc.cluster.local";
    const OLD: &str = "old Policy p targets: [{name: cart}], peers: [{mtls: {}}]";
    for (host, others, answer) in [
        ("*.local", "", REFUSED),
        ("*.local", "peer istio-system PERMISSIVE", None),
        ("*.local", "peer istio-system DISABLE", REFUSED),
        (
            "*.local",
            "peer istio-system DISABLE; peer shop STRICT",
            REFUSED,
        ),
        ("*.local", "peer shop STRICT", None),
        ("*.local", "peer shop UNSET", REFUSED),
        ("*.local", "peer shop DISABLE", REFUSED),
        (
            "*.local",
            "peer shop DISABLE; peer shop STRICT app=till",
            None,
        ),
        ("*.local", "old Policy default peers: [{mtls: {}}]", None),
        ("*.local", OLD, None),
        (SHOP, "", REFUSED),
        (SHOP, "peer shop STRICT", None),
        (SHOP, "peer shop STRICT app=till", None),
        (SHOP, OLD, None),
        (SHOP, "peer bank STRICT app=till", REFUSED),
        (
            SHOP,
            "peer shop DISABLE; peer shop STRICT app=till",
            REFUSED,
        ),
        (SHOP, "peer istio-system STRICT", None),
        (SHOP, "peer istio-system STRICT; peer shop DISABLE", REFUSED),
        ("cart", "", REFUSED),
        ("cart", "peer shop DISABLE", REFUSED),
        ("cart", "peer shop DISABLE; peer shop STRICT app=till", None),
        ("cart", OLD, None),
        ("till", OLD, REFUSED),
        ("cart.bank.svc.cluster.local", "peer shop STRICT", REFUSED),
        ("www.example.com", "", None),
    ] {
        check(&format!("rule {host} ISTIO_MUTUAL; {others}"), answer);
    }
}

#[test]
fn a_strict_policy_whose_callers_are_told_otherwise_is_refused() {
    const REFUSED: Option<&str> =
        Some("0.yaml:3: strict-without-mtls: DestinationRule shop/r has ");
    const SHOP: &str = "*.shop.svc.cluster.local";
    const MUTUAL: &str = "peer shop STRICT; rule *.shop.svc.cluster.local ISTIO_MUTUAL";
    const CART: &str = "peer shop STRICT; peer shop STRICT app=cart; rule cart ISTIO_MUTUAL";
    const OLD: &str = "old Policy p targets: [{name: cart}], peers: [{mtls: {}}]";
    for (host, mode, others, answer) in [
        ("*.local", "DISABLE", "peer istio-system STRICT", REFUSED),
        ("*.local", "SIMPLE", "peer istio-system STRICT", REFUSED),
        ("*.local", "DISABLE", "peer shop STRICT", REFUSED),
        ("*.local", "DISABLE", "peer shop PERMISSIVE", None),
        ("*.local", "DISABLE", MUTUAL, None),
        ("*.local", "DISABLE", "peer shop STRICT app=cart", REFUSED),
        ("*.local", "DISABLE", CART, REFUSED),
        (SHOP, "DISABLE", "peer shop STRICT", REFUSED),
        (SHOP, "DISABLE", "peer istio-system STRICT", REFUSED),
        (
            SHOP,
            "DISABLE",
            "peer istio-system STRICT; peer shop PERMISSIVE",
            None,
        ),
        (
            "*.bank.svc.cluster.local",
            "DISABLE",
            "peer shop STRICT",
            None,
        ),
        ("cart", "DISABLE", "peer shop STRICT", REFUSED),
        ("cart", "DISABLE", "peer istio-system STRICT", REFUSED),
        (
            "cart",
            "DISABLE",
            "peer shop STRICT; peer shop PERMISSIVE app=cart",
            None,
        ),
        ("cart", "DISABLE", OLD, REFUSED),
        ("till", "DISABLE", "peer shop STRICT app=cart", None),
    ] {
        check(&format!("rule {host} {mode}; {others}"), answer);
    }
}

#[test]
fn what_is_known_of_the_workload_itself_makes_more_certain() {
    const PORTS: &str = "rule cart {trafficPolicy: {tls: {mode: ISTIO_MUTUAL}, portLevelSettings: [{port: {number: 9090}, tls: {mode: DISABLE}}]}}";
    for (mine, rule, answer) in [
        (
            "STRICT app=cart",
            "rule cart DISABLE",
            "2.yaml:3: strict-without-mtls: DestinationRule shop/r has DISABLE for callers, and this workload has STRICT by PeerAuthentication shop/STRICT (1.yaml:3)",
        ),
        (
            "DISABLE app=cart",
            "rule cart ISTIO_MUTUAL",
            "2.yaml:3: mtls-without-policy: ",
        ),
        (
            "STRICT app=cart",
            &PORTS.replace("9090", "80"),
            "2.yaml:2: strict-without-mtls: ",
        ),
        ("STRICT app=cart", PORTS, ""),
        ("STRICT app=cart", "rule till DISABLE", ""),
        ("PERMISSIVE app=cart", "rule cart DISABLE", ""),
        ("STRICT app=till", "rule cart DISABLE", ""),
    ] {
        let short = format!("peer shop PERMISSIVE; peer shop {mine}; {rule}");
        let policies = world(&short).unwrap();
        let decided = policies.inbound(&cart()).unwrap();
        match policies.check_callers(&cart(), &decided) {
            Ok(()) => assert_eq!(answer, "", "{short}"),
            seen => {
                let line = refused(seen).remove(0);
                assert!(line.starts_with(answer) && !answer.is_empty(), "{line}");
            }
        }
    }
}

#[test]
fn a_port_of_which_the_policies_say_otherwise_is_no_contradiction() {
    for host in ["*.local", "*.shop.svc.cluster.local", "cart"] {
        for (mesh, workload, callers) in [
            ("STRICT", "DISABLE", "DISABLE"),
            ("DISABLE", "STRICT", "ISTIO_MUTUAL"),
        ] {
            let mesh = format!("peer istio-system {mesh}");
            let level = format!(
                "portLevelSettings: [{{port: {{number: 9090}}, tls: {{mode: {callers}}}}}]"
            );
            let rule = format!("rule {host} {{trafficPolicy: {{{level}}}}}");
            let workload = format!("peer shop UNSET app=cart 9090:{workload}");
            assert!(
                world(&format!("{mesh}; {workload}; {rule}")).is_ok(),
                "{host}"
            );
            assert!(world(&format!("{mesh}; {rule}")).is_err(), "{host}");
        }
    }
}

#[test]
fn a_rule_for_the_mesh_pairs_with_policies_for_some_of_it_and_others_are_refused() {
    const PAIR: &str = "peer bank STRICT; rule *.local@istio-system ISTIO_MUTUAL";
    let policies = world(PAIR).unwrap();
    assert_eq!(
        policies.notes,
        [
            "1.yaml:3: DestinationRule istio-system/r makes callers of the whole mesh speak mutual TLS, and policies take it in bank alone: services that no policy is for are refused"
        ]
    );
    let vault = Destination {
        host: "vault.bank",
        ..till(None)
    };
    let decision = policies.outbound(&cart(), &vault).unwrap();
    assert_ne!(decision.value, Security::Plain);
    let answer = "1.yaml:3: mtls-without-policy: DestinationRule istio-system/r makes callers speak mutual TLS (ISTIO_MUTUAL), and";
    let out = refused(policies.outbound(&cart(), &till(None)));
    let seen = format!("{answer} no policy makes till in shop take it: ");
    assert!(out[0].starts_with(&seen), "{out:?}");
    let decided = policies.inbound(&cart()).unwrap();
    let callers = refused(policies.check_callers(&cart(), &decided));
    let seen = format!("{answer} no policy makes cart in shop take it: ");
    assert!(callers[0].starts_with(&seen), "{callers:?}");
    let off = world(&format!("{PAIR}; peer shop DISABLE")).unwrap();
    let out = refused(off.outbound(&cart(), &till(None)));
    let seen = format!("{answer} PeerAuthentication shop/DISABLE (2.yaml:3) has DISABLE: ");
    assert!(out[0].starts_with(&seen), "{out:?}");
}

#[test]
fn a_rule_for_a_namespace_pairs_with_policies_for_some_of_it() {
    let short = "peer shop STRICT app=till; rule *.shop.svc.cluster.local ISTIO_MUTUAL";
    let policies = world(short).unwrap();
    assert_eq!(
        policies.notes,
        [
            "1.yaml:3: DestinationRule shop/r makes callers of namespace shop speak mutual TLS, and policies take it in parts of it alone: services that no policy is for are refused"
        ]
    );
    // Which service its labels belong to is not known; an older policy names it.
    assert!(policies.outbound(&cart(), &till(None)).is_ok());
    let older = short.replace(
        "peer shop STRICT app=till",
        "old Policy p targets: [{name: cart}], peers: [{mtls: {}}]",
    );
    let older = world(&older).unwrap();
    let seen = refused(older.outbound(&cart(), &till(None)));
    assert!(
        seen[0].contains("no policy makes till in shop take it"),
        "{seen:?}"
    );
    let decided = policies.inbound(&cart()).unwrap();
    let callers = refused(policies.check_callers(&cart(), &decided));
    assert!(
        callers[0].contains("no policy makes cart in shop take it"),
        "{callers:?}"
    );
}

#[test]
fn what_callers_are_told_for_one_port_of_the_service_asks_which_port_that_is() {
    let level = "portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]";
    let tls = "tls: {mode: ISTIO_MUTUAL}";
    let short = format!("rule cart {{trafficPolicy: {{{tls}, {level}}}}}");
    let policies = world(&format!(
        "peer shop PERMISSIVE; peer shop STRICT app=cart; {short}"
    ));
    let policies = policies.unwrap();
    let with = |service_port| Workload {
        service_port,
        ..cart()
    };
    let decided = policies.inbound(&cart()).unwrap();
    let seen = refused(policies.check_callers(&with(None), &decided));
    let answer = "2.yaml:2: undecided: for one port of the service, DestinationRule shop/r has DISABLE for callers, and this workload has STRICT by PeerAuthentication shop/STRICT (1.yaml:3): say which it is with --service-port";
    assert_eq!(seen, [answer]);
    let seen = refused(policies.check_callers(&with(Some(80)), &decided));
    assert!(seen[0].contains(": strict-without-mtls: "), "{seen:?}");
    assert!(policies.check_callers(&with(Some(81)), &decided).is_ok());
}
